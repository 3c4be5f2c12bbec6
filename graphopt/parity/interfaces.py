"""Whether two models take and give the same."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from graphopt.graph.interface import Interface, Shape, TensorSpec

MOST = 5
"""How many names are listed one by one."""


@dataclass
class InterfaceDifferences:
    """What breaks a caller, and what a caller may like to know."""

    failures: list[str] = field(default_factory=list[str])
    notes: list[str] = field(default_factory=list[str])


def interface_differences(reference: Interface, candidate: Interface) -> InterfaceDifferences:
    """Differences in names, order, element types and shapes.

    Another name for a dynamic dimension breaks nobody. Nor does an output whose open size is stated: whether what is
    stated is true shows when the models run.
    """
    found = InterfaceDifferences()
    _compare(found, "input", reference.inputs, candidate.inputs)
    _compare(found, "output", reference.outputs, candidate.outputs)
    kept = {spec.name for spec in candidate.optional}
    for spec in reference.optional:
        if spec.name not in kept:
            found.failures.append(f"input {spec.name!r}, which has a default, can no longer be given")
    return found


def _compare(
    found: InterfaceDifferences, kind: str, reference: Sequence[TensorSpec], candidate: Sequence[TensorSpec]
) -> None:
    before, after = {s.name: s for s in reference}, {s.name: s for s in candidate}
    found.failures += _listed(kind, "gone", [name for name in before if name not in after])
    found.failures += _listed(kind, "new", [name for name in after if name not in before])
    common = [name for name in before if name in after]
    if common != [name for name in after if name in before]:
        found.failures.append(f"the {kind}s are in another order: {', '.join(map(repr, after))}")
    for name in common:
        _compare_spec(found, kind, before[name], after[name])


def _listed(kind: str, fate: str, names: Sequence[str]) -> list[str]:
    """A sentence for each of the first few names, and one for the rest."""
    shown = [f"{kind} {name!r} is {fate}" for name in names[:MOST]]
    return [*shown, f"{len(names) - MOST} more {kind}s are {fate}"] if len(names) > MOST else shown


def _compare_spec(found: InterfaceDifferences, kind: str, before: TensorSpec, after: TensorSpec) -> None:
    changed = f"{kind} {before} became {after}"
    typed = before.dtype is not None and after.dtype is not None
    if before.kind != after.kind or (typed and before.dtype != after.dtype):
        found.failures.append(changed)
    elif before.shape is None or after.shape is None:
        if before.shape != after.shape:
            found.notes.append(changed)
    elif not _same_shape(before.shape, after.shape):
        (found.notes if kind == "output" and _narrows(before.shape, after.shape) else found.failures).append(changed)


def _same_shape(before: Shape, after: Shape) -> bool:
    return [_size(d) for d in before] == [_size(d) for d in after]


def _narrows(before: Shape, after: Shape) -> bool:
    """Whether a size that was left open is stated now, and nothing else changed. For an output that may be true."""
    if len(before) != len(after):
        return False
    return all(_size(b) in (None, _size(a)) for b, a in zip(before, after, strict=True))


def _size(dim: int | str | None) -> int | None:
    return dim if isinstance(dim, int) and dim >= 0 else None
