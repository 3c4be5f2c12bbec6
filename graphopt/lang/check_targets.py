"""Legalizing rules: what they make, the target must have."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from graphopt.lang import tree as t
from graphopt.lang.check_operators import guarded_operators
from graphopt.lang.check_termination import emitted_operators, heads
from graphopt.lang.diagnostics import Diagnostics
from graphopt.lang.target import TargetFacts

PHASE = "legalize"


def check_targets(rule: t.Rule, targets: Sequence[TargetFacts], found: Diagnostics) -> None:
    """A legalizing rule is for the targets that it names (`when: target.name == "…"`), else for those that lack an
    operator that it takes out."""
    if rule.phase != PHASE:
        return
    named = {name for condition in (*rule.when, *rule.where) for name in _names(condition)}
    for target in targets:
        is_for = target.name in named if named else any(not target.supports(o) for o in heads(rule))
        if not is_for:
            continue
        for operator, node in emitted_operators(rule).items():
            if not target.supports(operator) and operator not in guarded_operators(rule):
                found.add(
                    "GR053",
                    f"{target.name} has no {operator}",
                    node.span,
                    f"make it of operators that {target.name} has, or ask when: target.supports({operator})",
                )


def _names(condition: t.Expression) -> Iterator[str]:
    """The targets that a condition names: `target.name == "x"`, `target.name in ["x", "y"]`."""
    if not isinstance(condition, t.Operation) or condition.sign not in ("==", "in", "and"):
        return
    if condition.sign == "and":
        for operand in condition.operands:
            yield from _names(operand)
        return
    left, right = condition.operands
    for member, value in ((left, right), (right, left)):
        if isinstance(member, t.Member) and isinstance(member.of, t.Name) and member.of.name == "target":
            items = value.items if isinstance(value, t.ListOf) else (value,)
            yield from (i.value for i in items if isinstance(i, t.Literal) and isinstance(i.value, str))
