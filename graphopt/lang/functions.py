"""Functions of the rule language: typed, documented by their sentence, open to registration from Python."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from graphopt.graph.dtypes import DType
from graphopt.graph.graph import Value
from graphopt.lang.arithmetic import arithmetic
from graphopt.lang.values import UNKNOWN, Constant, Decline, Symbol, conjunction, constant_of, equal, is_list, shape_of


@dataclass(frozen=True)
class Function:
    """A named function.

    Attributes:
        name: lower_case.
        parameters: a sort each; one that ends in `?` may be left out, one in `*` takes any number.
        result: the sort of what it returns.
        doc: one sentence.
        call: the Python behind it.
        takes_unknown: whether it wants to see UNKNOWN arguments; else any of them makes the result UNKNOWN.
    """

    name: str
    parameters: tuple[str, ...]
    result: str
    doc: str
    call: Callable[..., Any]
    takes_unknown: bool = False

    @property
    def signature(self) -> str:
        return f"{self.name}({', '.join(self.parameters)}) -> {self.result}"

    @property
    def arity(self) -> tuple[int, int | None]:
        """Fewest and most arguments; None is no limit."""
        least = sum(1 for p in self.parameters if p[-1] not in "?*")
        return least, None if any(p.endswith("*") for p in self.parameters) else len(self.parameters)


FUNCTIONS: dict[str, Function] = {}


def function(signature: str, *, takes_unknown: bool = False) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Register a function of the rule language: `@function("rep(any, int) -> list")`; its docstring documents it."""
    head, _, result = signature.partition("->")
    name, _, inside = head.strip().partition("(")
    parameters = tuple(p.strip() for p in inside.rstrip(") ").split(",") if p.strip())

    def register(call: Callable[..., Any]) -> Callable[..., Any]:
        doc = " ".join((call.__doc__ or "").split())
        FUNCTIONS[name] = Function(name, parameters, result.strip(), doc, call, takes_unknown)
        return call

    return register


def _elementwise(name: str, array_function: Any, doc: str) -> None:
    def call(operand: Any) -> Any:
        constant = constant_of(operand)
        result = np.asarray(array_function(constant.array))
        if isinstance(operand, (int, float)):
            return result.item()
        same_kind = constant.dtype is None or constant.dtype.is_float or result.dtype.kind == "i"
        return Constant(result, constant.dtype if same_kind else None)

    call.__doc__ = doc
    function(f"{name}(number) -> number")(call)


_elementwise("sqrt", np.sqrt, "Square root of a number or of each element.")
_elementwise("exp", np.exp, "e to the power of a number or of each element.")
_elementwise("log", np.log, "Natural logarithm of a number or of each element.")
_elementwise("abs", np.abs, "Magnitude of a number or of each element.")
_elementwise("floor", np.floor, "The next whole number below.")


# --- lists and dims ---


@function("len(list) -> int")
def _len(items: Any) -> Any:
    """How many items a list has."""
    return len(items)


@function("range(int, int?) -> list")
def _range(first: Any, stop: Any = None) -> Any:
    """The whole numbers from 0 (or `first`) up to, but without, the last argument."""
    if isinstance(first, Symbol) or isinstance(stop, Symbol):
        return UNKNOWN
    return tuple(range(first) if stop is None else range(first, stop))


@function("reverse(list) -> list")
def _reverse(items: Any) -> Any:
    """The list from its end to its start."""
    return tuple(reversed(items))


@function("rep(any, int) -> list")
def _rep(item: Any, count: Any) -> Any:
    """The item, `count` times."""
    return UNKNOWN if isinstance(count, Symbol) else (item,) * count


@function("prod(list) -> int")
def _prod(items: Any) -> Any:
    """The product of a list of numbers."""
    multiply = arithmetic("*")
    result: Any = 1
    for item in items:
        result = multiply(result, item)
    return result


@function("sum(list) -> int")
def _sum(items: Any) -> Any:
    """The sum of a list of numbers."""
    add = arithmetic("+")
    result: Any = 0
    for item in items:
        result = add(result, item)
    return result


@function("all(list) -> bool", takes_unknown=True)
def _all(items: Any) -> Any:
    """Whether every item is true; elements of a constant count as items. Of one truth, that truth."""
    if items is UNKNOWN or isinstance(items, bool):
        return items
    if isinstance(items, (Constant, Value)):
        return bool(constant_of(items).array.all())
    return conjunction(items)


