"""What is computed once for each object: trees are many, live long, and take as long to compare as to walk."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")

MOST_KEPT = 4096


def by_object(function: Callable[[Item], Result]) -> Callable[[Item], Result]:
    """The function, remembering its result for each object that it was given, by identity."""
    kept: dict[int, tuple[Item, Result]] = {}  # with the object, since an id is one's own only while one lives

    @wraps(function)
    def remembered(item: Item) -> Result:
        found = kept.get(id(item))
        if found is None:
            if len(kept) >= MOST_KEPT:
                kept.clear()
            found = kept[id(item)] = (item, function(item))
        return found[1]

    return remembered
