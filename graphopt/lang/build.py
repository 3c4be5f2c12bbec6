"""From lark's parse tree to the syntax tree."""

from __future__ import annotations

import ast
from typing import Any

from lark import Token, Tree

from graphopt.lang import tree as t
from graphopt.lang.expressions import build_expression
from graphopt.lang.source import Source, Span

Branch = Tree[Token]


def build_file(root: Branch, source: Source) -> t.RuleFile:
    """The syntax tree of a parsed file: statements before a rule (opset, phase) hold for all rules after them."""
    phase = "simplify"
    opset: t.OpsetRange | None = None
    uses: list[tuple[str, Span]] = []
    rules: list[t.Rule] = []
    for child in branches(root):
        if child.data == "opset":
            opset = _opset(child, source)
        elif child.data == "phase":
            phase = str(tokens(child)[0])
        elif child.data == "use":
            uses.append((text_of(tokens(child)[0]), span_of(child, source)))
        else:
            rules.append(_rule(child, source, phase, opset))
    return t.RuleFile(source, tuple(uses), tuple(rules))


def branches(tree: Branch) -> list[Branch]:
    return [c for c in tree.children if isinstance(c, Tree)]


def tokens(tree: Branch) -> list[Token]:
    return [c for c in tree.children if isinstance(c, Token)]


def span_of(item: Branch | Token, source: Source) -> Span:
    if isinstance(item, Token):
        start = item.start_pos or 0
        return Span(source, start, start + len(item))
    meta: Any = item.meta
    if meta.empty:
        return Span(source, 0, 1)
    text = source.text[meta.start_pos : meta.end_pos]
    return Span(source, meta.start_pos, meta.start_pos + len(text.rstrip()))


def text_of(token: Token) -> str:
    return str(ast.literal_eval(str(token)))


def _opset(tree: Branch, source: Source) -> t.OpsetRange:
    (range_,) = branches(tree)
    words = [str(c) for c in tokens(range_)]
    if range_.data == "range_closed":
        return t.OpsetRange(int(words[0]), int(words[1]), span_of(tree, source))
    low: int | None = None
    high: int | None = None
    for sign, number in zip(words[::2], words[1::2], strict=True):
        version = int(number)
        if sign in (">=", ">", "=="):
            low = version + (sign == ">")
        if sign in ("<=", "<", "=="):
            high = version - (sign == "<")
    return t.OpsetRange(low, high, span_of(tree, source))


def _rule(tree: Branch, source: Source, phase: str, opset: t.OpsetRange | None) -> t.Rule:
    name = tokens(tree)[0]
    fields: dict[str, Any] = {
        "phase": phase,
        "doc": "",
        "generics": (),
        "equal": "real",
        "error": None,
        "order": "shrink",
        "priority": 0,
        "opset": opset,
        "matches": (),
        "where": (),
        "when": (),
        "lets": (),
        "rewrites": (),
    }
    for child in branches(tree):
        _fill(fields, child, source)
    return t.Rule(name=str(name), name_span=span_of(name, source), span=span_of(tree, source), **fields)


def _fill(fields: dict[str, Any], child: Branch, source: Source) -> None:
    kind = str(child.data)
    if kind == "generics":
        fields["generics"] = tuple(_generic(g, source) for g in branches(child))
    elif kind == "doc":
        fields["doc"] = text_of(tokens(child)[0])
    elif kind == "equal":
        fields["equal"] = str(tokens(child)[0])
        fields["error"] = _number(branches(child)[0]) if branches(child) else None
    elif kind == "order":
        fields["order"] = str(tokens(child)[0])
    elif kind == "priority":
        fields["priority"] = int(tokens(child)[0])
    elif kind == "opset":
        fields["opset"] = _opset(child, source)
    else:
        key, build = _SECTIONS[kind]
        fields[key] = (*fields[key], *(build(c, source) for c in branches(child)))


def _generic(tree: Branch, source: Source) -> t.Generic:
    name, *_ = tokens(tree)
    options = [str(c) if isinstance(c, Token) else str(tokens(c)[0]) for c in tree.children[1:]]
    return t.Generic(str(name), tuple(options), span_of(tree, source))


def _number(tree: Branch) -> int | float:
    words = [str(w) for w in tokens(tree)]
    value = number_of(words[-1])
    return -value if words[0] == "-" else value


def number_of(text: str) -> int | float:
    return int(text) if text.isdecimal() else float(text)


# --- patterns ---


def _targets(tree: Branch) -> tuple[str | None, ...]:
    names = [str(tokens(c)[0]) for c in branches(tree)]
    return tuple(None if n == "_" else n for n in names)


