"""The formatter: one look for all rule files. It owns indentation, alignment, brackets and line breaks; comments stay,
and so do empty lines, one at a time."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

from graphopt.lang.format_lines import Line, lines_of
from graphopt.lang.layout import lay
from graphopt.lang.parse import parse
from graphopt.lang.source import Source, Span

INDENT = 4
TEXT_OR_COMMENT = re.compile(r'"(?:\\.|[^"\\\n])*"|#[^\n]*')


def format_text(text: str, name: str = "<rules>") -> str:
    """The same rules in the one look; formatting what is formatted changes nothing.

    Raises:
        RuleError: the text is not of the language.
    """
    file = parse(text, name)
    entries = _arrange(list(lines_of(file)), file.source)
    _align(entries)
    return "".join(f"{line}\n" for line in _written(entries))


@dataclass
class _Entry:
    """A line or a comment of its own, in its place."""

    line: Line | None
    comment: str | None
    depth: int
    start: int
    end: int
    text: str = ""
    blank_before: bool = False
    verbatim: bool = False


# --- which comment belongs where ---


def _arrange(lines: list[Line], source: Source) -> list[_Entry]:
    entries = [_Entry(line, None, line.depth, line.span.start, line.span.end) for line in lines]
    alone: list[_Entry] = []
    for found in TEXT_OR_COMMENT.finditer(source.text):
        if not found[0].startswith("#"):
            continue
        around = next((e for e in entries if e.start < found.start() < e.end), None)
        before = _on_same_line(entries, found.start(), source.text)
        comment = found[0].rstrip()
        if around is not None:
            around.verbatim = True
        elif before is not None:
            before.comment = comment
        else:
            alone.append(_Entry(None, comment, 0, found.start(), found.end()))
    merged = sorted([*entries, *alone], key=lambda e: e.start)
    _indent_comments(merged, source)
    _keep_blank_lines(merged, source)
    return merged


def _on_same_line(entries: list[_Entry], offset: int, text: str) -> _Entry | None:
    """The last line that ends before a comment in its row."""
    row = text.rfind("\n", 0, offset) + 1
    return next((e for e in reversed(entries) if row <= e.end <= offset and e.line is not None), None)


def _indent_comments(entries: list[_Entry], source: Source) -> None:
    """A comment is indented as what follows it, unless it stands deeper: then it ends the block above."""
    for number, entry in enumerate(entries):
        if entry.line is not None:
            continue
        before = entries[number - 1] if number else None
        after = next((e for e in entries[number:] if e.line is not None), None)
        depth, column = (after.depth, _column(after, source)) if after is not None else (0, 1)
        here = _column(entry, source)
        if before is not None and before.depth > depth and here > column:
            depth = before.depth if here >= _column(before, source) else min(depth + 1, before.depth)
        entry.depth = depth


def _column(entry: _Entry, source: Source) -> int:
    return source.position(entry.start)[1]


def _keep_blank_lines(entries: list[_Entry], source: Source) -> None:
    for before, entry in pairwise(entries):
        gap = source.position(entry.start)[0] - source.position(before.end)[0]
        is_below_head = before.line is not None and _whole_head(before).endswith(":")
        entry.blank_before = gap > 1 and not is_below_head
        if entry.depth == 0 and before.depth > 0 and not _are_axes(before, entry):
            entry.blank_before = True


def _whole_head(entry: _Entry) -> str:
    assert entry.line is not None
    return entry.line.head if not entry.line.body else ""


def _are_axes(before: _Entry, entry: _Entry) -> bool:
    return all(e.line is not None and e.line.is_axes for e in (before, entry))


# --- alignment ---


def _align(entries: list[_Entry]) -> None:
    for run in _runs(entries):
        aligned = [e for e in run if e.line is not None and e.line.block is not None and e.line.body and not e.verbatim]
        width = max((len(e.line.head) for e in aligned if e.line is not None), default=0)
        for entry in run:
            entry.text = _text(entry, width if entry in aligned else 0)
        commented = [e for e in run if e.line is not None and e.comment is not None]
        widths = [len(e.text.rpartition("\n")[2]) for e in commented]
        for entry in commented:
            last = entry.text.rpartition("\n")[2]
            entry.text += f"{' ' * (max(widths) - len(last))}  {entry.comment}"


def _runs(entries: list[_Entry]) -> Iterator[list[_Entry]]:
    """Lines of one block without anything between them."""
    run: list[_Entry] = []
    for entry in entries:
        if run and (entry.blank_before or _block(run[-1]) != _block(entry)):
            yield run
            run = []
        run.append(entry)
    if run:
        yield run


def _block(entry: _Entry) -> tuple[int, int]:
    """What lines have in common that are aligned; a comment of its own has nothing in common with any."""
    if entry.line is None:
        return -1, id(entry)
    return entry.depth, id(entry.line.block) if entry.line.block is not None else 0


def _text(entry: _Entry, width: int) -> str:
    indent = " " * (INDENT * entry.depth)
    if entry.line is None:
        return indent + (entry.comment or "")
    if entry.verbatim:
        end = ":" if entry.line.head.endswith(":") and not entry.line.body else ""
        return _as_written(entry.line.span, len(indent)) + end
    if not entry.line.body:
        return indent + entry.line.head
    head = f"{indent}{entry.line.head:<{width}}{entry.line.glue}"
    return head + lay(entry.line.body, len(head))


def _as_written(span: Span, indent: int) -> str:
    """A statement with comments inside: its lines as they are, moved together."""
    source = span.source
    shift = indent - (source.position(span.start)[1] - 1)
    first, *others = source.text[span.start : span.end].replace("\t", " ").splitlines()
    moved = [" " * max(0, len(o) - len(o.lstrip()) + shift) + o.strip() if o.strip() else "" for o in others]
    return "\n".join([" " * indent + first.rstrip(), *moved])


def _written(entries: list[_Entry]) -> Iterator[str]:
    for number, entry in enumerate(entries):
        if entry.blank_before and number:
            yield ""
        yield entry.text
