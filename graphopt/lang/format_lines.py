"""The lines of a rule file, from its tree: how deep each is indented, and what is aligned with what."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby

from graphopt.lang import tree as t
from graphopt.lang.format_expressions import expression, quoted
from graphopt.lang.format_patterns import axes_head, axis, modifiers, pattern, relation, targets
from graphopt.lang.layout import Doc, flat
from graphopt.lang.source import Span


@dataclass
class Line:
    """One statement, or the head of some.

    Attributes:
        span: where it stands in the file.
        depth: how deep it is indented.
        head: what is padded so that the bodies of a block stand below each other; all of it where there is no body.
        body: what follows, after `glue`.
        block: lines of one block, side by side in the file, are aligned.
        is_axes: whether the line is of an `axes` declaration; several of these may follow without an empty line.
    """

    span: Span
    depth: int
    head: str
    body: Doc = ""
    glue: str = " "
    block: object = None
    is_axes: bool = False


def lines_of(file: t.RuleFile) -> Iterator[Line]:
    """The lines of a file in its order."""
    for statement in file.statements:
        if isinstance(statement, t.Rule):
            yield from _rule(statement)
        elif isinstance(statement, t.Axes):
            yield from _axes(statement)
        elif isinstance(statement, t.Prune):
            yield from _prune(statement)
        elif isinstance(statement, t.Use):
            yield Line(statement.span, 0, f"use {quoted(statement.path)}")
        else:
            yield Line(statement.span, 0, statement.text)


def _head(whole: Span, last: Span) -> Span:
    return Span(whole.source, whole.start, last.end)


def _rule(rule: t.Rule) -> Iterator[Line]:
    generics = ", ".join(f"{g.name}: {'|'.join(g.options)}" for g in rule.generics)
    last = rule.generics[-1].span if rule.generics else rule.name_span
    head = f"rule {rule.name}{f'<{generics}>' if generics else ''}:"
    yield Line(_head(rule.span, last), 0, head)
    for part in rule.parts:
        if isinstance(part, t.Line):
            yield Line(part.span, 1, part.text)
            continue
        yield Line(Span(part.span.source, part.span.start, part.span.start + len(part.kind)), 1, f"{part.kind}:")
        for item in part.items:
            yield _item(item, part)


def _item(item: t.Match | t.Expression | t.Let | t.Rewrite, section: t.Section) -> Line:
    if isinstance(item, t.Let):
        return Line(item.span, 2, item.name, expression(item.value), " = ", section)
    if isinstance(item, t.Match):
        shared = "shared " if item.is_shared else ""
        return Line(item.span, 2, f"{shared}{targets(item.targets)}", pattern(item.pattern), " = ")
    if isinstance(item, t.Rewrite):
        return Line(item.span, 2, targets(item.targets), expression(item.value), " = ")
    return Line(item.span, 2, "", expression(item), "")


# --- axes and prune ---

_INLINE = "declarations of one line, below each other"


def _axes(axes: t.Axes) -> Iterator[Line]:
    source = axes.span.source
    row = source.position(axes.span.start)[0]
    is_inline = all(source.position(f.span.start)[0] == row for f in axes.facts)
    if is_inline:
        yield Line(axes.span, 0, axes_head(axes), _facts(axes.facts), block=_INLINE, is_axes=True)
        return
    yield Line(_head(axes.span, axes.outputs[-1].span), 0, axes_head(axes), is_axes=True)
    for _, facts in groupby(axes.facts, lambda f: source.position(f.span.start)[0]):
        together = tuple(facts)
        span = _head(together[0].span, together[-1].span)
        if len(together) == 1 and together[0].modifiers:
            yield Line(span, 1, relation(together[0]), modifiers(together[0]), block=axes, is_axes=True)
        else:
            yield Line(span, 1, flat(_facts(together)), block=axes, is_axes=True)


def _facts(facts: tuple[t.Fact, ...]) -> Doc:
    return "; ".join(relation(f) + (f" {modifiers(f)}" if f.modifiers else "") for f in facts)


def _prune(prune: t.Prune) -> Iterator[Line]:
    yield Line(_head(prune.span, prune.name_span), 0, f"prune {prune.name}:")
    for part in prune.parts:
        if part.kind == "doc":
            (line,) = part.items
            assert isinstance(line, t.Line)
            yield Line(part.span, 1, line.text)
        else:
            yield Line(part.span, 1, f"{part.kind}:", _items(part), block=prune)


def _items(part: t.PrunePart) -> Doc:
    items: list[str] = []
    for item in part.items:
        assert not isinstance(item, t.Line)
        is_source = isinstance(item, t.AxisSource)
        items.append(f"{item.operator}.{axis(item.axis)}" if is_source else flat(expression(item)))
    return ", ".join(items)
