"""Attribute literals, and when two attribute values are one."""

from __future__ import annotations

from typing import Any

import numpy as np

from graphopt.lang import tree as t


def literal_value(literal: t.Literal | t.ListOf) -> Any:
    """The plain value of an attribute literal."""
    if isinstance(literal, t.ListOf):
        return tuple(literal_value(i) for i in literal.items if isinstance(i, (t.Literal, t.ListOf)))
    return literal.value


def same_attribute(left: Any, right: Any) -> bool:
    """Equal as a file stores them: floats are float32 on disk."""
    if isinstance(left, float) or isinstance(right, float):
        return bool(np.float32(left) == np.float32(right))
    if isinstance(left, tuple) and isinstance(right, tuple):
        return _same_items(left, right)
    return bool(left == right)


def _same_items(left: Any, right: Any) -> bool:
    return len(left) == len(right) and all(same_attribute(a, b) for a, b in zip(left, right, strict=True))
