"""Functions of rules on tensors and constants."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from graphopt.graph.dtypes import DType
from graphopt.graph.graph import Value
from graphopt.graph.zeros import is_zeros
from graphopt.lang.arithmetic import arithmetic, common_dtype
from graphopt.lang.list_functions import check_count, product
from graphopt.lang.registry import function
from graphopt.lang.values import UNKNOWN, Constant, Decline, Symbol, constant_of, shape_of


def _elementwise(name: str, array_function: Any, doc: str, number: str = "float") -> None:
    def call(operand: Any) -> Any:
        constant = constant_of(operand)
        result = np.asarray(array_function(constant.array))
        if isinstance(operand, (int, float)):
            return result.item()
        same_kind = constant.dtype is None or constant.dtype.is_float or result.dtype.kind == "i"
        return Constant(result, constant.dtype if same_kind else None)

    call.__doc__ = doc
    function(f"{name}(value: {number}) -> {number}", f"{name}(value: const) -> const")(call)


_elementwise("sqrt", np.sqrt, "Square root of a number or of each element.")
_elementwise("exp", np.exp, "e to the power of a number or of each element.")
_elementwise("log", np.log, "Natural logarithm of a number or of each element.")
_elementwise("abs", np.abs, "Magnitude of a number or of each element.", "N")
_elementwise("floor", np.floor, "The next whole number below a number or each element.")


def _smaller_or_larger(name: str, sign: str, doc: str) -> None:
    array_function = {"<": np.minimum, ">": np.maximum}[sign]
    before = arithmetic(sign)

    def call(first: Any, second: Any) -> Any:
        if isinstance(first, (Constant, Value)) or isinstance(second, (Constant, Value)):
            a, b = constant_of(first), constant_of(second)
            result = np.asarray(array_function(a.array, b.array))
            return Constant(result, common_dtype(a, b, result))
        decided = before(first, second)
        if decided is UNKNOWN:
            return UNKNOWN
        return first if decided else second

    call.__doc__ = doc
    function(f"{name}(first: N, second: N) -> N", f"{name}(first: const, second: const) -> const")(call)


_smaller_or_larger("min", "<", "The smaller of two numbers, or of two constants element by element.")
_smaller_or_larger("max", ">", "The larger of two numbers, or of two constants element by element.")


@function("rank(value: tensor) -> int")
def _rank(value: Any) -> Any:
    """How many axes a tensor has."""
    shape = _shape(value)
    return UNKNOWN if shape is UNKNOWN else len(shape)


@function("shape(value: tensor) -> list[int]")
def _shape(value: Any) -> Any:
    """The dims of a tensor."""
    if isinstance(value, Value):
        return shape_of(value)
    return tuple(int(d) for d in constant_of(value).array.shape)


@function("size(value: tensor) -> int")
def _size(value: Any) -> Any:
    """How many elements a tensor has."""
    shape = _shape(value)
    return UNKNOWN if shape is UNKNOWN else product(shape)


@function("dtype(value: tensor) -> dtype")
def _dtype(value: Any) -> Any:
    """The element type of a tensor."""
    found = value.dtype if isinstance(value, Value) else constant_of(value).dtype
    return UNKNOWN if found is None else found


@function("is_const(value: tensor) -> bool")
def _is_const(value: Any) -> Any:
    """Whether a tensor is known while compiling."""
    return isinstance(value, Constant) or (isinstance(value, Value) and value.constant is not None)


@function("is_zeros(value: tensor) -> bool")
def _is_zeros(value: Any) -> Any:
    """Whether all elements are known to be 0 and not -0: of a constant, or of what is made of one 0 and moved."""
    return is_zeros(value) if isinstance(value, Value) else not any(constant_of(value).array.tobytes())


@function("zeros(shape: list[int]) -> const")
def _zeros(shape: Any) -> Any:
    """A constant of zeros."""
    return Constant(np.zeros(_new_shape(shape)))


@function("ones(shape: list[int]) -> const")
def _ones(shape: Any) -> Any:
    """A constant of ones."""
    return Constant(np.ones(_new_shape(shape)))


@function("reshape(value: const, shape: list[int]) -> const")
def _reshape(value: Any, shape: Any) -> Any:
    """A constant in another shape; -1 stands for what is left."""
    constant = constant_of(value)
    try:
        return Constant(constant.array.reshape(_sizes(shape)), constant.dtype)
    except ValueError as error:
        raise Decline(str(error)) from None


@function("transpose(value: const, perm: list[int]) -> const")
def _transpose(value: Any, perm: Any) -> Any:
    """A constant with its axes in another order."""
    constant = constant_of(value)
    return Constant(np.transpose(constant.array, _sizes(perm)), constant.dtype)


@function("expand(value: const, shape: list[int]) -> const")
def _expand(value: Any, shape: Any) -> Any:
    """A constant repeated along axes of size 1 until it has this shape."""
    constant = constant_of(value)
    try:
        return Constant(np.broadcast_to(constant.array, _new_shape(shape)), constant.dtype)
    except ValueError as error:
        raise Decline(str(error)) from None


@function("matmul(left: const, right: const) -> const")
def _matmul(left: Any, right: Any) -> Any:
    """The matrix product of two constants."""
    a, b = constant_of(left), constant_of(right)
    try:
        return Constant(np.matmul(a.array, b.array), a.dtype if a.dtype is b.dtype else None)
    except ValueError as error:
        raise Decline(str(error)) from None


@function("concat(first: const, second: const, axis: int) -> const")
def _concat(first: Any, second: Any, axis: Any) -> Any:
    """Two constants one after the other along an axis."""
    a, b = constant_of(first), constant_of(second)
    try:
        result = np.concatenate([a.array, b.array], axis=axis)
    except (ValueError, TypeError) as error:
        raise Decline(str(error)) from None
    return Constant(result, common_dtype(a, b, result))


@function("number(constant: const) -> float")
def _number(constant: Any) -> Any:
    """The one element of a constant, as a number."""
    array = constant_of(constant).array
    if array.size != 1 or array.dtype.kind not in "fi":
        raise Decline("a constant is not one number")
    return float(array.reshape(()))


@function("floats(constant: const) -> list[float]")
def _floats(constant: Any) -> Any:
    """The elements of a constant as a list of numbers."""
    array = constant_of(constant).array
    if array.dtype.kind not in "fi":
        raise Decline("a constant is not of numbers")
    check_count(array.size)
    return tuple(float(i) for i in array.ravel())


@function("keeps_values(source: dtype, target: dtype) -> bool")
def _keeps_values(source: Any, target: Any) -> Any:
    """Whether every value of the first element type is exactly a value of the second."""
    first, second = DType(source), DType(target)
    return first is second or second in _KEEPS.get(first, ())


_NUMBERS = tuple(
    d for d in DType if d.name in ("float16", "bfloat16", "float32", "float64") or (d.bits >= 8 and d.is_integer)
)

_KEEPS: dict[DType, tuple[DType, ...]] = {
    DType.bool: _NUMBERS,
    DType.float16: (DType.float32, DType.float64),
    DType.bfloat16: (DType.float32, DType.float64),
    DType.float32: (DType.float64,),
    DType.int8: (DType.int16, DType.int32, DType.int64, DType.float16, DType.bfloat16, DType.float32, DType.float64),
    DType.uint8: (
        DType.int16,
        DType.uint16,
        DType.int32,
        DType.uint32,
        DType.int64,
        DType.uint64,
        DType.float16,
        DType.bfloat16,
        DType.float32,
        DType.float64,
    ),
    DType.int16: (DType.int32, DType.int64, DType.float32, DType.float64),
    DType.uint16: (DType.int32, DType.uint32, DType.int64, DType.uint64, DType.float32, DType.float64),
    DType.int32: (DType.int64, DType.float64),
    DType.uint32: (DType.int64, DType.uint64, DType.float64),
}


MOST_ELEMENTS = 1 << 28
"""A rule that wants a larger constant than this (2 GB in float64) does not apply."""


def _new_shape(items: Any) -> tuple[int, ...]:
    sizes = _sizes(items)
    if math.prod(sizes) > MOST_ELEMENTS:
        raise Decline(f"a constant of {math.prod(sizes)} elements")
    return sizes


def _sizes(items: Any) -> tuple[int, ...]:
    if any(isinstance(i, (Symbol, type(UNKNOWN))) for i in items):
        raise Decline("a size is not known")
    return tuple(int(i) for i in items)
