"""Functions of rules on lists, dims and conditions."""

from __future__ import annotations

import math
from typing import Any

from graphopt.graph.graph import Value
from graphopt.lang.arithmetic import arithmetic, member_of
from graphopt.lang.registry import function
from graphopt.lang.values import (
    UNKNOWN,
    Constant,
    Decline,
    Symbol,
    conjunction,
    constant_of,
    disjunction,
    equal,
    is_list,
)

MOST_ITEMS = 1 << 20
"""Longer lists than this are a mistake: what has so many elements is a constant."""


def check_count(count: int) -> None:
    """
    Raises:
        Decline: a list would be longer than any that a rule can mean.
    """
    if count > MOST_ITEMS:
        raise Decline(f"a list of {count} items")


@function("len(items: list[A]) -> int")
def _len(items: Any) -> Any:
    """How many items a list has."""
    return len(items)


@function("range(first: int, stop?: int) -> list[int]")
def _range(first: Any, stop: Any = None) -> Any:
    """The whole numbers from 0 (or `first`) up to, but without, the last argument."""
    if isinstance(first, Symbol) or isinstance(stop, Symbol):
        return UNKNOWN
    counted = range(first) if stop is None else range(first, stop)
    check_count(len(counted))
    return tuple(counted)


@function("reverse(items: list[A]) -> list[A]")
def _reverse(items: Any) -> Any:
    """The list from its end to its start."""
    return tuple(reversed(items))


@function("rep(item: A, count: int) -> list[A]")
def _rep(item: Any, count: Any) -> Any:
    """The item, `count` times."""
    if isinstance(count, Symbol):
        return UNKNOWN
    check_count(count)
    return (item,) * count


@function("prod(items: list[N]) -> N")
def product(items: Any) -> Any:
    """The product of a list of numbers."""
    multiply = arithmetic("*")
    result: Any = 1
    for item in items:
        result = multiply(result, item)
    return result


@function("sum(items: list[N]) -> N")
def _sum(items: Any) -> Any:
    """The sum of a list of numbers."""
    add = arithmetic("+")
    result: Any = 0
    for item in items:
        result = add(result, item)
    return result


@function("all(items: list[bool]|const) -> bool", takes_unknown=True)
def _all(items: Any) -> Any:
    """Whether every item is true; elements of a constant count as items. Of one truth, that truth."""
    if items is UNKNOWN or isinstance(items, bool):
        return items
    if isinstance(items, (Constant, Value)):
        return bool(constant_of(items).array.all())
    return conjunction(items)


@function("any(items: list[bool]|const) -> bool", takes_unknown=True)
def _any(items: Any) -> Any:
    """Whether some item is true; elements of a constant count as items. Of one truth, that truth."""
    if items is UNKNOWN or isinstance(items, bool):
        return items
    if isinstance(items, (Constant, Value)):
        return bool(constant_of(items).array.any())
    return disjunction(items)


@function("compose(first: list[int], second: list[int]) -> list[int]")
def _compose(first: Any, second: Any) -> Any:
    """The permutation that does `first`, then `second`: item i is first[second[i]]."""
    return tuple(first[i] for i in second)


@function("ints(constant: const) -> list[int]")
def _ints(constant: Any) -> Any:
    """The elements of a constant of integers as a list (an attribute that is a list stays as it is)."""
    if is_list(constant):
        return constant
    array = constant_of(constant).array
    if array.dtype.kind != "i":
        raise Decline("a constant is not of integers")
    check_count(array.size)
    return tuple(int(i) for i in array.ravel())


@function("axis(number: int, rank: int) -> int")
def _axis(number: Any, rank: Any) -> Any:
    """An axis counted from the front, whatever end it was counted from."""
    if not -rank <= number < rank:
        raise Decline(f"axis {number} is outside rank {rank}")
    return number % rank


@function("broadcasts_to(shape: list[int], target: list[int]) -> bool", takes_unknown=True)
def _broadcasts_to(shape: Any, target: Any) -> Any:
    """Whether a tensor of the first shape broadcasts to the second without making it larger."""
    if shape is UNKNOWN or target is UNKNOWN:
        return UNKNOWN
    if len(shape) > len(target):
        return False
    offset = len(target) - len(shape)
    pairs = zip(shape, target[offset:], strict=True)
    return conjunction(True if s == 1 else equal(s, t) for s, t in pairs)


@function("inverse(perm: list[int]) -> list[int]")
def _inverse(perm: Any) -> Any:
    """The permutation that undoes this one."""
    return tuple(sorted(range(len(perm)), key=lambda i: perm[i]))


@function("sorted(items: list[int]) -> list[int]")
def _sorted(items: Any) -> Any:
    """The numbers from the smallest to the largest."""
    return UNKNOWN if any(not isinstance(i, int) for i in items) else tuple(sorted(items))


@function("without(items: list[A], gone: list[A]) -> list[A]")
def _without(items: Any, gone: Any) -> Any:
    """The items that are not in the second list."""
    found = [member_of(item, gone) for item in items]
    if any(truth is UNKNOWN for truth in found):
        return UNKNOWN
    return tuple(item for item, is_gone in zip(items, found, strict=True) if not is_gone)


@function("not_one(axes: list[int], shape: list[int]) -> list[int]")
def _not_one(axes: Any, shape: Any) -> Any:
    """The axes whose size is not known to be 1."""
    return tuple(a for a in axes if shape[a] != 1)


@function("axes(numbers: list[int], rank: int) -> list[int]")
def _axes(numbers: Any, rank: Any) -> Any:
    """Axes counted from the front, whatever end each was counted from."""
    if any(not isinstance(n, int) or not -rank <= n < rank for n in numbers):
        raise Decline(f"axes {list(numbers)} of a tensor of rank {rank}")
    return tuple(n % rank for n in numbers)


@function("reshape_target(source: list[int], target: list[int]) -> list[int]")
def _reshape_target(source: Any, target: Any) -> Any:
    """A constant that Reshape takes for these dims: their sizes, 0 for a dynamic one that stays in its place, and -1
    for the one that is left; unknown where there is no such constant, or not for an empty tensor."""
    kept = [0 if isinstance(d, Symbol) and i < len(source) and source[i] == d else d for i, d in enumerate(target)]
    open_places = [i for i, d in enumerate(kept) if not isinstance(d, int)]
    sizes = [d for d, t in zip(kept, target, strict=True) if isinstance(t, int)]
    if 0 in sizes or len(open_places) > 1:
        return UNKNOWN
    if open_places:
        missing = _cancelled(source, target, open_places[0])
        if missing is None and 0 in kept:
            return UNKNOWN
        kept[open_places[0]] = -1 if missing is None else missing
    return tuple(kept)


def _cancelled(source: Any, target: Any, place: int) -> int | None:
    """The size at one place of the target, where everything dynamic elsewhere stands on both sides."""
    others = (*target[:place], *target[place + 1 :])
    if UNKNOWN in (*source, *others) or _names(source) != _names(others):
        return None
    have, want = (math.prod(d for d in dims if isinstance(d, int)) for dims in (source, others))
    return have // want if want and have and have % want == 0 else None


def _names(dims: Any) -> list[str]:
    return sorted(d.name for d in dims if isinstance(d, Symbol))
