"""Text that breaks inside brackets when it gets too long for a line."""

from __future__ import annotations

from dataclasses import dataclass

WIDTH = 120


@dataclass(frozen=True)
class Row:
    """Parts one after the other."""

    parts: tuple[Doc, ...]


@dataclass(frozen=True)
class Bracket:
    """Items between brackets. Where they do not fit on one line, groups of them go on lines of their own, if each fits
    there; else lines are filled, below the first item. `separator` stands behind each item but the last."""

    opening: str
    groups: tuple[tuple[Doc, ...], ...]
    closing: str
    separator: str = ","


@dataclass(frozen=True)
class Chain:
    """Operands with signs between them; breaks in front of a sign, and only inside brackets."""

    operands: tuple[Doc, ...]
    signs: tuple[str, ...]


Doc = str | Row | Bracket | Chain


def flat(doc: Doc) -> str:
    """The text on one line."""
    if isinstance(doc, str):
        return doc
    if isinstance(doc, Row):
        return "".join(flat(p) for p in doc.parts)
    if isinstance(doc, Bracket):
        items = [flat(i) for group in doc.groups for i in group]
        return f"{doc.opening}{f'{doc.separator} '.join(items)}{doc.closing}"
    first, *others = doc.operands
    return flat(first) + "".join(f" {s} {flat(o)}" for s, o in zip(doc.signs, others, strict=True))


def lay(doc: Doc, column: int) -> str:
    """The text from a column on, broken where it does not fit; lines after the first carry their indentation."""
    if column + len(flat(doc)) <= WIDTH:
        return flat(doc)
    if isinstance(doc, Bracket) and not doc.opening:
        doc = Bracket("(", doc.groups, ")", doc.separator)
    elif _is_open(doc):
        doc = Bracket("(", ((doc,),), ")")
    return _write(doc, column, 0)


def _is_open(doc: Doc) -> bool:
    """Whether a line could break outside of any bracket, which would end the statement."""
    return isinstance(doc, Chain) or (isinstance(doc, Row) and any(_is_open(p) for p in doc.parts))


def _write(doc: Doc, column: int, after: int) -> str:
    """`after` is how much must fit behind the text on its last line."""
    text = flat(doc)
    if column + len(text) + after <= WIDTH or isinstance(doc, str):
        return text
    if isinstance(doc, Row):
        return _row(doc, column, after)
    if isinstance(doc, Bracket):
        return _bracket(doc, column, after)
    return _chain(doc, column, after)


def _row(doc: Row, column: int, after: int) -> str:
    """Early brackets stay whole where they fit up to the opening of the next one: the last one breaks first."""
    text = ""
    for number, part in enumerate(doc.parts):
        part_text = _write(part, column, _unbreakable(doc.parts[number + 1 :], after))
        text += part_text
        column = _column(part_text, column)
    return text


def _unbreakable(parts: tuple[Doc, ...], after: int) -> int:
    """How much of what follows must stand on the same line."""
    length = 0
    for part in parts:
        if isinstance(part, Bracket) and any(part.groups):
            return length + len(part.opening)
        length += len(flat(part))
    return length + after


def _bracket(doc: Bracket, column: int, after: int) -> str:
    inner = column + len(doc.opening)
    lines = _group_lines(doc, inner, after) or _filled(doc, inner, after)
    return doc.opening + f"\n{' ' * inner}".join(lines) + doc.closing


def _group_lines(doc: Bracket, inner: int, after: int) -> list[str] | None:
    """One line a group, if that is more than one line and each fits."""
    groups = [f"{doc.separator} ".join(flat(i) for i in g) for g in doc.groups if g]
    ends = [len(doc.separator)] * (len(groups) - 1) + [len(doc.closing) + after]
    if len(groups) < 2 or any(inner + len(g) + e > WIDTH for g, e in zip(groups, ends, strict=True)):
        return None
    return [g + doc.separator for g in groups[:-1]] + groups[-1:]


def _filled(doc: Bracket, inner: int, after: int) -> list[str]:
    items = [i for group in doc.groups for i in group]
    lines: list[str] = []
    for number, item in enumerate(items):
        is_last = number == len(items) - 1
        end = doc.closing if is_last else doc.separator
        room = len(end) + (after if is_last else 0)
        text = flat(item)
        if lines and inner + len(lines[-1]) + 1 + len(text) + room <= WIDTH and "\n" not in lines[-1]:
            lines[-1] += f" {text}"
        else:
            lines.append(_write(item, inner, room))
        if not is_last:
            lines[-1] += doc.separator
    return lines


def _chain(doc: Chain, column: int, after: int) -> str:
    first, *others = doc.operands
    text = _write(first, column, 0)
    for number, (sign, operand) in enumerate(zip(doc.signs, others, strict=True)):
        room = after if number == len(others) - 1 else 0
        here = _column(text, column)
        if here + len(sign) + 2 + len(flat(operand)) + room <= WIDTH:
            text += f" {sign} {flat(operand)}"
        else:
            text += f"\n{' ' * column}{sign} {_write(operand, column + len(sign) + 1, room)}"
    return text


def _column(text: str, column: int) -> int:
    """Where a text ends that began at a column."""
    _, line_end, last = text.rpartition("\n")
    return len(last) if line_end else column + len(last)
