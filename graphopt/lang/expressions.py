"""From lark's parse tree to expressions.

In a rule file an expression is a flat list of operands and operators; here it is nested by precedence, without
recursion, so that no text can be too deep to read.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from lark import Token, Tree

from graphopt.lang import tree as t
from graphopt.lang.names import children
from graphopt.lang.source import Span
from graphopt.lang.syntax import Branch, Item, Reader, branches, number_of, place_of, text_of, words

DEEPEST = 100
"""How deep an expression may nest; everything that walks expressions recurses."""

PRECEDENCE = {
    "or": 1,
    "and": 2,
    "not": 3,
    "in": 4,
    **dict.fromkeys(("==", "!=", "<", "<=", ">", ">="), 4),
    "??": 5,
    "++": 6,
    "+": 7,
    "-": 7,
    **dict.fromkeys(("*", "/", "//", "%"), 8),
    "neg": 9,
    "**": 10,
}
"""How tightly the operators bind. `if` binds less than all of them."""

RIGHT = ("??", "**")
"""Operators that group from the right."""

COMPARISONS = ("in", "==", "!=", "<", "<=", ">", ">=")
"""Operators that do not group at all: `a < b < c` is no expression."""

FLAT = ("and", "or")
"""Operators with any number of operands."""

PREFIX = {"not": "not", "-": "neg"}


def build_expression(tree: Branch, reader: Reader) -> t.Expression:
    """One expression."""
    built = _expression(tree, reader)
    if built.span.end - built.span.start > DEEPEST and _depth(built) > DEEPEST:
        reader.refuse(f"the expression nests deeper than {DEEPEST}", tree, "compute parts of it in let:")
    return built


def _expression(tree: Branch, reader: Reader) -> t.Expression:
    choices: list[tuple[_Piece, _Piece]] = []
    while True:
        parts = tree.children
        marks = [i for i, p in enumerate(parts) if isinstance(p, Token) and p.type in ("IF", "ELSE")]
        if not marks:
            result = _flat(parts, reader)
            break
        first, second = marks
        choices.append((_flat(parts[:first], reader), _flat(parts[first + 1 : second], reader)))
        rest = parts[second + 1]
        assert isinstance(rest, Tree)
        tree = rest
    for value, condition in reversed(choices):
        operation = t.Operation("if", (value.built, condition.built, result.built), value.to(result))
        result = _Piece(operation, operation.span)
    return result.built


@dataclass(frozen=True)
class _Piece:
    """An expression and where it stands, brackets around it included."""

    built: t.Expression
    span: Span

    def to(self, other: _Piece) -> Span:
        return Span(self.span.source, self.span.start, other.span.end)


def _flat(parts: list[Item], reader: Reader) -> _Piece:
    """Nest a flat list of prefixes, operands and operators: operators wait on a stack until a looser one comes."""
    operands: list[_Piece] = []
    waiting: list[tuple[str, Token]] = []
    expects_operand = True
    for part in parts:
        if expects_operand and isinstance(part, Token) and part.type in ("NOT", "MINUS"):
            sign = PREFIX[str(part)]
            _check_prefix(sign, part, waiting, reader)
            waiting.append((sign, part))
        elif expects_operand:
            operands.append(_Piece(_operand(part, reader), reader.span(part)))
            expects_operand = False
        else:
            assert isinstance(part, Token)
            _push(part, operands, waiting, reader)
            expects_operand = True
    while waiting:
        _apply(operands, waiting.pop(), reader)
    return operands[0]


def _push(part: Token, operands: list[_Piece], waiting: list[tuple[str, Token]], reader: Reader) -> None:
    sign = str(part)
    while waiting and _binds_first(waiting[-1][0], sign):
        _apply(operands, waiting.pop(), reader)
    if sign in COMPARISONS and waiting and waiting[-1][0] in COMPARISONS:
        reader.refuse("comparisons do not chain", part, "join two of them by and")
    waiting.append((sign, part))


def _binds_first(waiting: str, sign: str) -> bool:
    if waiting in COMPARISONS and sign in COMPARISONS:
        return False
    if PRECEDENCE[waiting] == PRECEDENCE[sign]:
        return sign not in RIGHT
    return PRECEDENCE[waiting] > PRECEDENCE[sign]


def _check_prefix(sign: str, token: Token, waiting: list[tuple[str, Token]], reader: Reader) -> None:
    """`not` binds so loosely that it cannot stand behind most operators; a minus can stand anywhere."""
    if sign == "not" and waiting and PRECEDENCE[waiting[-1][0]] > PRECEDENCE["not"]:
        reader.refuse("'not' cannot stand here", token, "put brackets around it and what it negates")


def _apply(operands: list[_Piece], operator: tuple[str, Token], reader: Reader) -> None:
    sign, token = operator
    right = operands.pop()
    if sign in ("neg", "not"):
        span = Span(reader.source, reader.span(token).start, right.span.end)
        operands.append(_Piece(_prefixed(sign, right, span), span))
        return
    left = operands.pop()
    span = left.to(right)
    parts = (*_joined(sign, left.built), *_joined(sign, right.built)) if sign in FLAT else (left.built, right.built)
    operands.append(_Piece(t.Operation(sign, parts, span), span))


def _joined(sign: str, operand: t.Expression) -> tuple[t.Expression, ...]:
    if isinstance(operand, t.Operation) and operand.sign == sign:
        return operand.operands
    return (operand,)


def _prefixed(sign: str, operand: _Piece, span: Span) -> t.Expression:
    built = operand.built
    if sign == "neg" and isinstance(built, t.Literal) and isinstance(built.value, (int, float)):
        is_number = not isinstance(built.value, bool) and built.span == operand.span
        if is_number and span.source.text[built.span.start].isdecimal():
            return t.Literal(-built.value, span)
    return t.Operation(sign, (built,), span)


def _depth(root: t.Expression) -> int:
    deepest = 0
    pending: list[tuple[Any, int]] = [(root, 1)]
    while pending:
        item, depth = pending.pop()
        deepest = max(deepest, depth)
        pending.extend((child, depth + 1) for child in children(item))
    return deepest


# --- operands ---


def _operand(item: Item, reader: Reader) -> t.Expression:
    if isinstance(item, Token):
        return _word(item, reader)
    if item.data == "postfix":
        return _postfix(item, reader)
    if item.data == "group":
        return _expression(branches(item)[0], reader)
    return t.ListOf(tuple(_expression(c, reader) for c in branches(item)), reader.span(item))


_CONSTANTS: dict[str, bool | None] = {"TRUE": True, "FALSE": False, "NONE": None}


def _word(token: Token, reader: Reader) -> t.Expression:
    span = reader.span(token)
    if token.type == "NAME":
        return t.Name(str(token), span)
    if token.type == "NUMBER":
        return t.Literal(number_of([token], reader), span)
    if token.type == "STRING":
        return t.Literal(text_of(token, reader), span)
    if token.type in _CONSTANTS:
        return t.Literal(_CONSTANTS[token.type], span)
    return t.Capital(str(token), span)


def _postfix(tree: Branch, reader: Reader) -> t.Expression:
    first, *trailers = tree.children
    position = 0
    if isinstance(first, Token) and _is(trailers[0], "arguments"):
        built = _call_or_node(first, trailers[0], reader)
        position = 1
    else:
        built = _operand(first, reader)
    start = reader.span(first).start
    while position < len(trailers):
        trailer = trailers[position]
        assert isinstance(trailer, Tree)
        span = Span(reader.source, start, reader.span(trailer).end)
        if trailer.data == "member" and position + 1 < len(trailers) and _is(trailers[position + 1], "arguments"):
            position += 1
            arguments = trailers[position]
            assert isinstance(arguments, Tree)
            span = Span(reader.source, start, reader.span(arguments).end)
            built = _call(str(words(trailer, "NAME")[0]), (built,), arguments, span, reader)
        elif trailer.data == "arguments":
            reader.refuse("only a name can be called", trailer)
        else:
            built = _access(built, trailer, span, reader)
        position += 1
    return built


def _is(item: Item, kind: str) -> bool:
    return isinstance(item, Tree) and item.data == kind


def _access(of: t.Expression, trailer: Branch, span: Span, reader: Reader) -> t.Expression:
    if trailer.data == "member":
        return t.Member(of, str(words(trailer, "NAME")[0]), span)
    if trailer.data == "index":
        return t.Index(of, _expression(branches(trailer)[0], reader), span)
    colon = place_of(trailer, "COLON")
    bounds: list[t.Expression | None] = [None, None]
    for position, child in enumerate(trailer.children):
        if isinstance(child, Tree):
            bounds[position > colon] = _expression(child, reader)
    return t.Slice(of, bounds[0], bounds[1], span)


def _call_or_node(name: Token, arguments: Item, reader: Reader) -> t.Expression:
    assert isinstance(arguments, Tree)
    span = reader.between(name, arguments)
    if name.type == "NAME":
        return _call(str(name), (), arguments, span, reader)
    if name.type not in ("CAPITAL", "DOMAIN_OPERATOR"):
        reader.refuse("only a name can be called", name)
    given = _Arguments(arguments, reader)
    return t.NodeCall(str(name), tuple(given.positional), tuple(given.keywords), given.spread, span)


def _call(
    function: str, first: tuple[t.Expression, ...], arguments: Branch, span: Span, reader: Reader
) -> t.Expression:
    given = _Arguments(arguments, reader)
    if given.spread_item is not None:
        reader.refuse("attributes are spent on a node, not on a function", given.spread_item)
    keywords = tuple((name, value) for name, value, _ in given.keywords)
    return t.Call(function, (*first, *given.positional), keywords, span, bool(first))


class _Arguments:
    """What stands between the brackets of a call."""

    def __init__(self, tree: Branch, reader: Reader) -> None:
        self.positional: list[t.Expression] = []
        self.keywords: list[tuple[str, t.Expression, Span]] = []
        self.spread: str | None = None
        self.spread_item: Branch | None = None
        for child in branches(tree):
            self._add(child, reader)

    def _add(self, child: Branch, reader: Reader) -> None:
        if child.data == "keyword":
            name = str(words(child, "NAME")[0])
            if any(name == other for other, _, _ in self.keywords):
                reader.refuse(f"{name} is given twice", child)
            self.keywords.append((name, _expression(branches(child)[0], reader), reader.span(child)))
        elif child.data == "spread":
            if self.spread is not None:
                reader.refuse("attributes are spent twice", child)
            self.spread, self.spread_item = str(words(child, "NAME")[0]), child
        else:
            if self.keywords or self.spread is not None:
                reader.refuse("a tensor stands behind an attribute", child, "tensors come first, then attributes")
            self.positional.append(_expression(child, reader))
