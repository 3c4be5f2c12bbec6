"""Operators and functions of expressions run backwards: what an operand must be for a result."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from random import Random
from typing import Any

import numpy as np

from graphopt.graph.dtypes import DType
from graphopt.lang.values import UNKNOWN, Constant, Symbol, is_list
from graphopt.verify.distance import Failed
from graphopt.verify.moves import as_array

COMPARISONS = {"==": "!=", "!=": "==", "<": ">=", "<=": ">", ">": "<=", ">=": "<"}

"""The sign that says the opposite."""


def plain(value: Any) -> Any:
    """A value as constants and attributes take it: a constant as an array, all else as it is."""
    array = as_array(value)
    return value if array is None else array


def computed(compute: Callable[[], Any]) -> Any:
    try:
        with np.errstate(all="ignore"):
            return compute()
    except (TypeError, ValueError, ZeroDivisionError, OverflowError, IndexError):
        return None


def each(value: Any, call: Callable[[Any], Any]) -> Any:
    """A function of numbers, of each item of a list, or of each element of a constant."""
    if is_list(value):
        return tuple(each(v, call) for v in value)
    array = as_array(value)
    return call(value if array is None else array)


def both(left: Any, right: Any, call: Callable[[Any, Any], Any]) -> Any:
    if is_list(left) and is_list(right):
        return tuple(both(a, b, call) for a, b in zip(left, right, strict=True))
    if is_list(left):
        return tuple(both(a, right, call) for a in left)
    if is_list(right):
        return tuple(both(left, b, call) for b in right)
    a, b = as_array(left), as_array(right)
    return call(left if a is None else a, right if b is None else b)


def _exactly(a: Any, b: Any) -> Any:
    """a / b; a whole number where both are."""
    if isinstance(a, int) and isinstance(b, int):
        if a % b:
            raise ValueError("not a multiple")
        return a // b
    return a / b


Undo = Callable[[Any, Any, Any], Any]


def _undo(call: Callable[[Any, Any], Any], other: int) -> Undo:
    """What one operand must be, from the result and the other operand (0: left, 1: right)."""
    return lambda left, right, target: computed(lambda: both(target, (left, right)[other], call))


def _never(_left: Any, _right: Any, _target: Any) -> Any:
    return None


UNDO: dict[str, tuple[Undo, Undo]] = {
    "+": (_undo(lambda r, o: r - o, 1), _undo(lambda r, o: r - o, 0)),
    "-": (_undo(lambda r, o: r + o, 1), _undo(lambda r, o: o - r, 0)),
    "*": (_undo(_exactly, 1), _undo(_exactly, 0)),
    "/": (_undo(lambda r, o: r * o, 1), _undo(lambda r, o: o / r, 0)),
    "//": (_undo(lambda r, o: r * o, 1), _undo(lambda r, o: o // r, 0)),
    "%": (lambda a, b, r: computed(lambda: a - a % b + r), _never),
    "**": (_undo(lambda r, o: r ** (1 / o), 1), _never),
}

INVERSES: dict[str, Callable[[Any, Any], Any]] = {
    "ints": lambda target, _: target,
    "floats": lambda target, _: target,
    "number": lambda target, _: target,
    "expand": lambda target, _: target,
    "reverse": lambda target, _: tuple(reversed(target)),
    "abs": lambda target, _: [target, each(target, lambda v: -v)],
    "sqrt": lambda target, _: each(target, lambda v: v * v),
    "exp": lambda target, _: each(target, np.log),
    "log": lambda target, _: each(target, np.exp),
    "floor": lambda target, _: target,
    "reshape": lambda target, own: _like(target, own),
    "transpose": lambda target, own: _like(target, own),
    "sum": lambda target, own: _one_changed(own, target - sum(own), lambda item, gap: item + gap),
    "prod": lambda target, own: [(*(1,) * i, target, *(1,) * (len(own) - i - 1)) for i in range(len(own))],
    "range": lambda target, _: len(target),
}


def _like(target: Any, own: Any) -> Any:
    wanted, there = as_array(target), as_array(own)
    if wanted is None or there is None or wanted.size != there.size:
        return target if wanted is None else None
    return Constant(wanted.reshape(there.shape))


def _one_changed(own: Any, gap: Any, change: Callable[[Any, Any], Any]) -> Any:
    return [(*own[:i], change(item, gap), *own[i + 1 :]) for i, item in enumerate(own)]


def targets(sign: str, own: Any, other: Any, is_left: bool, random: Random) -> list[Any]:
    """Values of one side at which a comparison holds."""
    if isinstance(other, Failed) or other is UNKNOWN:
        return []
    if sign == "==":
        return [other]
    if sign == "!=":
        return list(around(other, random))
    strict = sign in ("<", ">")
    up = (sign in (">", ">=")) == is_left
    step = (1 if up else -1) if strict else 0

    def beyond(mine: Any, limit: Any) -> Any:
        if isinstance(mine, (int, float)) and (mine > limit + step if up else mine < limit + step):
            return mine
        return limit + step

    kept = computed(lambda: both(own, other, beyond)) if not isinstance(own, Failed) else None
    moved = computed(lambda: each(other, lambda v: v + step))
    further = computed(lambda: each(other, lambda v: v + (2 if up else -2)))
    return [v for v in (kept, moved, further) if v is not None]


def around(value: Any, random: Random) -> Iterator[Any]:
    """Values of the same kind that are another one."""
    if value is None or isinstance(value, Failed) or value is UNKNOWN or isinstance(value, Symbol):
        return
    if isinstance(value, DType):
        others = [d for d in DType if d is not value and d.bits >= 8 and not d.name.startswith(("complex", "float8"))]
        yield from random.sample(others, len(others))
    elif isinstance(value, bool):
        yield not value
    elif isinstance(value, (int, float)):
        yield from (value + 1, value - 1, value + 2, 0, 1, 2)
    elif is_list(value):
        for index, item in enumerate(value):
            for other in around(item, random):
                yield (*value[:index], other, *value[index + 1 :])
        if len(value) > 1:
            yield tuple(random.sample(value, len(value)))
            yield value[:-1]
        yield (*value, 1)
    elif (array := as_array(value)) is not None and array.dtype.kind in "fiu" and array.size:
        yield Constant(array + 1)
        changed = array.copy()
        changed.reshape(-1)[0] += 1
        yield Constant(changed)
