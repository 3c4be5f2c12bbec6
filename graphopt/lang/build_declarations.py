"""From lark's parse tree to `axes` and `prune` declarations."""

from __future__ import annotations

from typing import Any

from lark import Tree

from graphopt.lang import tree as t
from graphopt.lang.diagnostics import Diagnostic, RuleError
from graphopt.lang.expressions import build_expression
from graphopt.lang.syntax import Branch, Item, Reader, branches, line_text, number_of, place_of, text_of, tokens, words


def build_axes(tree: Branch, reader: Reader, opset: t.OpsetRange | None) -> t.Axes:
    """`axes Operator(inputs) -> outputs: facts`"""
    (operator,) = words(tree, "CAPITAL", "DOMAIN_OPERATOR")
    arrow = place_of(tree, "ARROW")
    sides: list[list[t.Operand]] = [[], []]
    for position, child in enumerate(tree.children):
        if isinstance(child, Tree) and child.data == "tensors":
            sides[position > arrow].extend(_operand(c, reader) for c in branches(child))
    facts = tuple(_fact(c, reader) for c in branches(tree) if c.data == "fact")
    return t.Axes(
        str(operator), reader.span(operator), tuple(sides[0]), tuple(sides[1]), facts, opset, reader.span(tree)
    )


def _operand(tree: Branch, reader: Reader) -> t.Operand:
    kinds = {w.type for w in tokens(tree)}
    return t.Operand(str(words(tree, "NAME")[0]), "QUESTION" in kinds, "STAR" in kinds, reader.span(tree))


def _fact(tree: Branch, reader: Reader) -> t.Fact:
    relation, *modifiers = branches(tree)
    kind = "tie" if relation.data == "tie" else str(words(relation, "NAME")[0])
    axes = tuple(_axis(c, reader) for c in branches(relation))
    return t.Fact(kind, axes, tuple(_modifier(m, reader) for m in modifiers), reader.span(tree))


def _modifier(tree: Branch, reader: Reader) -> t.Modifier:
    word, value = tree.children
    text = value if not isinstance(value, Tree) else build_expression(value, reader)
    return t.Modifier(str(word), str(text) if text is value else text, reader.span(tree))


def _axis(tree: Branch, reader: Reader) -> t.Axis:
    tensor, _, *inside, _ = tree.children
    return t.Axis(str(tensor), _index(inside, reader), reader.span(tree))


def _index(inside: list[Item], reader: Reader) -> t.AxisIndex:
    first = inside[0]
    if isinstance(first, Tree):
        colon = place_of(first, "COLON")
        start, stop = first.children[:colon], first.children[colon + 1 :]
        return t.AxisIndex("slice", start=_bound(start, reader), stop=_bound(stop, reader))
    if first.type != "NAME":
        return t.AxisIndex("number", number=_bound(inside, reader))
    if len(inside) > 1:
        return t.AxisIndex("item", name=str(first), item=str(inside[2]))
    return t.AxisIndex("name", name=str(first))


def _bound(parts: list[Any], reader: Reader) -> int | None:
    return int(number_of(parts, reader)) if parts else None


def build_prune(tree: Branch, reader: Reader) -> t.Prune:
    """`prune name:` and its clauses."""
    name = words(tree, "NAME")[0]
    parts = tuple(_part(c, reader) for c in branches(tree))
    found: dict[str, list[Any]] = {}
    for part in parts:
        if part.kind in found:
            raise RuleError([Diagnostic("GR001", f"{part.kind} stands here a second time", part.span)])
        found[part.kind] = list(part.items)
    doc = next((c for c in branches(tree) if c.data == "doc"), None)
    return t.Prune(
        str(name),
        reader.span(name),
        text_of(words(doc, "STRING")[0], reader) if doc is not None else "",
        tuple(found.get("from", ())),
        next(iter(found.get("score", ())), None),
        tuple(found.get("keep", ())),
        tuple(found.get("repair", ())),
        reader.span(tree),
        parts,
    )


def _part(tree: Branch, reader: Reader) -> t.PrunePart:
    kind = str(tree.data)
    span = reader.span(tree)
    items: tuple[Any, ...]
    if kind == "doc":
        items = (t.Line(kind, line_text(tree), span),)
    elif kind == "from":
        items = tuple(_source(c, reader) for c in branches(tree))
    elif kind == "repair":
        items = tuple(t.Name(str(w), reader.span(w)) for w in words(tree, "NAME"))
    else:
        items = tuple(build_expression(c, reader) for c in branches(tree))
    return t.PrunePart(kind, items, span)


def _source(tree: Branch, reader: Reader) -> t.AxisSource:
    operator, _, axis = tree.children
    assert isinstance(axis, Tree)
    return t.AxisSource(str(operator), _axis(axis, reader), reader.span(tree))
