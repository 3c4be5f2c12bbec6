"""What expressions compute with while compiling.

Plain Python numbers, text, booleans and tuples stand for themselves; None is an absent input or attribute.
Three-valued logic: UNKNOWN is what nobody has established, such as a dim that shape inference left open.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final, TypeGuard, cast

import ml_dtypes
import numpy as np

from graphopt.graph.dtypes import DType
from graphopt.graph.graph import Value
from graphopt.graph.interface import Dim
from graphopt.graph.tensor import Array, Tensor


class Unknown:
    """The third truth value, and any other value that is not established."""

    def __bool__(self) -> bool:
        raise TypeError("an unknown value has no truth; compare with `is UNKNOWN`")

    def __repr__(self) -> str:
        return "unknown"


UNKNOWN: Final = Unknown()

Truth = bool | Unknown


@dataclass(frozen=True)
class Symbol:
    """A dynamic dim by its name: equal to itself, and not known to differ from anything."""

    name: str

    def __str__(self) -> str:
        return self.name


@dataclass(eq=False, slots=True)
class Constant:
    """An array that is known while compiling.

    `array` is float64, int64, bool or complex; `dtype` is the element type that it came from, None for numbers
    that a rule wrote and that take the type of what they meet.
    """

    array: Array
    dtype: DType | None = None


class Decline(Exception):
    """The rule does not apply here, for a reason worth telling."""


def is_list(value: Any) -> TypeGuard[tuple[Any, ...]]:
    """Whether a value is a list of the language."""
    return isinstance(value, tuple)


def dim_value(dim: Dim) -> int | Symbol | Unknown:
    """A dim as expressions see it."""
    if isinstance(dim, int):
        return dim
    return UNKNOWN if dim is None else Symbol(dim)


def shape_of(value: Value) -> tuple[Any, ...] | Unknown:
    """The dims of a value, or UNKNOWN where its rank is not established."""
    return UNKNOWN if value.shape is None else tuple(dim_value(d) for d in value.shape)


def constant_of(value: Any) -> Constant:
    """The data behind anything that is known while compiling.

    Raises:
        Decline: a tensor that is known only when the model runs, or one of text.
    """
    if isinstance(value, Constant):
        return value
    if isinstance(value, Value):
        if value.constant is None:
            raise Decline(f"{value.name} is not constant")
        return Constant(_widen(value.constant.numpy()), value.constant.dtype)
    if isinstance(value, (bool, int, float, tuple, list)):
        return Constant(_widen(np.asarray(value, np.int64 if is_list(value) and not value else None)))
    if isinstance(value, Tensor):
        return Constant(_widen(value.numpy()), value.dtype)
    if isinstance(value, np.ndarray):
        return Constant(_widen(cast(Array, value)))
    raise Decline(f"{value!r} is no number")


def _widen(array: Array) -> Array:
    kind = array.dtype.kind
    if kind == "f":
        return array.astype(np.float64, copy=False)
    if kind in "bc":
        return array
    if kind in "iu":
        if array.dtype == np.uint64 and array.size and int(array.max()) > np.iinfo(np.int64).max:
            raise Decline("an unsigned constant beyond int64")
        return array.astype(np.int64, copy=False)
    if kind in "OSU":
        raise Decline("a constant of text")
    return array.astype(np.int64) if array.dtype.name.startswith(("int", "uint")) else array.astype(np.float64)


def round_to(constant: Constant, dtype: DType) -> Array:
    """Round once to the type that a graph wants.

    Raises:
        Decline: what was computed is not finite, becomes infinite by rounding, does not fit an integer type, or is so
            small that rounding leaves little or nothing of the largest number.
    """
    array = constant.array
    if dtype.is_integer:
        rounded = array.astype(dtype.numpy)
        if not np.array_equal(rounded.astype(array.dtype), array):
            raise Decline(f"a constant does not fit {dtype.name}")
        return rounded
    rounded = array.astype(dtype.numpy)
    if dtype.is_float and not np.isfinite(rounded).all():
        finite = bool(np.isfinite(array).all())
        raise Decline(f"a constant overflows {dtype.name}" if finite else "a constant is not finite")
    if dtype.is_float and _underflows(array, rounded):
        raise Decline(f"a constant underflows {dtype.name}")
    return rounded


def _underflows(array: Array, rounded: Array) -> bool:
    """Whether even the largest number is below the smallest normal one, and not the number that it was."""
    if not array.size or array.dtype.kind != "f":
        return False
    smallest = float(cast(Any, ml_dtypes.finfo)(rounded.dtype).smallest_normal)
    place = int(np.argmax(np.abs(array)))
    exact, kept = float(array.flat[place]), float(rounded.flat[place])
    return abs(exact) < smallest and exact != kept


def equal(left: Any, right: Any) -> Truth:
    """Whether two values are provably equal, provably different, or neither. A constant equals a number if every
    element does."""
    if left is UNKNOWN or right is UNKNOWN:
        return UNKNOWN
    if left is None or right is None:
        return left is right
    if isinstance(left, Symbol) or isinstance(right, Symbol):
        return True if left == right else UNKNOWN
    if isinstance(left, (tuple, list)) and isinstance(right, (tuple, list)):
        return _equal_lists(left, right)
    if isinstance(left, (Constant, Value)) or isinstance(right, (Constant, Value)):
        if isinstance(left, Value) and isinstance(right, Value) and left is right:
            return True
        if isinstance(left, (int, float)) or isinstance(right, (int, float)):
            return bool((constant_of(left).array == constant_of(right).array).all())
        return bool(np.array_equal(constant_of(left).array, constant_of(right).array))
    return bool(left == right)


def _equal_lists(left: Any, right: Any) -> Truth:
    if len(left) != len(right):
        return False
    return conjunction(equal(a, b) for a, b in zip(left, right, strict=True))


def conjunction(truths: Any) -> Truth:
    """Kleene's and: one false decides, else one unknown leaves it open."""
    result: Truth = True
    for truth in truths:
        if truth is UNKNOWN:
            result = UNKNOWN
        elif not truth:
            return False
    return result


def disjunction(truths: Any) -> Truth:
    """Kleene's or: one true decides, else one unknown leaves it open."""
    result: Truth = False
    for truth in truths:
        if truth is UNKNOWN:
            result = UNKNOWN
        elif truth:
            return True
    return result


def negate(truth: Truth) -> Truth:
    return UNKNOWN if truth is UNKNOWN else not truth


_BOOLEANS: tuple[type[Any], ...] = (bool, np.bool_)


def as_truth(value: Any) -> Truth:
    """What a condition means: a boolean, or unknown.

    Raises:
        Decline: anything else.
    """
    if value is UNKNOWN:
        return UNKNOWN
    if isinstance(value, _BOOLEANS):
        return bool(value)
    if isinstance(value, Constant) and value.array.dtype == np.bool_ and value.array.size == 1:
        return bool(value.array.reshape(()))
    raise Decline(f"{value!r} is neither true nor false")
