"""Patterns and rewrites against the operator schemas, for every opset that a rule is meant for."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from graphopt.errors import did_you_mean
from graphopt.graph.attributes import Kind
from graphopt.graph.schemas import NEWEST_OPSET
from graphopt.lang import tree as t
from graphopt.lang.diagnostics import Diagnostics
from graphopt.lang.literals import literal_value, same_attribute
from graphopt.lang.names import walk
from graphopt.lang.operators import ASSOCIATIVE, split_operator
from graphopt.lang.source import Span
from graphopt.lang.versions import (
    Version,
    is_standard,
    newest_within,
    operator_names,
    opset_bounds,
    versions_of,
    versions_within,
)

Problem = tuple[str, str, str | None]


def check_operators(rule: t.Rule, found: Diagnostics) -> None:
    """Operators exist, arities and attributes fit, in every opset of the rule's range."""
    low, high = opset_bounds(rule.opset)
    if rule.opset is not None and low > high:
        newest = f"the newest opset that the installed onnx knows is {NEWEST_OPSET['']}"
        is_later = rule.opset.low is not None and rule.opset.low > NEWEST_OPSET[""]
        found.add("GR051", "the opset range is empty", rule.opset.span, newest if is_later else None)
        return
    for match in rule.matches:
        for part in walk(match.pattern):
            if isinstance(part, t.NodePattern):
                for operator in operators_of(part.operator, rule):
                    _check_pattern(part, operator, rule, len(match.targets) if part is match.pattern else 1, found)
    for rewrite in rule.rewrites:
        nodes = set(map(id, top_nodes(rewrite.value)))
        for part in walk(rewrite.value):
            if isinstance(part, t.NodeCall):
                outputs = len(rewrite.targets) if id(part) in nodes else 1
                for operator in operators_of(part.operator, rule):
                    _check_node(part, operator, rule, outputs, found)


def operators_of(operator: str, rule: t.Rule) -> tuple[str, ...]:
    """The operators that a name stands for: itself, or the options of a generic."""
    return next((g.options for g in rule.generics if g.name == operator), (operator,))


def top_nodes(value: t.Expression) -> Iterator[t.NodeCall]:
    """The nodes that a rewrite's value can be, one for each branch."""
    if isinstance(value, t.NodeCall):
        yield value
    elif isinstance(value, t.Operation) and value.sign == "if":
        yield from top_nodes(value.operands[0])
        yield from top_nodes(value.operands[2])


def check_exists(operator: str, span: Span, found: Diagnostics) -> bool:
    """Whether an operator's schema is known; an unknown one of a standard domain is an error."""
    domain, name = split_operator(operator)
    if not is_standard(operator):
        return False
    if versions_of(domain, name):
        return True
    found.add("GR010", f"there is no operator {operator}", span, did_you_mean(name, operator_names(domain)))
    return False


# --- patterns ---


def _check_pattern(part: t.NodePattern, operator: str, rule: t.Rule, outputs: int, found: Diagnostics) -> None:
    if part.is_product and split_operator(operator) not in ASSOCIATIVE:
        known = ", ".join(sorted(name for _, name in ASSOCIATIVE))
        found.add("GR050", f"{operator} is not associative and commutative", part.span, f"these are: {known}")
    if not check_exists(operator, part.span, found):
        return
    versions = versions_within(operator, rule.opset)
    if not any(versions.values()):
        found.add("GR014", f"there is no {operator} in {_range(rule)}", part.span, _lifetime(operator))
        return
    for opset, current in versions.items():
        problems = list(_pattern_problems(part, operator, opset, outputs, current)) if current is not None else []
        for code, message, help_line in problems:
            found.add(code, message, part.span, help_line)
        attributes = [
            _fits_attribute(a, operator, opset, current, found) for a in part.attributes if current is not None
        ]
        if problems or not all(attributes):
            return


def _range(rule: t.Rule) -> str:
    low, high = opset_bounds(rule.opset)
    return f"opset {low}" if low == high else f"opsets {low} to {high}"


def _lifetime(operator: str) -> str:
    versions = versions_of(*split_operator(operator))
    if versions[-1].is_deprecated:
        return f"it exists from opset {versions[0].since} to {versions[-1].since - 1}"
    return f"it exists from opset {versions[0].since} on"


def _pattern_problems(
    part: t.NodePattern, operator: str, opset: int, outputs: int, current: Version
) -> Iterator[Problem]:
    least, most = current.arity
    names = f"its inputs: {', '.join(str(i) for i in current.inputs) or 'none'}"
    if part.is_product:
        if len(part.inputs) < 2:
            yield "GR011", f"a product of {operator} has two operands or more", None
        return
    given = sum(1 for i in part.inputs if not isinstance(i, t.Variadic))
    open_ended = any(isinstance(i, t.Variadic) for i in part.inputs)
    if given > most:
        yield "GR011", f"{operator} has no {_count(given)} in opset {opset}", names
    elif given < least and not open_ended:
        yield "GR011", f"{operator} has more than {_count(given)} in opset {opset}", names
    if open_ended and not isinstance(part.inputs[-1], t.Variadic):
        yield "GR011", "a variadic input is the last one", names
    if outputs > current.most_outputs:
        yield "GR015", f"{operator} has no {outputs} outputs in opset {opset}", None