@function("compose(list, list) -> list")
def _compose(first: Any, second: Any) -> Any:
    """The permutation that does `first`, then `second`: item i is first[second[i]]."""
    return tuple(first[i] for i in second)


@function("ints(const) -> list")
def _ints(constant: Any) -> Any:
    """The elements of a constant of integers as a list (an attribute that is a list stays as it is)."""
    if is_list(constant):
        return constant
    array = constant_of(constant).array
    if array.dtype.kind != "i":
        raise Decline("a constant is not of integers")
    return tuple(int(i) for i in array.ravel())


@function("axis(int, int) -> int")
def _axis(number: Any, rank: Any) -> Any:
    """An axis counted from the front, whatever end it was counted from."""
    if not -rank <= number < rank:
        raise Decline(f"axis {number} is outside rank {rank}")
    return number % rank


@function("broadcasts_to(list, list) -> bool", takes_unknown=True)
def _broadcasts_to(shape: Any, target: Any) -> Any:
    """Whether a tensor of the first shape broadcasts to the second without making it larger."""
    if shape is UNKNOWN or target is UNKNOWN:
        return UNKNOWN
    if len(shape) > len(target):
        return False
    offset = len(target) - len(shape)
    pairs = zip(shape, target[offset:], strict=True)
    return conjunction(True if s == 1 else equal(s, t) for s, t in pairs)


# --- tensors and constants ---


@function("rank(tensor) -> int")
def _rank(value: Any) -> Any:
    """How many axes a tensor has."""
    shape = _shape(value)
    return UNKNOWN if shape is UNKNOWN else len(shape)


@function("shape(tensor) -> list")
def _shape(value: Any) -> Any:
    """The dims of a tensor."""
    if isinstance(value, Value):
        return shape_of(value)
    return tuple(int(d) for d in constant_of(value).array.shape)


@function("size(tensor) -> int")
def _size(value: Any) -> Any:
    """How many elements a tensor has."""
    shape = _shape(value)
    return UNKNOWN if shape is UNKNOWN else _prod(shape)


@function("dtype(tensor) -> dtype")
def _dtype(value: Any) -> Any:
    """The element type of a tensor."""
    found = value.dtype if isinstance(value, Value) else constant_of(value).dtype
    return UNKNOWN if found is None else found


@function("is_const(tensor) -> bool")
def _is_const(value: Any) -> Any:
    """Whether a tensor is known while compiling."""
    return isinstance(value, Constant) or (isinstance(value, Value) and value.constant is not None)


@function("zeros(list) -> const")
def _zeros(shape: Any) -> Any:
    """A constant of zeros."""
    return Constant(np.zeros(_sizes(shape)))


@function("ones(list) -> const")
def _ones(shape: Any) -> Any:
    """A constant of ones."""
    return Constant(np.ones(_sizes(shape)))


@function("reshape(const, list) -> const")
def _reshape(value: Any, shape: Any) -> Any:
    """A constant in another shape; -1 stands for what is left."""
    constant = constant_of(value)
    try:
        return Constant(constant.array.reshape(_sizes(shape)), constant.dtype)
    except ValueError as error:
        raise Decline(str(error)) from None


@function("transpose(const, list) -> const")
def _transpose(value: Any, perm: Any) -> Any:
    """A constant with its axes in another order."""
    constant = constant_of(value)
    return Constant(np.transpose(constant.array, _sizes(perm)), constant.dtype)


@function("expand(const, list) -> const")
def _expand(value: Any, shape: Any) -> Any:
    """A constant repeated along axes of size 1 until it has this shape."""
    constant = constant_of(value)
    try:
        return Constant(np.broadcast_to(constant.array, _sizes(shape)), constant.dtype)
    except ValueError as error:
        raise Decline(str(error)) from None


@function("matmul(const, const) -> const")
def _matmul(left: Any, right: Any) -> Any:
    """The matrix product of two constants."""
    a, b = constant_of(left), constant_of(right)
    try:
        return Constant(np.matmul(a.array, b.array), a.dtype if a.dtype is b.dtype else None)
    except ValueError as error:
        raise Decline(str(error)) from None


@function("keeps_values(dtype, dtype) -> bool")
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


def _sizes(items: Any) -> tuple[int, ...]:
    if any(isinstance(i, (Symbol, type(UNKNOWN))) for i in items):
        raise Decline("a size is not known")
    return tuple(int(i) for i in items)