def _match(tree: Branch, source: Source) -> t.Match:
    targets, pattern = branches(tree)
    return t.Match(_targets(targets), _pattern(pattern, source), bool(tokens(tree)), span_of(tree, source))


def _pattern(tree: Branch, source: Source) -> t.NodePattern | t.Alternatives:
    options: list[t.NodePattern] = []
    for child in branches(tree):
        built = _pattern(child, source) if child.data == "pattern" else _node(child, source)
        options.extend(built.options if isinstance(built, t.Alternatives) else (built,))
    return options[0] if len(options) == 1 else t.Alternatives(tuple(options), span_of(tree, source))


def _node(tree: Branch, source: Source) -> t.NodePattern:
    is_product = tree.data == "product_pattern"
    operator = str(tokens(tree)[0])[:-1] if is_product else str(tokens(branches(tree)[0])[0])
    inputs: list[t.InputPattern] = []
    attributes: list[t.AttributePattern] = []
    rest: str | None = None
    for child in branches(tree):
        kind = str(child.data)
        if kind == "operator":
            continue
        if kind == "attribute_pattern":
            attributes.append(_attribute(child, source))
        elif kind == "rest":
            rest = str(tokens(child)[0])
        else:
            inputs.append(_input(child, source))
    return t.NodePattern(operator, tuple(inputs), tuple(attributes), rest, is_product, span_of(tree, source))


def _input(tree: Branch, source: Source) -> t.InputPattern:
    kind, span = str(tree.data), span_of(tree, source)
    if kind == "pattern":
        return _pattern(tree, source)
    if kind == "variable":
        return _variable(tree, source)
    if kind == "variadic":
        return t.Variadic(str(tokens(tree)[0]), span)
    if kind in ("approximate", "exact"):
        return t.Number(_number(branches(tree)[0]), kind == "approximate", span)
    return t.Absent(span) if kind == "absent" else t.Anything(span)


def _variable(tree: Branch, source: Source) -> t.Variable:
    words = [w for w in tokens(tree)]
    types = {w.type for w in words}
    name = next(str(w) for w in words if w.type == "NAME")
    annotated = [_type(c, source) for c in branches(tree)]
    return t.Variable(
        name, "CONST" in types, "QUESTION" in types, annotated[0] if annotated else None, span_of(tree, source)
    )


def _type(tree: Branch, source: Source) -> t.TypePattern:
    dtype = str(tokens(tree)[0])
    dims = tuple(_dim(c, source) for c in branches(tree))
    return t.TypePattern(None if dtype == "_" else dtype, dims, span_of(tree, source))


def _dim(tree: Branch, source: Source) -> t.DimPattern:
    first, *more = tokens(tree)
    span = span_of(tree, source)
    if first.type == "NAME":
        return t.DimPattern("name", str(first), None, span)
    if first.type == "INT":
        return t.DimPattern("size", None, int(first), span)
    if first.type == "UNDERSCORE":
        return t.DimPattern("any", None, None, span)
    return t.DimPattern("rest", str(more[0]) if more else None, None, span)


def _attribute(tree: Branch, source: Source) -> t.AttributePattern:
    name = str(tokens(tree)[0])
    (value,) = branches(tree)
    span = span_of(tree, source)
    if value.data == "anything":
        return t.AttributePattern(name, None, False, None, span)
    if value.data == "attribute_variable":
        words = tokens(value)
        return t.AttributePattern(name, str(words[0]), len(words) > 1, None, span)
    return t.AttributePattern(name, None, False, _attribute_literal(value, source), span)


def _attribute_literal(tree: Branch, source: Source) -> t.Literal | t.ListOf:
    span = span_of(tree, source)
    if tokens(tree):
        return t.Literal(text_of(tokens(tree)[0]), span)
    parts = branches(tree)
    if len(parts) == 1 and parts[0].data == "number":
        return t.Literal(_number(parts[0]), span)
    return t.ListOf(tuple(_attribute_literal(p, source) for p in parts), span)


# --- computing and the right side ---


def _condition(tree: Branch, source: Source) -> t.Expression:
    return build_expression(tree.children[0], source)


def _let(tree: Branch, source: Source) -> t.Let:
    return t.Let(str(tree.children[0]), build_expression(tree.children[1], source), span_of(tree, source))


def _rewrite(tree: Branch, source: Source) -> t.Rewrite:
    targets, value = tree.children
    assert isinstance(targets, Tree)
    return t.Rewrite(_targets(targets), build_expression(value, source), span_of(tree, source))


_SECTIONS: dict[str, tuple[str, Any]] = {
    "match_section": ("matches", _match),
    "where_section": ("where", _condition),
    "when_section": ("when", _condition),
    "let_section": ("lets", _let),
    "rewrite_section": ("rewrites", _rewrite),
}
