"""Lark's parse tree, which keeps every token: places and words in it, and errors about it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NoReturn

from lark import Token, Tree

from graphopt.lang.diagnostics import Diagnostic, RuleError
from graphopt.lang.source import Source, Span

Branch = Tree[Token]
Item = Branch | Token


@dataclass(frozen=True)
class Reader:
    """Where a parsed piece of text stands in its file."""

    source: Source
    offset: int = 0

    def span(self, item: Item) -> Span:
        """From the first word of a piece to its last, the line end aside."""
        first, last = _first(item), _last(item)
        start = (first.start_pos or 0) + self.offset
        return Span(self.source, start, (last.end_pos or 0) + self.offset)

    def between(self, first: Item, last: Item) -> Span:
        return Span(self.source, self.span(first).start, self.span(last).end)

    def refuse(self, message: str, item: Item, help: str | None = None) -> NoReturn:
        """End with an error about the form of a piece."""
        raise RuleError([Diagnostic("GR001", message, self.span(item), help)])


def _first(item: Item) -> Token:
    while isinstance(item, Tree):
        item = item.children[0]
    return item


def _last(item: Item) -> Token:
    while isinstance(item, Tree):
        item = item.children[-1] if not is_line_end(item.children[-1]) else item.children[-2]
    return item


def is_line_end(item: Item) -> bool:
    return isinstance(item, Token) and item.type == "_NL"


def branches(tree: Branch) -> list[Branch]:
    return [c for c in tree.children if isinstance(c, Tree)]


def tokens(tree: Branch) -> list[Token]:
    return [c for c in tree.children if isinstance(c, Token) and c.type != "_NL"]


def words(tree: Branch, *kinds: str) -> list[Token]:
    """The tokens of these kinds right below a branch."""
    return [c for c in tree.children if isinstance(c, Token) and c.type in kinds]


def place_of(tree: Branch, kind: str) -> int:
    """Where among the children of a branch its first token of this kind stands."""
    return next(i for i, c in enumerate(tree.children) if isinstance(c, Token) and c.type == kind)


def line_text(tree: Branch) -> str:
    """A line as it is written, with one space where words need one."""
    text = ""
    for token in _leaves(tree):
        if text and not (token in (",", ")", "..") or text.endswith(("(", "..")) or token == "(" or _is_minus(text)):
            text += " "
        text += str(token)
    return text


def _is_minus(text: str) -> bool:
    return text.endswith("-")


def _leaves(tree: Branch) -> Iterator[Token]:
    for child in tree.children:
        if isinstance(child, Tree):
            yield from _leaves(child)
        elif child.type != "_NL":
            yield child


# --- words with a value ---

_ESCAPES = {'"': '"', "\\": "\\", "n": "\n", "t": "\t"}


def text_of(token: Token, reader: Reader) -> str:
    """The text between the quotes."""
    raw = str(token)[1:-1]
    if "\\" not in raw:
        return raw
    result: list[str] = []
    letters = iter(raw)
    for letter in letters:
        if letter == "\\":
            letter = next(letters)
            if letter not in _ESCAPES:
                reader.refuse(rf"a text has no \{letter}", token, r"there are \", \\, \n and \t")
            letter = _ESCAPES[letter]
        result.append(letter)
    return "".join(result)


LARGEST = 2**63 - 1
DIGITS = 400
"""More digits than any number that a tensor can hold; Python refuses to read thousands of them."""


def number_of(parts: list[Token], reader: Reader) -> int | float:
    """A number with its sign: whole unless it is written with a point or an exponent."""
    text = str(parts[-1])
    if len(text) > DIGITS:
        reader.refuse(f"a number of {len(text)} digits", parts[-1])
    value = int(text) if text.isdecimal() else float(text)
    if isinstance(value, int) and value > LARGEST:
        reader.refuse("the number does not fit 64 bits", parts[-1], "with a point it is a float")
    if value == float("inf"):
        reader.refuse("the number is too large for 64 bits", parts[-1])
    return -value if parts[0] == "-" else value


def integer_of(token: Token, reader: Reader) -> int:
    return int(number_of([token], reader))
