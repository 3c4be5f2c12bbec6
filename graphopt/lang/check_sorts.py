"""Sorts of all expressions of a rule: what meets in an operator, a call or a node must go together."""

from __future__ import annotations

from graphopt.graph.dtypes import DType
from graphopt.lang import tree as t
from graphopt.lang.attribute_sorts import attribute_sort
from graphopt.lang.check_operators import operators_of
from graphopt.lang.diagnostics import Diagnostics
from graphopt.lang.infer_nodes import NodeSorts
from graphopt.lang.infer_sorts import Inference
from graphopt.lang.names import names_in, walk
from graphopt.lang.sort_rules import Facts, facts_of
from graphopt.lang.sorts import (
    ANY,
    ATTRIBUTES,
    CONST,
    DTYPE,
    INT,
    INTS,
    NONE,
    OPERATOR,
    TARGET,
    TENSOR,
    Sort,
    list_of,
)


def check_sorts(rule: t.Rule, found: Diagnostics) -> None:
    """Conditions are conditions, arguments fit their functions, nodes are made of tensors and attributes."""
    inference = Inference(bound_sorts(rule), found)
    early = _needed_by_conditions(rule)
    for let in rule.lets:
        if let.name in early:
            inference.sorts[let.name] = inference.infer(let.value, Facts())
    present = Facts()
    for condition in (*rule.where, *rule.when):
        inference.condition(condition, present)
        present = present.and_also(facts_of(condition, True))
    for let in rule.lets:
        if let.name not in early:
            inference.sorts[let.name] = inference.infer(let.value, present)
    nodes = NodeSorts(rule, inference)
    for rewrite in rule.rewrites:
        nodes.check_rewrite(rewrite, present)


def _needed_by_conditions(rule: t.Rule) -> set[str]:
    """Lets that are computed before the conditions, since a condition reads them."""
    lets = {let.name: let for let in rule.lets}
    needed: set[str] = set()
    pending = [n for c in (*rule.where, *rule.when) for n in names_in(c)]
    while pending:
        name = pending.pop()
        if name in lets and name not in needed:
            needed.add(name)
            pending.extend(names_in(lets[name].value))
    return needed


# --- what patterns bind ---


def bound_sorts(rule: t.Rule) -> dict[str, Sort]:
    """The sorts of all names that the patterns of a rule bind, and of the language's own."""
    sorts: dict[str, Sort] = {"opset": INT, "target": TARGET, **dict.fromkeys(DType.__members__, DTYPE)}
    for generic in rule.generics:
        sorts[generic.name] = OPERATOR if generic.options[0] not in DType.__members__ else DTYPE
    variables: dict[str, list[t.Variable]] = {}
    for match in rule.matches:
        for part in walk(match.pattern):
            if isinstance(part, t.Variable):
                variables.setdefault(part.name, []).append(part)
            elif isinstance(part, t.NodePattern):
                sorts.update(_attribute_sorts(part, rule))
            elif isinstance(part, t.Variadic):
                sorts[part.name] = list_of(TENSOR)
            elif isinstance(part, t.DimPattern) and part.name is not None:
                sorts[part.name] = INTS if part.kind == "rest" else INT
    for name, places in variables.items():
        sort = CONST if any(p.is_const for p in places) else TENSOR
        sorts[name] = sort | NONE if all(p.is_optional for p in places) else sort
    sorts.update((name, TENSOR) for match in rule.matches for name in match.targets if name is not None)
    return sorts


def _attribute_sorts(part: t.NodePattern, rule: t.Rule) -> dict[str, Sort]:
    found: dict[str, Sort] = {part.rest: ATTRIBUTES} if part.rest is not None else {}
    for attribute in part.attributes:
        if attribute.variable is not None:
            options = [attribute_sort(o, attribute.name, rule.opset) for o in operators_of(part.operator, rule)]
            sort = options[0] if all(o == options[0] for o in options) else ANY
            found[attribute.variable] = sort | NONE if attribute.is_optional else sort
    return found
