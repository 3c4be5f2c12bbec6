"""Code in the documents, read so that tests can run it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
FENCE = re.compile(r"^```(?P<info>[^\n`]+)\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True)
class Block:
    """A fenced block: the words behind the fence, the text, and the line that it begins on."""

    info: str
    text: str
    line: int

    def __str__(self) -> str:
        return f"line {self.line}"


def blocks_of(path: str) -> list[Block]:
    """The fenced blocks of a document, in their order; each must say what it holds."""
    text = (ROOT / path).read_text(encoding="utf-8")
    found = [Block(m["info"], m["text"], text.count("\n", 0, m.start()) + 1) for m in FENCE.finditer(text)]
    assert text.count("\n```") == 2 * len(found), f"a block of {path} does not say what it holds"
    return found


def table_of(path: str, first_column: str) -> list[tuple[str, ...]]:
    """The rows of all tables whose first column has this title, the backticks taken off."""
    rows: list[tuple[str, ...]] = []
    inside = False
    for line in (ROOT / path).read_text(encoding="utf-8").splitlines():
        cells = tuple(c.strip().replace("\\|", "|") for c in re.split(r"(?<!\\)\|", line)[1:-1])
        if not cells:
            inside = False
        elif cells[0] == first_column:
            inside = True
        elif inside and not set(cells[0]) <= set("-: "):
            rows.append(tuple(c.strip("`") for c in cells))
    assert rows, f"{path} has no table of {first_column}"
    return rows
