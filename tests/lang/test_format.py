"""The formatter changes the look of a file and nothing else."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any

import pytest

from graphopt.lang import tree
from graphopt.lang.format import format_text
from graphopt.lang.parse import parse
from graphopt.lang.source import Source, Span
from graphopt.rewrite.library import shipped_files
from tests.lang.documents import Block, blocks_of

PASS = sorted((Path(__file__).parent / "pass").glob("*.rules"))
ALONE = [path for path in PASS if "\n--- " not in path.read_text(encoding="utf-8")]
SHIPPED = shipped_files()
IN_DOCUMENTS = [
    block
    for document in ("docs/language.md", "rules/README.md")
    for block in blocks_of(document)
    if block.info in ("rules", "rules wrong")
]
LOOK = ("source", "parts", "statements")
"""Fields of the tree that keep the places and the order of lines, for the formatter itself."""

COMMENT = re.compile(r'"(?:\\.|[^"\\\n])*"|#([^\n]*)')


def meaning(item: Any) -> Any:
    """A tree without its places."""
    if isinstance(item, tuple):
        return tuple(meaning(part) for part in item)
    if isinstance(item, (Span, Source)) or not is_dataclass(item) or isinstance(item, type):
        return None if isinstance(item, (Span, Source)) else item
    return type(item).__name__, {f.name: meaning(getattr(item, f.name)) for f in fields(item) if f.name not in LOOK}


def comments_of(text: str) -> Counter[str]:
    return Counter(m[1].rstrip() for m in COMMENT.finditer(text) if m[1] is not None)


def only_the_look_changes(text: str) -> None:
    formatted = format_text(text)
    assert meaning(parse(formatted)) == meaning(parse(text))
    assert comments_of(formatted) == comments_of(text)
    assert format_text(formatted) == formatted


@pytest.mark.parametrize("path", ALONE, ids=lambda path: path.stem)
def test_only_the_look_changes(path: Path):
    only_the_look_changes(path.read_bytes().decode("utf-8"))


@pytest.mark.parametrize("file", SHIPPED, ids=lambda file: file.source.name)
def test_what_ships_has_the_look(file: tree.RuleFile):
    assert format_text(file.source.text) == file.source.text


@pytest.mark.parametrize("block", IN_DOCUMENTS, ids=str)
def test_what_the_documents_show_has_the_look(block: Block):
    assert format_text(block.text) == block.text