def _count(inputs: int) -> str:
    return "1 input" if inputs == 1 else f"{inputs} inputs"


def _fits_attribute(part: t.AttributePattern, operator: str, opset: int, current: Version, found: Diagnostics) -> bool:
    if part.name in current.attributes:
        kind = current.attributes[part.name].kind
        if part.literal is None or _is_kind(part.literal, kind):
            return True
        word = Kind.Name(kind).lower()
        found.add("GR013", f"the attribute {part.name} of {operator} is of kind {word}", part.span)
        return False
    versions = [v for v in versions_of(*split_operator(operator)) if part.name in v.attributes]
    takes_anything = part.variable is None and part.literal is None
    if versions and (part.is_optional or takes_anything or _is_added_default(part, versions)):
        return True
    names = ", ".join(sorted(current.attributes)) or "none"
    narrow = "narrow the opset range, or say what the older form means"
    found.add(
        "GR012",
        f"{operator} has no attribute {part.name} in opset {opset}",
        part.span,
        narrow if versions else did_you_mean(part.name, current.attributes) or f"its attributes: {names}",
    )
    return False


def _is_added_default(part: t.AttributePattern, versions: list[Version]) -> bool:
    """A literal that is the default of a later version says what older versions did anyway."""
    if part.literal is None:
        return False
    declared = versions[-1].attributes[part.name]
    if declared.default is None or not _is_kind(part.literal, declared.kind):
        return False
    with np.errstate(over="ignore"):
        return same_attribute(declared.default, literal_value(part.literal))


def _is_kind(literal: t.Literal | t.ListOf, kind: int) -> bool:
    if isinstance(literal, t.ListOf):
        singles: dict[int, int] = {Kind.INTS: Kind.INT, Kind.FLOATS: Kind.FLOAT, Kind.STRINGS: Kind.STRING}
        single = singles.get(kind)
        items = [i for i in literal.items if isinstance(i, (t.Literal, t.ListOf))]
        return single is not None and all(_is_kind(i, single) for i in items)
    allowed: dict[int, tuple[type[Any], ...]] = {Kind.INT: (int,), Kind.FLOAT: (int, float), Kind.STRING: (str,)}
    return isinstance(literal.value, allowed.get(kind, ()))


# --- nodes that a rewrite makes ---


def _check_node(part: t.NodeCall, operator: str, rule: t.Rule, outputs: int, found: Diagnostics) -> None:
    if not check_exists(operator, part.span, found):
        return
    for opset, current in versions_within(operator, _made_within(rule)).items():
        if current is None and operator in guarded_operators(rule):
            continue
        problems = list(_node_problems(part, operator, opset, current, outputs))
        for code, message, help_line in problems:
            found.add(code, message, part.span, help_line)
        if problems:
            return


def _made_within(rule: t.Rule) -> t.OpsetRange:
    """The opsets in which the rule can match at all: what it matches must be there."""
    low, high = opset_bounds(rule.opset)
    for match in rule.matches:
        patterns = match.pattern.options if isinstance(match.pattern, t.Alternatives) else (match.pattern,)
        operators = [o for p in patterns for o in operators_of(p.operator, rule)]
        if all(split_operator(o)[0] == "" and newest_within(o, rule.opset) for o in operators):
            low = max(low, min(versions_of("", o)[0].since for o in operators))
    return t.OpsetRange(low, high, rule.opset.span if rule.opset is not None else rule.name_span)


def guarded_operators(rule: t.Rule) -> set[str]:
    """Operators of which the rule asks first whether they are there: `when: target.supports(Gelu)`."""
    asked = [c for c in (*rule.when, *rule.where) if isinstance(c, t.Call) and c.function == "supports"]
    return {a.name for c in asked for a in c.arguments if isinstance(a, t.Capital)}


def _node_problems(
    part: t.NodeCall, operator: str, opset: int, current: Version | None, outputs: int
) -> Iterator[Problem]:
    if current is None:
        narrow = f"{_lifetime(operator)}: narrow the opset range, or ask when: target.supports({operator})"
        yield "GR014", f"there is no {operator} in opset {opset}", narrow
        return
    least, most = current.arity
    given = len(part.arguments)
    names = f"its inputs: {', '.join(str(i) for i in current.inputs) or 'none'}"
    if given > most:
        yield "GR011", f"{operator} has no {_count(given)} in opset {opset}", names
    elif given < least and not any(isinstance(a, t.Name) for a in part.arguments):  # a name may stand for several
        yield "GR011", f"{operator} has more than {_count(given)} in opset {opset}", names
    if outputs > current.most_outputs:
        yield "GR015", f"{operator} has no {outputs} outputs in opset {opset}", None
    for name, _, _ in part.attributes:
        if name not in current.attributes:
            known = ", ".join(sorted(current.attributes)) or "none"
            help_line = did_you_mean(name, current.attributes) or f"its attributes: {known}"
            yield "GR012", f"{operator} has no attribute {name} in opset {opset}", help_line
    given_names = {name for name, _, _ in part.attributes}
    missing = [n for n, a in current.attributes.items() if a.is_required and n not in given_names]
    if missing and part.rest is None:
        yield "GR016", f"{operator} needs the attribute {missing[0]}", None
