"""Walking and renaming in syntax trees."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields, is_dataclass, replace
from typing import Any, TypeVar, cast

from graphopt.lang import tree as t
from graphopt.lang.source import Span

Tree = TypeVar("Tree")


def children(item: Any) -> Iterator[Any]:
    """The direct parts of a tree that are trees themselves."""
    for field in fields(item):
        yield from _trees(getattr(item, field.name))


def _trees(value: Any) -> Iterator[Any]:
    if isinstance(value, tuple):
        for part in cast("tuple[Any, ...]", value):
            yield from _trees(part)
    elif is_dataclass(value) and not isinstance(value, Span):
        yield value


def walk(item: Any) -> Iterator[Any]:
    """A tree and everything below it."""
    yield item
    for child in children(item):
        yield from walk(child)


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
