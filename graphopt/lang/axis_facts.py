"""Axis facts for whoever propagates along axes: by operator and opset."""

from __future__ import annotations

from collections.abc import Iterable

from graphopt.lang import tree as t


class AxisFacts:
    """The `axes` declarations of checked rule files."""

    def __init__(self, files: Iterable[t.RuleFile]) -> None:
        self._declared: dict[str, list[t.Axes]] = {}
        for file in files:
            for axes in file.axes:
                self._declared.setdefault(axes.operator, []).append(axes)

    def of(self, operator: str, opset: int) -> t.Axes | None:
        """The declaration that holds for an operator (`domain::Op` outside of the default domain) at an opset of the
        default domain; None where nothing is known, which forbids cutting anything of its tensors."""
        for axes in self._declared.get(operator, ()):
            low = axes.opset.low if axes.opset is not None else None
            high = axes.opset.high if axes.opset is not None else None
            if (low is None or low <= opset) and (high is None or opset <= high):
                return axes
        return None

    def operators(self) -> list[str]:
        """The operators of which something is known."""
        return sorted(self._declared)


def tensor(axes: t.Axes, name: str) -> tuple[str, int] | None:
    """The place of a tensor of a declaration: ("input", 1) or ("output", 0)."""
    for side, operands in (("input", axes.inputs), ("output", axes.outputs)):
        for position, operand in enumerate(operands):
            if operand.name == name:
                return side, position
    return None


def index_variables(fact: t.Fact, attributes: Iterable[str]) -> set[str]:
    """The names of a fact that range over all axes, which are those that are no attribute: `y[i] ~ a[i]`."""
    known = set(attributes)
    found = {a.index.name for a in fact.axes if a.index.kind == "name"}
    found |= {a.index.item for a in fact.axes if a.index.kind == "item"}
    return {name for name in found if name is not None and name not in known}
