"""The operators of expressions: on numbers, on lists of numbers element by element, and on constants.

Integers are exact and checked; everything else runs in float64. A result that is not finite is found when it is
rounded for the graph; the engine keeps numpy from warning of it on the way.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

import numpy as np

from graphopt.graph.dtypes import DType
from graphopt.graph.graph import Value
from graphopt.graph.tensor import Array
from graphopt.lang.values import UNKNOWN, Constant, Decline, Symbol, constant_of, equal, is_list, negate

INT64_LIMIT = 2.0**63

Operator = Callable[[Any, Any], Any]


def arithmetic(sign: str) -> Operator:
    """The function behind `+ - * / // % **` and the comparisons of order."""
    scalar, array_operator = _SIGNS[sign]

    def apply(left: Any, right: Any) -> Any:
        if left is UNKNOWN or right is UNKNOWN:
            return UNKNOWN
        if isinstance(left, Symbol) or isinstance(right, Symbol):
            return _symbolic(sign, left, right)
        if isinstance(left, tuple) or isinstance(right, tuple):
            return _elementwise(apply, left, right)
        if isinstance(left, (Constant, Value)) or isinstance(right, (Constant, Value)):
            return _on_constants(sign, array_operator, constant_of(left), constant_of(right))
        return _on_numbers(scalar, left, right)

    return apply


def _symbolic(sign: str, left: Any, right: Any) -> Any:
    if sign in ("+", "-") and right == 0:
        return left
    if sign in ("*", "//") and right == 1:
        return left
    if (sign == "+" and left == 0) or (sign == "*" and left == 1):
        return right
    if sign in ("<=", ">=") and left == right:
        return True
    return UNKNOWN


def _elementwise(apply: Operator, left: Any, right: Any) -> Any:
    if is_list(left) and is_list(right):
        if len(left) != len(right):
            raise Decline(f"lists of {len(left)} and {len(right)} do not go together")
        return tuple(apply(a, b) for a, b in zip(left, right, strict=True))
    if is_list(left):
        return tuple(apply(a, right) for a in left)
    return tuple(apply(left, b) for b in right)


def _on_numbers(scalar: Operator, left: Any, right: Any) -> Any:
    if left is None or right is None:
        raise Decline("a value is absent")
    try:
        return scalar(left, right)
    except (TypeError, ZeroDivisionError, OverflowError) as error:
        raise Decline(str(error)) from None


def _on_constants(sign: str, array_operator: Any, left: Constant, right: Constant) -> Constant:
    try:
        result: Array = np.asarray(array_operator(left.array, right.array))
        if result.dtype.kind == "i":
            _check_integers(array_operator, left.array, right.array)
    except (ValueError, TypeError) as error:
        raise Decline(str(error)) from None
    if sign in COMPARISONS:
        return Constant(result, DType.bool)
    return Constant(result, common_dtype(left, right, result))


def _check_integers(array_operator: Any, left: Array, right: Array) -> None:
    """int64 wraps silently; the same in float64 shows whether it did."""
    wide = array_operator(left.astype(np.float64), right.astype(np.float64))
    if wide.size and float(np.max(np.abs(wide))) >= INT64_LIMIT:
        raise Decline("an integer constant overflows int64")


def common_dtype(left: Constant, right: Constant, result: Array) -> DType | None:
    """The element type that two operands share; None where they differ or neither has one."""
    if left.dtype is None or right.dtype is None:
        known = left.dtype or right.dtype
    else:
        known = left.dtype if left.dtype is right.dtype else None
    if known is not None and known.is_float != (result.dtype.kind == "f"):
        return None
    return known


def not_equal(left: Any, right: Any) -> Any:
    return negate(equal(left, right))


def member_of(item: Any, items: Any) -> Any:
    """`item in items`, three-valued."""
    from graphopt.lang.values import disjunction

    if items is UNKNOWN:
        return UNKNOWN
    return disjunction(equal(item, other) for other in items)


def join(left: Any, right: Any) -> Any:
    """`a ++ b`: lists one after the other."""
    if left is UNKNOWN or right is UNKNOWN:
        return UNKNOWN
    if is_list(left) and is_list(right):
        return left + right
    raise Decline("++ joins lists")


def minus(operand: Any) -> Any:
    return arithmetic("-")(0, operand)


COMPARISONS = {"<", "<=", ">", ">="}


def _divide(left: Any, right: Any) -> Any:
    return left / right


def _floor_divide(left: Any, right: Any) -> Any:
    return left // right


def _power(left: Any, right: Any) -> Any:
    return left**right


_SIGNS: dict[str, tuple[Operator, Any]] = {
    "+": (operator.add, np.add),
    "-": (operator.sub, np.subtract),
    "*": (operator.mul, np.multiply),
    "/": (_divide, np.true_divide),
    "//": (_floor_divide, np.floor_divide),
    "%": (operator.mod, np.mod),
    "**": (_power, np.power),
    "<": (operator.lt, np.less),
    "<=": (operator.le, np.less_equal),
    ">": (operator.gt, np.greater),
    ">=": (operator.ge, np.greater_equal),
}
