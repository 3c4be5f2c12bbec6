"""Tables on the terminal."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import IO

from rich import box
from rich.console import Console
from rich.table import Table

from graphopt.report.text import printable

SHOWN = 20
"""Rows of a table that grows with the model; the rest are counted, and are all in the JSON."""


class PlainConsole(Console):
    """A console that shows text as it is (names in a model may look like markup), and lets a closed pipe be known."""

    def __init__(self, file: IO[str], width: int | None = None) -> None:
        super().__init__(file=file, markup=False, highlight=False, emoji=False, width=width)

    def on_broken_pipe(self) -> None:
        raise BrokenPipeError


def table(
    console: Console,
    title: str,
    columns: Sequence[str],
    rows: Iterable[Sequence[str]],
    *,
    numbers: Iterable[int] = (),
    limit: int | None = SHOWN,
) -> None:
    """Print a table, its columns in `numbers` flush right, without columns that are empty; nothing without rows."""
    found = [tuple(printable(cell) for cell in row) for row in rows]
    if not found:
        return
    grid = Table(box=box.SIMPLE_HEAD, show_header=any(columns), pad_edge=False)
    right = set(numbers)
    shown = [index for index in range(len(columns)) if any(row[index] for row in found)]
    for index in shown:
        grid.add_column(columns[index], justify="right" if index in right else "left", overflow="fold")
    for row in found[:limit]:
        grid.add_row(*(row[index] for index in shown))
    if title:
        console.print(title, style="bold")
    console.print(grid)
    if limit is not None and len(found) > limit:
        console.print(f"  and {len(found) - limit} more\n")
