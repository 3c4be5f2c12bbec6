"""`axes` declarations against the operator schemas."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from graphopt.errors import did_you_mean
from graphopt.graph.attributes import Kind
from graphopt.lang import tree as t
from graphopt.lang.attribute_sorts import attribute_sort
from graphopt.lang.axis_facts import index_variables, tensor
from graphopt.lang.check_operators import check_exists
from graphopt.lang.diagnostics import Diagnostics
from graphopt.lang.infer_sorts import Inference
from graphopt.lang.names import walk
from graphopt.lang.pruning import PREDICATES
from graphopt.lang.sort_rules import Facts
from graphopt.lang.sorts import BOOL, INT, NONE, TENSOR, Sort, list_of
from graphopt.lang.source import Span
from graphopt.lang.versions import Formal, Version, newest_within, opset_bounds, versions_within

RELATIONS = ("tie", "cat", "fold")


def check_axes(declared: Sequence[t.Axes], found: Diagnostics) -> None:
    """Each declaration by itself, and no two for one operator at one opset."""
    seen: list[t.Axes] = []
    for axes in declared:
        twin = next((a for a in seen if a.operator == axes.operator and _meet(a.opset, axes.opset)), None)
        if twin is not None:
            other = twin.operator_span, "the other one is here"
            message = f"the axes of {axes.operator} are declared twice for one opset"
            found.add("GR074", message, axes.operator_span, "give them opset ranges that do not meet", other)
        seen.append(axes)
        _check_one(axes, found)


def _meet(first: t.OpsetRange | None, second: t.OpsetRange | None) -> bool:
    (low, high), (other_low, other_high) = opset_bounds(first), opset_bounds(second)
    return low <= other_high and other_low <= high


def _check_one(axes: t.Axes, found: Diagnostics) -> None:
    seen: dict[str, Span] = {}
    for operand in (*axes.inputs, *axes.outputs):
        if operand.name in seen:
            other = seen[operand.name], "it is bound here"
            found.add("GR022", f"{operand.name} is bound twice", operand.span, None, other)
        seen[operand.name] = operand.span
    if check_exists(axes.operator, axes.operator_span, found):
        for opset, version in versions_within(axes.operator, axes.opset).items():
            if version is not None and _misfit(axes, version, opset, found):
                return
    for fact in axes.facts:
        _check_fact(axes, fact, found)


def _misfit(axes: t.Axes, version: Version, opset: int, found: Diagnostics) -> bool:
    """Whether the declared tensors are not those of the schema."""
    least, _ = version.arity
    sides = (
        ("input", axes.inputs, version.inputs, least),
        ("output", axes.outputs, version.outputs, 1),
    )
    for side, operands, formals, needed in sides:
        names = ", ".join(str(f) for f in formals)
        wrong = next((o for o, f in zip(operands, formals, strict=False) if not _agrees(o, f, side)), None)
        if wrong is None and needed <= len(operands) <= len(formals):
            continue
        span = wrong.span if wrong is not None else axes.operator_span
        message = f"the {side}s of {axes.operator} in opset {opset} are not like this"
        found.add("GR070", message, span, f"its {side}s: {names}")
        return True
    return False


def _agrees(operand: t.Operand, formal: Formal, side: str) -> bool:
    if operand.is_variadic != (formal.option == "variadic"):
        return False
    return side == "output" or operand.is_optional == (formal.option == "optional")


# --- facts ---


def _check_fact(axes: t.Axes, fact: t.Fact, found: Diagnostics) -> None:
    if fact.kind not in RELATIONS:
        help_line = did_you_mean(fact.kind, RELATIONS) or "there are cat(...) and fold(...)"
        found.add("GR073", f"axes are not put together by {fact.kind}", fact.span, help_line)
    attributes = _attributes(axes)
    variables = index_variables(fact, attributes)
    for axis in fact.axes:
        if tensor(axes, axis.tensor) is None:
            names = [o.name for o in (*axes.inputs, *axes.outputs)]
            message = f"{axis.tensor} is no tensor of these axes"
            found.add("GR071", message, axis.span, did_you_mean(axis.tensor, names) or f"there is {', '.join(names)}")
        _check_index(axis, fact, variables, attributes, found)
    for name in sorted(variables):
        places = [a for a in fact.axes if name in (a.index.name, a.index.item)]
        if len(places) == 1:
            known = f"an attribute of {axes.operator}, or a name that stands for each axis, on both sides"
            found.add("GR072", f"{name} stands at one axis only", places[0].span, known)
    _check_modifiers(axes, fact, attributes, found)


def _attributes(axes: t.Axes) -> dict[str, int]:
    """The attributes of the operator and their kinds."""
    version = newest_within(axes.operator, axes.opset)
    return {name: a.kind for name, a in version.attributes.items()} if version is not None else {}


def _check_index(
    axis: t.Axis, fact: t.Fact, variables: set[str], attributes: dict[str, int], found: Diagnostics
) -> None:
    index = axis.index
    if index.kind == "slice" and (fact.kind != "fold" or axis is fact.axes[0]):
        found.add("GR072", "several axes at once only stand inside fold(...)", axis.span)
    if index.kind == "name" and index.name in attributes and attributes[index.name] != Kind.INT:
        found.add("GR072", f"the attribute {index.name} is no single axis", axis.span, f"write {index.name}[i]")
    if index.kind == "item":
        if attributes.get(index.name or "") != Kind.INTS:
            lists = ", ".join(sorted(n for n, kind in attributes.items() if kind == Kind.INTS)) or "none"
            found.add("GR072", f"{index.name} is no attribute that lists axes", axis.span, f"such attributes: {lists}")
        elif index.item not in variables:
            found.add("GR072", f"{index.item} is an attribute, and not a name for each axis", axis.span)


def _check_modifiers(axes: t.Axes, fact: t.Fact, attributes: dict[str, int], found: Diagnostics) -> None:
    sorts = _sorts(axes, attributes)
    for modifier in fact.modifiers:
        if isinstance(modifier.value, str):
            if attributes.get(modifier.value) != Kind.INT:
                message = f"{modifier.value} is no whole-number attribute of {axes.operator}"
                found.add("GR073", message, modifier.span, did_you_mean(modifier.value, attributes))
        else:
            check_expression(modifier.value, sorts, found)
    if sum(m.kind == "scaling" for m in fact.modifiers) > 1:
        found.add("GR073", "one attribute can be scaled", fact.modifiers[-1].span)


def _sorts(axes: t.Axes, attributes: Iterable[str]) -> dict[str, Sort]:
    found: dict[str, Sort] = {"opset": INT, **dict.fromkeys(PREDICATES, BOOL)}
    found.update((name, attribute_sort(axes.operator, name, axes.opset)) for name in attributes)
    for operand in (*axes.inputs, *axes.outputs):
        sort = list_of(TENSOR) if operand.is_variadic else TENSOR
        found[operand.name] = sort | NONE if operand.is_optional else sort
    return found


def check_expression(expression: t.Expression, sorts: dict[str, Sort], found: Diagnostics) -> None:
    """A condition over given names."""
    for part in walk(expression):
        if isinstance(part, t.Name) and part.name not in sorts:
            found.add("GR020", f"{part.name} is not bound", part.span, did_you_mean(part.name, sorts))
    Inference(sorts, found).condition(expression, Facts())
