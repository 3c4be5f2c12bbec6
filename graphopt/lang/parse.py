"""From text to tree, with one clear error for each statement that is not of the language."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from typing import Any, cast

from lark import Lark, Token, Tree
from lark.exceptions import UnexpectedInput
from lark.lark import PostLex

from graphopt.lang.build import build_file
from graphopt.lang.diagnostics import Diagnostic, RuleError
from graphopt.lang.source import Source
from graphopt.lang.syntax import Branch, Reader, branches
from graphopt.lang.syntax_error import TooDeep, syntax_error, too_deep
from graphopt.lang.tables import load_parser
from graphopt.lang.tree import RuleFile


def parse(text: str, name: str = "<rules>") -> RuleFile:
    """Parse one rule file.

    Raises:
        RuleError: statements that are not of the language, each with the first place where it is not.
    """
    file, errors = parse_leniently(text, name)
    if errors:
        raise RuleError(errors)
    return file


def parse_leniently(text: str, name: str = "<rules>") -> tuple[RuleFile, list[Diagnostic]]:
    """Parse what can be parsed of a file; what cannot is left out of the tree and told as errors."""
    source = Source(name, text)
    errors: list[Diagnostic] = []
    whole = _parse_piece(text, Reader(source), errors)
    pieces = [(whole, Reader(source))]
    if errors:
        errors.clear()
        pieces = [(_parse_piece(t, r, errors), r) for t, r in _statements(source)]
    statements = [(branch, reader) for tree, reader in pieces for branch in branches(tree)]
    file, more = build_file(source, statements)
    return file, errors + more


def _parse_piece(text: str, reader: Reader, errors: list[Diagnostic]) -> Branch:
    try:
        return cast(Any, _parser()).parse(text if text.endswith("\n") else text + "\n")
    except UnexpectedInput as error:
        errors.append(syntax_error(error, text, reader))
    except TooDeep as error:
        errors.append(too_deep(error, reader))
    return Tree("start", [])


_STATEMENT = re.compile(
    r"^[ \t]*(?:(rule|axes|prune|phase|use)[ \t]+[^\s=]|(opset)[ \t]*[<>=!0-9][^\n]*"
    r"(?=(?:\n[ \t]*(?:#[^\n]*)?\r?)*"
    r"(?:\n[ \t]*(?:(?:rule|axes|prune|phase)[ \t]|use[ \t]*\"|opset[ \t]*[<>=!0-9])|\s*\Z)))",
    re.MULTILINE,
)
"""A line that opens a statement; an `opset` line that neither a statement nor the end follows is of a rule."""

_SECTION = re.compile(r"^[ \t]*(match|where|when|let|rewrite)[ \t]*:", re.MULTILINE)


def _statements(source: Source) -> Iterator[tuple[str, Reader]]:
    """The text cut where statements seem to begin: so an error in one does not hide those of the others."""
    starts = [0]
    in_head = False
    for found in _STATEMENT.finditer(source.text):
        word = found[1] or found[2]
        if word == "opset" and in_head and not _SECTION.search(source.text, starts[-1], found.start()):
            continue  # a rule's own range
        if found.start() > 0:
            starts.append(found.start())
        in_head = word == "rule"
    for start, end in zip(starts, [*starts[1:], len(source.text)], strict=True):
        yield source.text[start:end], Reader(source, start)


@cache
def _parser() -> Lark:
    return load_parser(Brackets())


class Brackets(PostLex):
    """Brackets suspend line ends, and lines of nothing but comments do not count."""

    always_accept = ("_NL",)

    def process(self, stream: Iterator[Token]) -> Iterator[Token]:
        depth = 0
        at_start = True
        for token in stream:
            if token.type in ("LPAR", "LSQB"):
                depth += 1
                if depth > TooDeep.LIMIT:
                    raise TooDeep(token)
            elif token.type in ("RPAR", "RSQB"):
                depth -= 1
            if token.type == "_NL" and (depth > 0 or at_start):
                continue
            at_start = token.type == "_NL"
            yield token
