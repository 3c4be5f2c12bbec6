"""What is wrong with a text that is not of the language, in the words of its users."""

from __future__ import annotations

import re
from typing import Any, cast

from lark import Token
from lark.exceptions import UnexpectedCharacters, UnexpectedInput

from graphopt.lang.diagnostics import Diagnostic
from graphopt.lang.source import Span
from graphopt.lang.syntax import Reader

CODE = "GR001"


class TooDeep(Exception):
    """Brackets nest deeper than anything that reads expressions can follow."""

    LIMIT = 60

    def __init__(self, token: Token) -> None:
        super().__init__()
        self.token = token


def too_deep(error: TooDeep, reader: Reader) -> Diagnostic:
    return Diagnostic(CODE, f"brackets nest deeper than {TooDeep.LIMIT}", reader.span(error.token))


_WORDS = {
    "_NL": "the end of the line",
    "LPAR": "'('",
    "RPAR": "')'",
    "LSQB": "'['",
    "RSQB": "']'",
    "COLON": "':'",
    "COMMA": "','",
    "EQUAL": "'='",
    "NAME": "a name",
    "CAPITAL": "a capital letter",
    "DOMAIN_OPERATOR": "an operator",
    "PRODUCT": "an operator",
    "STRING": "a text in quotes",
    "NUMBER": "a number",
    "INT": "a whole number",
    "COMPARE": "a comparison",
    "MATCH": "'match:'",
    "REWRITE": "'rewrite:'",
    "RULE": "'rule'",
    "OWN_OPSET": "'opset'",
    "QUESTION": "'?'",
    "UNDERSCORE": "'_'",
    "ELLIPSIS": "'...'",
    "ARROW": "'->'",
    "LESSTHAN": "'<'",
    "MORETHAN": "'>'",
    "TILDE": "'~'",
    "VBAR": "'|'",
    "STAR": "'*'",
    "MINUS": "'-'",
    "SEMICOLON": "';'",
    "DOT": "'.'",
    "$END": "the end of the file",
}
_MANY = 4
"""More words than this say nothing."""


def syntax_error(error: UnexpectedInput, text: str, reader: Reader) -> Diagnostic:
    """The error of a piece of text that ends where lark stopped to understand it."""
    details = cast(Any, error)  # lark gives the attributes of its errors no types
    if isinstance(error, UnexpectedCharacters):
        start: int = details.pos_in_stream or 0
        if text[start] == '"':
            return _at(start, 1, "the text has no closing quote on this line", text, reader)
        return _at(start, 1, f"{text[start]!r} cannot stand here", text, reader)
    token: Token = details.token
    if token.type == "$END" or not text[token.start_pos or 0 :].strip():
        end = max(0, len(_without_comments(text).rstrip()) - 1)
        return _at(end, 1, "the text ends in the middle of a statement", text, reader, _expected(details))
    start = token.start_pos or 0
    if token.type == "_NL":
        return _at(start, 1, "the end of the line cannot stand here", text, reader, _expected(details))
    return _at(start, len(token), f"{str(token)!r} cannot stand here", text, reader, _expected(details))


def _at(start: int, length: int, message: str, text: str, reader: Reader, help: str | None = None) -> Diagnostic:
    span = Span(reader.source, start + reader.offset, start + length + reader.offset)
    bracket = _open_bracket(text[:start])
    if bracket is None or "\n" not in text[bracket:start]:
        return Diagnostic(CODE, message, span, help)
    place = Span(reader.source, bracket + reader.offset, bracket + reader.offset + 1)
    return Diagnostic(CODE, message, span, help, (place, "this bracket is still open"))


def _expected(details: Any) -> str | None:
    names: set[str] = set(getattr(details, "accepts", None) or getattr(details, "expected", None) or ())
    if len(names) > _MANY:
        return None
    if "DOMAIN_OPERATOR" in names:
        names.discard("CAPITAL")  # an operator is either
    words = sorted({_WORDS.get(n, f"'{n.lower()}'") for n in names if not n.startswith("__")})
    return f"expected {' or '.join(words)}" if words else None


_PIECES = re.compile(r'"(?:\\.|[^"\\\n])*"|#[^\n]*|[()\[\]]')


def _without_comments(text: str) -> str:
    return _PIECES.sub(lambda m: " " * len(m[0]) if m[0].startswith("#") else m[0], text)


def _open_bracket(text: str) -> int | None:
    """Where the innermost bracket that the text leaves open stands."""
    waiting: list[int] = []
    for found in _PIECES.finditer(text):
        if found[0] in "([":
            waiting.append(found.start())
        elif found[0] in ")]" and waiting:
            waiting.pop()
    return waiting[-1] if waiting else None
