"""From text to tree, with one clear error where the text is not of the language."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from importlib import resources
from typing import Any, cast

from lark import Lark, Token, Tree
from lark.exceptions import UnexpectedCharacters, UnexpectedEOF, UnexpectedInput, UnexpectedToken

from graphopt.lang.build import build_file
from graphopt.lang.diagnostics import Diagnostic, RuleError
from graphopt.lang.source import Source, Span
from graphopt.lang.tree import RuleFile


def parse(text: str, name: str = "<rules>") -> RuleFile:
    """Parse one rule file.

    Raises:
        RuleError: the text is not of the language; the error points at the first place where it is not.
    """
    source = Source(name, text)
    try:
        tree: Tree[Token] = cast(Any, _parser()).parse(text if text.endswith("\n") else text + "\n")
    except UnexpectedInput as error:
        raise RuleError([_syntax_error(error, source)]) from None
    return build_file(tree, source)


@cache
def _parser() -> Lark:
    grammar = resources.files("graphopt.lang").joinpath("grammar.lark").read_text(encoding="utf-8")
    return Lark(grammar, parser="lalr", postlex=_Brackets(), propagate_positions=True, maybe_placeholders=False)


class _Brackets:
    """Brackets suspend line ends, and lines of nothing but comments do not count."""

    always_accept = ("_NL",)

    def process(self, stream: Iterator[Token]) -> Iterator[Token]:
        depth = 0
        at_start = True
        for token in stream:
            if token.type in ("LPAR", "LSQB"):
                depth += 1
            elif token.type in ("RPAR", "RSQB"):
                depth -= 1
            if token.type == "_NL" and (depth > 0 or at_start):
                continue
            at_start = token.type == "_NL"
            yield token


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
    "CAPITAL": "an operator",
    "STRING": "a text in quotes",
    "NUMBER": "a number",
    "INT": "a whole number",
    "SIGNED_INT": "a whole number",
    "COMPARE": "a comparison",
    "MATCH": "'match:'",
    "REWRITE": "'rewrite:'",
    "RULE": "'rule'",
    "$END": "the end of the file",
}


def _syntax_error(error: UnexpectedInput, source: Source) -> Diagnostic:
    details = cast(Any, error)  # lark gives the attributes of its errors no types
    if isinstance(error, UnexpectedCharacters):
        start: int = details.pos_in_stream or 0
        return Diagnostic("GR001", f"{source.text[start]!r} cannot stand here", Span(source, start, start + 1))
    if isinstance(error, UnexpectedToken) and details.token.type != "$END":
        token = details.token
        start = token.start_pos or 0
        found = "the end of the line" if token.type == "_NL" else repr(str(token))
        message = f"{found} cannot stand here"
        span = Span(source, start, start + max(1, len(str(token).strip()) or 1))
    else:
        assert isinstance(error, (UnexpectedToken, UnexpectedEOF))
        message = "the file ends in the middle of a statement"
        end = max(0, len(source.text.rstrip()) - 1)
        span = Span(source, end, end + 1)
    return Diagnostic("GR001", message, span, _expected(error))


def _expected(error: UnexpectedInput) -> str | None:
    names: set[str] = set(getattr(error, "accepts", None) or getattr(error, "expected", None) or ())
    words = sorted({_WORDS[n] for n in names if n in _WORDS})
    if not words or len(words) > 4:
        return None
    return f"expected {' or '.join(words)}"
