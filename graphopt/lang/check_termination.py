"""Why a rule cannot fire forever, argued from its text.

shrink: fewer nodes come out than went in. Shared nodes count among those that went in, although they may stay:
  the path from the inputs to the result gets shorter, and the sum of path lengths cannot fall forever.
lower: the operators of the roots do not come out again.
once: a mark on what the rule made keeps it from firing there again.
"""

from __future__ import annotations

from graphopt.lang import tree as t
from graphopt.lang.diagnostics import Diagnostics
from graphopt.lang.names import names_in, walk


def check_termination(rule: t.Rule, found: Diagnostics) -> None:
    """The declared order must hold of the rule's text."""
    if rule.order == "shrink":
        before = sum(_fewest(m.pattern) for m in rule.matches)
        after = sum(_most(r.value) for r in rule.rewrites)
        if after >= before:
            found.add(
                "GR042",
                f"{rule.name} does not shrink: {_nodes(before)} match and {_nodes(after)} come out",
                rule.name_span,
                "say 'order lower' if the root's operator disappears, or 'order once'",
            )
    elif rule.order == "lower":
        emitted = {c.operator: c for r in rule.rewrites for c in walk(r.value) if isinstance(c, t.NodeCall)}
        for operator in sorted(_heads(rule) & set(emitted)):
            found.add(
                "GR043",
                f"{rule.name} lowers {operator} and emits it again",
                emitted[operator].span,
                None,
                (rule.matches[-1].span, "it is matched here"),
            )


def _nodes(count: int) -> str:
    return "1 node" if count == 1 else f"{count} nodes"


def _heads(rule: t.Rule) -> set[str]:
    read = {n for m in rule.matches for n in names_in(m.pattern)}
    roots = [m for m in rule.matches if not any(n in read for n in m.targets if n)]
    return {p.operator for m in roots for p in _options(m.pattern)}


def _options(pattern: t.NodePattern | t.Alternatives) -> tuple[t.NodePattern, ...]:
    return pattern.options if isinstance(pattern, t.Alternatives) else (pattern,)


def _fewest(pattern: t.InputPattern) -> int:
    if isinstance(pattern, t.Alternatives):
        return min(_fewest(o) for o in pattern.options)
    if not isinstance(pattern, t.NodePattern):
        return 0
    own = len(pattern.inputs) - 1 if pattern.is_product else 1
    return own + sum(_fewest(i) for i in pattern.inputs)


def _most(expression: t.Expression) -> int:
    if isinstance(expression, t.Operation) and expression.sign == "if":
        value, _, alternative = expression.operands
        return max(_most(value), _most(alternative))
    if isinstance(expression, t.NodeCall):
        return 1 + sum(_most(a) for a in expression.arguments)
    return 0
