"""Walking and renaming in syntax trees."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import fields, is_dataclass, replace
from functools import cache
from typing import Any, TypeVar, cast

from graphopt.lang import tree as t
from graphopt.lang.source import Span

Tree = TypeVar("Tree")


def children(item: Any) -> Iterator[Any]:
    """The direct parts of a tree that are trees themselves, in the order of the text."""
    for name in _trees_of(item.__class__):
        value = getattr(item, name)
        if isinstance(value, tuple):
            yield from _trees(cast("tuple[Any, ...]", value))
        elif type(value) in _TREES:
            yield value


def _trees(values: tuple[Any, ...]) -> Iterator[Any]:
    for value in values:
        if isinstance(value, tuple):
            yield from _trees(cast("tuple[Any, ...]", value))
        elif type(value) in _TREES:
            yield value


_TREES = frozenset(
    found
    for found in vars(t).values()
    if isinstance(found, type) and is_dataclass(found) and found.__module__ == t.__name__
)


@cache
def _parts_of(kind: type[Any]) -> tuple[str, ...]:
    return tuple(f.name for f in fields(kind) if f.name not in ("span", "name_span", "operator_span", "source"))


@cache
def _trees_of(kind: type[Any]) -> tuple[str, ...]:
    """The fields that can hold trees: their types name one, and the names of trees begin with capitals."""
    types = {f.name: str(f.type).replace("None", "") for f in fields(kind)}
    return tuple(name for name in _parts_of(kind) if re.search(r"\b[A-Z]", types[name]))


def walk(item: Any) -> Iterator[Any]:
    """A tree and everything below it, in the order of the text."""
    pending = [item]
    while pending:
        current = pending.pop()
        yield current
        pending.extend(reversed(list(children(current))))


def outline(item: Any) -> Any:
    """A tree without its places: two texts mean the same where their outlines are equal."""
    if isinstance(item, tuple):
        return tuple(outline(part) for part in cast("tuple[Any, ...]", item))
    if type(item) in _TREES:
        return (item.__class__.__name__, *(outline(getattr(item, name)) for name in _parts_of(item.__class__)))
    if isinstance(item, Span):
        return None
    return (type(item).__name__, item) if isinstance(item, (bool, int, float)) else item


def names_in(item: Any) -> Iterator[str]:
    """Names of tensors, dims and lets that a pattern or an expression reads."""
    for part in walk(item):
        if isinstance(part, (t.Name, t.Variable, t.Variadic)):
            yield part.name


def rename_operator(item: Tree, name: str, operator: str) -> Tree:
    """The same tree with an operator generic replaced by one operator."""
    changes: dict[str, Any] = {}
    part = cast(Any, item)
    for field in fields(part):
        value = getattr(part, field.name)
        if isinstance(value, Span):
            continue
        renamed = _renamed(value, name, operator)
        if renamed is not value:
            changes[field.name] = renamed
    if isinstance(part, (t.NodePattern, t.NodeCall)) and part.operator == name:
        changes["operator"] = operator
    if isinstance(part, t.Capital) and part.name == name:
        changes["name"] = operator
    return replace(cast(Any, item), **changes) if changes else item


def _renamed(value: Any, name: str, operator: str) -> Any:
    if isinstance(value, tuple):
        parts = cast("tuple[Any, ...]", value)
        renamed = tuple(_renamed(p, name, operator) for p in parts)
        return renamed if any(a is not b for a, b in zip(renamed, parts, strict=True)) else parts
    if is_dataclass(value) and not isinstance(value, (Span, type)):
        return rename_operator(value, name, operator)
    return value


def pattern_size(rule: t.Rule) -> int:
    """How many nodes a rule's pattern has; of alternatives the most."""
    return sum(_size(m.pattern) for m in rule.matches)


def _size(pattern: t.InputPattern) -> int:
    if isinstance(pattern, t.Alternatives):
        return max(_size(o) for o in pattern.options)
    if isinstance(pattern, t.NodePattern):
        own = len(pattern.inputs) - 1 if pattern.is_product else 1
        return own + sum(_size(i) for i in pattern.inputs)
    return 0
