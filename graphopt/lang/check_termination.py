"""Why a rule cannot fire forever, argued from its text.

shrink: fewer nodes come out than went in. Shared nodes count among those that went in, although they may stay: the
  path from the inputs to the result gets shorter. So the result must not match again together with the nodes that stay.
lower: the operators of the roots do not come out again, neither from this rule nor from what other rules of the phase
  make of its nodes.
once: a mark on what the rule made keeps it from firing there again.
"""

from __future__ import annotations

from collections.abc import Iterator

from graphopt.lang import tree as t
from graphopt.lang.check_operators import operators_of
from graphopt.lang.diagnostics import Diagnostics
from graphopt.lang.literals import same_attribute
from graphopt.lang.names import walk
from graphopt.lang.overlap import options_of, roots

# --- one rule by itself ---


def check_termination(rule: t.Rule, found: Diagnostics) -> None:
    """The declared order must hold of the rule's text."""
    if rule.order == "shrink":
        before = sum(_fewest(m.pattern) for m in rule.matches)
        after = sum(_most(r.value) for r in rule.rewrites)
        if after >= before:
            found.add(
                "GR042",
                f"{rule.name} does not shrink: it takes out {_nodes(before)} and puts in {_nodes(after)}",
                rule.name_span,
                "say 'order lower' if the root's operator disappears, or 'order once'",
            )
        elif any(m.is_shared for m in rule.matches):
            _check_shared(rule, found)
    elif rule.order == "lower":
        emitted = emitted_operators(rule)
        for operator in sorted(heads(rule) & set(emitted)):
            found.add(
                "GR043",
                f"{rule.name} lowers {operator} and emits it again",
                emitted[operator].span,
                None,
                (rule.matches[-1].span, "it is matched here"),
            )


def _nodes(count: int) -> str:
    return "1 node" if count == 1 else f"{count} nodes"


def heads(rule: t.Rule) -> set[str]:
    """The operators of a rule's roots."""
    return {o for m in roots(rule) for p in options_of(m.pattern) for o in operators_of(p.operator, rule)}


def emitted_operators(rule: t.Rule) -> dict[str, t.NodeCall]:
    """The operators of the nodes that a rule makes."""
    calls = [c for r in rule.rewrites for c in walk(r.value) if isinstance(c, t.NodeCall)]
    return {o: c for c in calls for o in operators_of(c.operator, rule)}


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


# --- the right side against the left side, with the shared nodes still there ---


def _check_shared(rule: t.Rule, found: Diagnostics) -> None:
    made = {n: r.value for r in rule.rewrites for n in r.targets if n}
    for root in roots(rule):
        for name in root.targets:
            for branch in _branches(made[name]) if name in made else ():
                if any(_matches(p, branch, rule, made) for p in options_of(root.pattern)):
                    found.add(
                        "GR045",
                        f"what {rule.name} makes matches {rule.name} again",
                        branch.span,
                        "read from further up, so that the path gets shorter, or say 'order once'",
                        (root.span, "it is matched here"),
                    )
                    return


def _branches(value: t.Expression) -> Iterator[t.Expression]:
    if isinstance(value, t.Operation) and value.sign == "if":
        yield from _branches(value.operands[0])
        yield from _branches(value.operands[2])
    else:
        yield value


def _matches(pattern: t.InputPattern, value: t.Expression, rule: t.Rule, made: dict[str, t.Expression]) -> bool:
    """Whether a pattern matches what a rewrite made; what comes from outside the match is taken not to."""
    if isinstance(value, t.Name) and value.name in made:
        return any(_matches(pattern, b, rule, made) for b in _branches(made[value.name]) if b is not value)
    if isinstance(pattern, t.Alternatives):
        return any(_matches(o, value, rule, made) for o in pattern.options)
    if isinstance(pattern, t.Variable):
        above = next((m for m in rule.matches if pattern.name in m.targets), None)
        if above is None:
            return not (pattern.is_const and isinstance(value, t.NodeCall))
        if isinstance(value, t.Name):
            return value.name == pattern.name and above.is_shared
        return _matches(above.pattern, value, rule, made)
    if not isinstance(pattern, t.NodePattern):
        return not isinstance(value, t.NodeCall)
    return isinstance(value, t.NodeCall) and _node_matches(pattern, value, rule, made)


def _node_matches(pattern: t.NodePattern, value: t.NodeCall, rule: t.Rule, made: dict[str, t.Expression]) -> bool:
    if pattern.operator != value.operator or pattern.is_product or len(pattern.inputs) != len(value.arguments):
        return False
    given = {name: expression for name, expression, _ in value.attributes}
    for attribute in pattern.attributes:
        wanted, found = attribute.literal, given.get(attribute.name)
        if isinstance(wanted, t.Literal) and isinstance(found, t.Literal) and _differ(wanted.value, found.value):
            return False
    pairs = zip(pattern.inputs, value.arguments, strict=True)
    return all(_matches(i, a, rule, made) for i, a in pairs)


def _differ(wanted: object, found: object) -> bool:
    return isinstance(wanted, str) != isinstance(found, str) or not same_attribute(wanted, found)
