"""Legalizing rules: what they make, the target must have."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from graphopt.lang import tree as t
from graphopt.lang.check_operators import guarded_operators
from graphopt.lang.check_termination import emitted_operators, heads
from graphopt.lang.diagnostics import Diagnostics
from graphopt.lang.target import TEXTS, TargetFacts

PHASE = "legalize"


def check_targets(rule: t.Rule, targets: Sequence[TargetFacts], found: Diagnostics) -> None:
    """A legalizing rule is for the targets that it names (`when: target.name == "…"`), else for those that lack an
    operator that it takes out."""
    if rule.phase != PHASE:
        return
    named = {name for condition in (*rule.when, *rule.where) for name in values_named(condition, "name")}
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


def values_named(condition: t.Expression, member: str) -> Iterator[str]:
    """The texts that a condition lets a member of the target be: `target.name == "x"`, `target.name in ["x", "y"]`."""
    if not isinstance(condition, t.Operation) or condition.sign not in ("==", "in", "and"):
        return
    if condition.sign == "and":
        for operand in condition.operands:
            yield from values_named(operand, member)
        return
    left, right = condition.operands
    for part, value in ((left, right), (right, left)):
        if isinstance(part, t.Member) and part.name == member and _is_target(part.of):
            items = value.items if isinstance(value, t.ListOf) else (value,)
            yield from (i.value for i in items if isinstance(i, t.Literal) and isinstance(i.value, str))


def _is_target(value: t.Expression) -> bool:
    return isinstance(value, t.Name) and value.name == "target"


def for_others(first: t.Rule, second: t.Rule) -> bool:
    """Whether two rules say that they are for different targets, so that they never meet."""
    for member in TEXTS:
        mine, others = ({v for c in (*r.when, *r.where) for v in values_named(c, member)} for r in (first, second))
        if mine and others and not mine & others:
            return True
    return False
