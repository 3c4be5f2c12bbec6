"""Where things stand in a rule file, and how a message points at them."""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Source:
    """The text of one rule file and the name that messages give it."""

    name: str
    text: str
    _starts: tuple[int, ...] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        starts = [0]
        starts.extend(i + 1 for i, c in enumerate(self.text) if c == "\n")
        object.__setattr__(self, "_starts", tuple(starts))

    def position(self, offset: int) -> tuple[int, int]:
        """Line and column, both counted from 1."""
        line = bisect_right(self._starts, offset)
        return line, offset - self._starts[line - 1] + 1

    def line(self, number: int) -> str:
        start = self._starts[number - 1]
        end = self.text.find("\n", start)
        return self.text[start : len(self.text) if end < 0 else end].rstrip("\r")


@dataclass(frozen=True)
class Span:
    """A stretch of a source, by offsets; `end` is exclusive."""

    source: Source = field(repr=False)
    start: int
    end: int

    @property
    def place(self) -> str:
        """file:line:col"""
        line, column = self.source.position(self.start)
        return f"{self.source.name}:{line}:{column}"

    @property
    def line_place(self) -> str:
        """file:line"""
        return f"{self.source.name}:{self.source.position(self.start)[0]}"

    def excerpt(self) -> str:
        """The line that the span begins on, with carets below it."""
        number, column = self.source.position(self.start)
        text = self.source.line(number)
        shown = text.replace("\t", " ")
        width = max(1, min(self.end - self.start, len(text) - column + 1))
        gutter = f"{number:>4} | "
        return f"{gutter}{shown}\n{' ' * (len(gutter) - 2)}| {' ' * (column - 1)}{'^' * width}"
