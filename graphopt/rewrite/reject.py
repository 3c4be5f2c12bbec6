"""Early rejection: what must stand right above a root for a rule to have a chance. It costs a look at the operators
of the root's producers, and spares most attempts."""

from __future__ import annotations

from collections.abc import Callable

from graphopt.graph.graph import Node, Value
from graphopt.lang import tree as t
from graphopt.lang.operators import COMMUTATIVE, split_operator

Operators = frozenset[tuple[str, str]]
Glance = Callable[[Node], bool]


def root_glance(rule: t.Rule, number: int) -> Glance:
    """Whether a node can be the root of this statement, as far as its own and its producers' operators tell."""
    match = rule.matches[number]
    glances = [_pattern_glance(rule, p) for p in _options(match.pattern)]
    if len(glances) == 1:
        return glances[0]
    return lambda node: any(g(node) for g in glances)


def _options(pattern: t.NodePattern | t.Alternatives) -> tuple[t.NodePattern, ...]:
    return pattern.options if isinstance(pattern, t.Alternatives) else (pattern,)


def _pattern_glance(rule: t.Rule, pattern: t.NodePattern) -> Glance:
    domain, op_type = split_operator(pattern.operator)
    needs = [(i, n) for i, p in enumerate(pattern.inputs) if (n := _needed(rule, p)) is not None]
    anywhere = pattern.is_product or (domain, op_type) in COMMUTATIVE
    wanted = [operators for _, operators in needs]

    def in_place(node: Node) -> bool:
        if node.op_type != op_type or node.domain != domain:
            return False
        return all(_is_made_by(node.input(i), operators) for i, operators in needs)

    def in_any_order(node: Node) -> bool:
        if node.op_type != op_type or node.domain != domain:
            return False
        nested: Operators = frozenset({(domain, op_type)}) if pattern.is_product else frozenset()
        return all(any(_is_made_by(v, operators | nested) for v in node.inputs) for operators in wanted)

    return in_any_order if anywhere else in_place


def _needed(rule: t.Rule, pattern: t.InputPattern) -> Operators | None:
    """The operators that can make an input, or None where anything can."""
    if isinstance(pattern, t.Variable):
        made = next((m.pattern for m in rule.matches if pattern.name in m.targets), None)
        return None if made is None else _operators(made)
    return _operators(pattern) if isinstance(pattern, (t.NodePattern, t.Alternatives)) else None


def _operators(pattern: t.NodePattern | t.Alternatives) -> Operators:
    return frozenset(split_operator(p.operator) for p in _options(pattern))


def _is_made_by(value: Value | None, operators: Operators) -> bool:
    if value is None or value.producer is None:
        return False
    return (value.producer.domain, value.producer.op_type) in operators
