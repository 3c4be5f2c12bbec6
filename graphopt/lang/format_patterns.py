"""Patterns and axis facts as the formatter writes them."""

from __future__ import annotations

from graphopt.lang import tree as t
from graphopt.lang.format_expressions import expression, literal, number, written
from graphopt.lang.layout import Bracket, Doc, Row, flat


def pattern(part: t.InputPattern) -> Doc:
    """One pattern."""
    if isinstance(part, t.Alternatives):
        options = tuple(pattern(o) for o in part.options)
        return Bracket("", (options,), "", " |")
    if isinstance(part, t.NodePattern):
        return _node(part)
    if isinstance(part, t.Variable):
        return _variable(part)
    if isinstance(part, t.Variadic):
        return f"*{part.name}"
    if isinstance(part, t.Number):
        return ("~" if part.is_approximate else "") + number(part.value, written(part))
    return "none" if isinstance(part, t.Absent) else "_"


def _node(part: t.NodePattern) -> Doc:
    inputs = tuple(pattern(i) for i in part.inputs)
    attributes: tuple[Doc, ...] = tuple(_attribute(a) for a in part.attributes)
    rest = (f"**{part.rest}",) if part.rest is not None else ()
    name = part.operator + ("*" if part.is_product else "")
    return Row((name, Bracket("(", (inputs, (*attributes, *rest)), ")")))


def _variable(part: t.Variable) -> str:
    text = f"{'const ' if part.is_const else ''}{part.name}{'?' if part.is_optional else ''}"
    if part.type is None:
        return text
    dims = ", ".join(_dim(d) for d in part.type.dims)
    return f"{text}: {part.type.dtype or '_'}[{dims}]"


def _dim(dim: t.DimPattern) -> str:
    if dim.kind == "rest":
        return f"...{dim.name or ''}"
    return "_" if dim.kind == "any" else dim.name or str(dim.size)


def _attribute(part: t.AttributePattern) -> str:
    if part.literal is not None:
        return f"{part.name}={_attribute_literal(part.literal)}"
    if part.variable is None:
        return f"{part.name}=_"
    return f"{part.name}={part.variable}{'?' if part.is_optional else ''}"


def _attribute_literal(part: t.Expression) -> str:
    if isinstance(part, t.ListOf):
        return f"[{', '.join(_attribute_literal(i) for i in part.items)}]"
    assert isinstance(part, t.Literal)
    return literal(part)


def targets(names: tuple[str | None, ...]) -> str:
    return ", ".join(n if n is not None else "_" for n in names)


# --- axes ---


def axes_head(axes: t.Axes) -> str:
    inputs = ", ".join(_operand(o) for o in axes.inputs)
    outputs = ", ".join(_operand(o) for o in axes.outputs)
    return f"axes {axes.operator}({inputs}) -> {outputs}:"


def _operand(operand: t.Operand) -> str:
    return f"{'*' if operand.is_variadic else ''}{operand.name}{'?' if operand.is_optional else ''}"


def relation(fact: t.Fact) -> str:
    """A fact without its modifiers."""
    first, *others = (axis(a) for a in fact.axes)
    if fact.kind == "tie":
        return " ~ ".join((first, *others))
    return f"{first} = {fact.kind}({', '.join(others)})"


def modifiers(fact: t.Fact) -> str:
    return ", ".join(f"{m.kind} {_modifier(m)}" for m in fact.modifiers)


def _modifier(modifier: t.Modifier) -> str:
    return modifier.value if isinstance(modifier.value, str) else flat(expression(modifier.value))


def axis(part: t.Axis) -> str:
    return f"{part.tensor}[{_index(part.index)}]"


def _index(index: t.AxisIndex) -> str:
    if index.kind == "slice":
        start, stop = ("" if b is None else str(b) for b in (index.start, index.stop))
        return f"{start}:{stop}"
    if index.kind == "item":
        return f"{index.name}[{index.item}]"
    return str(index.number) if index.kind == "number" else str(index.name)
