"""Patterns and rewrites against the operator schemas, for every opset that a rule is meant for."""

from __future__ import annotations

import difflib
from collections.abc import Iterator
from functools import cache

from onnx import defs

from graphopt.graph.attributes import Kind
from graphopt.graph.check_file import operator_names
from graphopt.graph.schemas import NEWEST_OPSET, STANDARD_DOMAINS, attribute_default, declared_kind, schema
from graphopt.lang import tree as t
from graphopt.lang.diagnostics import Diagnostics
from graphopt.lang.literals import literal_value, same_attribute
from graphopt.lang.names import walk
from graphopt.lang.operators import ASSOCIATIVE, split_operator
from graphopt.lang.source import Span

OLDEST_OPSET = 7
"""Where a rule without a range begins: older models are raised to this opset first."""


def check_operators(rule: t.Rule, found: Diagnostics) -> None:
    """Operators exist, arities and attributes fit, in every opset of the rule's range."""
    if rule.opset is not None and (rule.opset.low or 1) > (rule.opset.high or NEWEST_OPSET[""]):
        found.add("GR051", "the opset range is empty", rule.opset.span)
        return
    generics = {g.name: g.options for g in rule.generics}
    for match in rule.matches:
        for part in walk(match.pattern):
            if isinstance(part, t.NodePattern):
                for operator in generics.get(part.operator, (part.operator,)):
                    _check_pattern(part, operator, rule, found)
    for rewrite in rule.rewrites:
        for part in walk(rewrite.value):
            if isinstance(part, t.NodeCall):
                for operator in generics.get(part.operator, (part.operator,)):
                    _check_node(part, operator, rule, len(rewrite.targets), found)


def opsets_of(rule: t.Rule) -> range:
    """The opsets of the default domain that a rule is meant for."""
    low = rule.opset.low if rule.opset is not None and rule.opset.low is not None else OLDEST_OPSET
    high = rule.opset.high if rule.opset is not None and rule.opset.high is not None else NEWEST_OPSET[""]
    return range(low, high + 1)


def _schemas(operator: str, rule: t.Rule) -> dict[int, defs.OpSchema | None]:
    """The distinct schemas in force within the range, by the first opset of each; None where there is none."""
    domain, name = split_operator(operator)
    opsets = opsets_of(rule) if domain == "" else [NEWEST_OPSET.get(domain, 1)]
    distinct: dict[int, defs.OpSchema | None] = {}
    last: object = object()
    for opset in opsets:
        current = schema(name, opset, domain)
        version = current.since_version if current is not None else None
        if version != last:
            distinct[opset] = current
            last = version
    return distinct


def _unknown(operator: str, span: Span, found: Diagnostics) -> bool:
    domain, name = split_operator(operator)
    if domain not in STANDARD_DOMAINS:
        return True
    if name in operator_names(domain):
        return False
    near = difflib.get_close_matches(name, operator_names(domain), 1)
    found.add("GR010", f"there is no operator {operator}", span, f"did you mean {near[0]}?" if near else None)
    return True


def _check_pattern(part: t.NodePattern, operator: str, rule: t.Rule, found: Diagnostics) -> None:
    if part.is_product and split_operator(operator) not in ASSOCIATIVE:
        known = ", ".join(sorted(name for _, name in ASSOCIATIVE))
        found.add("GR050", f"{operator} is not associative and commutative", part.span, f"these are: {known}")
    if _unknown(operator, part.span, found):
        return
    for opset, current in _schemas(operator, rule).items():
        if current is None:
            continue
        problem = _arity_problem(part, operator, opset, current)
        if problem is not None:
            found.add("GR011", problem[0], part.span, problem[1])
            return
        if not all([_fits_attribute(a, operator, opset, current, found) for a in part.attributes]):
            return


def _arity_problem(part: t.NodePattern, operator: str, opset: int, current: defs.OpSchema) -> tuple[str, str] | None:
    if part.is_product:
        return None
    given = sum(1 for i in part.inputs if not isinstance(i, t.Variadic))
    if given > current.max_input:
        return f"{operator} has no {given} inputs in opset {opset}", f"its inputs: {_input_names(current)}"
    open_ended = part.inputs and isinstance(part.inputs[-1], t.Variadic)
    if given < current.min_input and not open_ended:
        return f"{operator} has more than {given} inputs in opset {opset}", f"its inputs: {_input_names(current)}"
    return None


