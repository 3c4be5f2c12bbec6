"""From lark's parse tree to expressions."""

from __future__ import annotations

import ast
from typing import Any

from lark import Token, Tree

from graphopt.lang import tree as t
from graphopt.lang.source import Source, Span

Branch = Tree[Token]


def build_expression(item: Branch | Token, source: Source) -> t.Expression:
    """One expression."""
    assert isinstance(item, Tree)
    return _BUILDERS[str(item.data)](item, source)


def _span(item: Branch, source: Source) -> Span:
    meta: Any = item.meta
    text = source.text[meta.start_pos : meta.end_pos]
    return Span(source, meta.start_pos, meta.start_pos + len(text.rstrip()))


def _inner(tree: Branch, source: Source) -> tuple[t.Expression, ...]:
    return tuple(build_expression(c, source) for c in tree.children if isinstance(c, Tree))


def _literal(tree: Branch, source: Source) -> t.Expression:
    (token,) = tree.children
    assert isinstance(token, Token)
    text = str(token)
    values: dict[str, Any] = {"TRUE": True, "FALSE": False, "NONE": None}
    if token.type in values:
        value = values[token.type]
    elif token.type == "STRING":
        value = str(ast.literal_eval(text))
    else:
        value = int(text) if text.isdecimal() else float(text)
    return t.Literal(value, _span(tree, source))


def _name(tree: Branch, source: Source) -> t.Expression:
    return t.Name(str(tree.children[0]), _span(tree, source))


def _capital(tree: Branch, source: Source) -> t.Expression:
    return t.Capital(str(tree.children[0]), _span(tree, source))


def _list(tree: Branch, source: Source) -> t.Expression:
    return t.ListOf(_inner(tree, source), _span(tree, source))


def _operation(sign: str) -> Any:
    def build(tree: Branch, source: Source) -> t.Expression:
        return t.Operation(sign, _inner(tree, source), _span(tree, source))

    return build


def _signed(tree: Branch, source: Source) -> t.Expression:
    sign = next(str(c) for c in tree.children if isinstance(c, Token))
    return t.Operation(sign, _inner(tree, source), _span(tree, source))


def _minus(tree: Branch, source: Source) -> t.Expression:
    (inner,) = _inner(tree, source)
    if isinstance(inner, t.Literal) and isinstance(inner.value, (int, float)):
        return t.Literal(-inner.value, _span(tree, source))
    return t.Operation("neg", (inner,), _span(tree, source))


def _member(tree: Branch, source: Source) -> t.Expression:
    (of,) = _inner(tree, source)
    return t.Member(of, str(tree.children[-1]), _span(tree, source))


def _call(tree: Branch, source: Source) -> t.Expression:
    """`f(x, k=1)`, and `x.f(k=1)` with x as the first argument."""
    function = next(str(c) for c in tree.children if isinstance(c, Token))
    arguments: list[t.Expression] = []
    keywords: list[tuple[str, t.Expression]] = []
    for child in tree.children:
        if isinstance(child, Token):
            continue
        if child.data == "keyword":
            name, value = child.children
            keywords.append((str(name), build_expression(value, source)))
        else:
            arguments.append(build_expression(child, source))
    return t.Call(function, tuple(arguments), tuple(keywords), _span(tree, source))


def _node_call(tree: Branch, source: Source) -> t.Expression:
    operator, *rest = tree.children
    assert isinstance(operator, Tree)
    arguments: list[t.Expression] = []
    attributes: list[tuple[str, t.Expression, Span]] = []
    spread: str | None = None
    for child in rest:
        assert isinstance(child, Tree)
        if child.data == "keyword":
            name, value = child.children
            attributes.append((str(name), build_expression(value, source), _span(child, source)))
        elif child.data == "spread":
            spread = str(child.children[0])
        else:
            arguments.append(build_expression(child, source))
    return t.NodeCall(str(operator.children[0]), tuple(arguments), tuple(attributes), spread, _span(tree, source))


def _index(tree: Branch, source: Source) -> t.Expression:
    of, index = _inner(tree, source)
    return t.Index(of, index, _span(tree, source))


def _slice(tree: Branch, source: Source) -> t.Expression:
    of = build_expression(tree.children[0], source)
    start: t.Expression | None = None
    stop: t.Expression | None = None
    seen_colon = False
    for child in tree.children[1:]:
        if isinstance(child, Token):
            seen_colon = True
        elif seen_colon:
            stop = build_expression(child, source)
        else:
            start = build_expression(child, source)
    return t.Slice(of, start, stop, _span(tree, source))


_BUILDERS: dict[str, Any] = {
    "literal": _literal,
    "name": _name,
    "capital": _capital,
    "list": _list,
    "ternary": _operation("if"),
    "either": _operation("or"),
    "both": _operation("and"),
    "negation": _operation("not"),
    "comparison": _signed,
    "coalesce": _operation("??"),
    "join": _operation("++"),
    "sum": _signed,
    "product": _signed,
    "minus": _minus,
    "power": _operation("**"),
    "member": _member,
    "method": _call,
    "call": _call,
    "node_call": _node_call,
    "index": _index,
    "slice": _slice,
}