def _input_names(current: defs.OpSchema) -> str:
    marks = {defs.OpSchema.FormalParameterOption.Optional: "?", defs.OpSchema.FormalParameterOption.Variadic: "*"}
    return ", ".join(i.name + marks.get(i.option, "") for i in current.inputs)


def _fits_attribute(
    part: t.AttributePattern, operator: str, opset: int, current: defs.OpSchema, found: Diagnostics
) -> bool:
    if part.name in current.attributes:
        kind = declared_kind(current.attributes[part.name])
        if part.literal is None or _is_kind(part.literal, kind):
            return True
        word = Kind.Name(kind).lower()
        found.add("GR013", f"the attribute {part.name} of {operator} is of kind {word}", part.span)
        return False
    versions = [s for s in _history(operator) if part.name in s.attributes]
    takes_anything = part.variable is None and part.literal is None
    if versions and (part.is_optional or takes_anything or _is_added_default(part, versions)):
        return True
    names = ", ".join(sorted(current.attributes)) or "none"
    found.add(
        "GR012",
        f"{operator} has no attribute {part.name} in opset {opset}",
        part.span,
        f"its attributes: {names}" if not versions else "narrow the opset range, or say what the older form means",
    )
    return False


def _is_added_default(part: t.AttributePattern, versions: list[defs.OpSchema]) -> bool:
    """A literal that is the default of a later version says what older versions did anyway."""
    if part.literal is None:
        return False
    newest = versions[-1]
    default = attribute_default(newest.name, newest.since_version, part.name, newest.domain)
    return default is not None and same_attribute(default, literal_value(part.literal))


def _history(operator: str) -> list[defs.OpSchema]:
    return _histories().get(split_operator(operator), [])


@cache
def _histories() -> dict[tuple[str, str], list[defs.OpSchema]]:
    """Every version of every operator, the oldest first. onnx makes all schemas anew at each call: once is enough."""
    found: dict[tuple[str, str], list[defs.OpSchema]] = {}
    for current in sorted(defs.get_all_schemas_with_history(), key=lambda s: s.since_version):
        found.setdefault((current.domain, current.name), []).append(current)
    return found


def _is_kind(literal: t.Literal | t.ListOf, kind: int) -> bool:
    if isinstance(literal, t.ListOf):
        singles: dict[int, int] = {Kind.INTS: Kind.INT, Kind.FLOATS: Kind.FLOAT, Kind.STRINGS: Kind.STRING}
        single = singles.get(kind)
        items = [i for i in literal.items if isinstance(i, (t.Literal, t.ListOf))]
        return single is not None and all(_is_kind(i, single) for i in items)
    allowed: dict[int, tuple[type, ...]] = {Kind.INT: (int,), Kind.FLOAT: (int, float), Kind.STRING: (str,)}
    return isinstance(literal.value, allowed.get(kind, ()))


def _check_node(part: t.NodeCall, operator: str, rule: t.Rule, outputs: int, found: Diagnostics) -> None:
    if _unknown(operator, part.span, found):
        return
    for opset, current in _schemas(operator, rule).items():
        for code, message, help_line in _node_problems(part, operator, opset, current, outputs):
            found.add(code, message, part.span, help_line)
            return


def _node_problems(
    part: t.NodeCall, operator: str, opset: int, current: defs.OpSchema | None, outputs: int
) -> Iterator[tuple[str, str, str | None]]:
    if current is None:
        yield "GR014", f"there is no {operator} in opset {opset}", "narrow the opset range of the rule"
        return
    given = len(part.arguments)
    if given > current.max_input:
        yield "GR011", f"{operator} takes no {given} inputs in opset {opset}", _input_names(current)
    if given < current.min_input and not _may_spread(part):
        yield "GR011", f"{operator} needs more than {given} inputs in opset {opset}", _input_names(current)
    if outputs > current.max_output:
        yield "GR015", f"{operator} has no {outputs} outputs", None
    for name, _, _ in part.attributes:
        if name not in current.attributes:
            names = ", ".join(sorted(current.attributes)) or "none"
            yield "GR012", f"{operator} has no attribute {name} in opset {opset}", f"its attributes: {names}"
    required = [n for n, a in current.attributes.items() if a.required]
    missing = [n for n in required if n not in {name for name, _, _ in part.attributes}]
    if missing and part.rest is None:
        yield "GR016", f"{operator} needs the attribute {missing[0]}", None


def _may_spread(part: t.NodeCall) -> bool:
    return any(isinstance(a, t.Name) for a in part.arguments)
