"""How far a condition is from being as wanted: 0 where it is, and less the nearer.

The distances are those of search-based testing (Korel, "Automated software test data generation", 1990; McMinn's
survey of 2004): a comparison is as far off as its sides are apart, `and` adds, `or` takes the nearer one, `not` asks
for the opposite.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from graphopt.graph.graph import Value
from graphopt.lang import tree as t
from graphopt.lang.evaluate import compile_expression
from graphopt.lang.values import UNKNOWN, Constant, Decline, Symbol, as_truth, constant_of, is_list
from graphopt.verify.by_object import by_object

OPEN = 2.0
"""The distance of what is not known."""

DECLINED = 4.0
"""The distance of what cannot be computed."""

Bindings = dict[str, Any]

_compiled = by_object(compile_expression)

_OPPOSITE = {"==": "!=", "!=": "==", "<": ">=", "<=": ">", ">": "<=", ">=": "<"}


def with_lets(rule: t.Rule, bindings: Bindings) -> Bindings:
    """The bindings, and those lets that can be computed from them."""
    found = dict(bindings)
    for let in rule.lets:
        if let.name not in found:
            value = value_of(let.value, found)
            if not isinstance(value, Failed):
                found[let.name] = value
    return found


class Failed:
    """What an expression is that cannot be computed."""


_FAILED = Failed()


def value_of(expression: t.Expression, bindings: Bindings) -> Any:
    """What an expression is, `Failed` where it cannot be computed."""
    try:
        with np.errstate(all="ignore"):
            return _compiled(expression)(bindings)
    except (Decline, KeyError, TypeError, ValueError, IndexError, ZeroDivisionError, OverflowError):
        return _FAILED


def distance(condition: t.Expression, bindings: Bindings, *, wanted: bool = True) -> float:
    """How far a condition is from being true, or from being anything but true.

    What is not known is not true: that is good enough where `wanted` is False.
    """
    truth = _truth(condition, bindings)
    if not wanted:
        return 0.0 if truth is False or truth is UNKNOWN else DECLINED if truth is None else 1.0
    return 0.0 if truth is True else _graded(condition, bindings, wanted=True)


def _truth(condition: t.Expression, bindings: Bindings) -> Any:
    """True, False, UNKNOWN, or None where it cannot be computed."""
    value = value_of(condition, bindings)
    try:
        return None if isinstance(value, Failed) else as_truth(value)
    except Decline:
        return None


def _graded(condition: t.Expression, bindings: Bindings, *, wanted: bool) -> float:
    truth = _truth(condition, bindings)
    if truth is wanted:
        return 0.0
    if isinstance(condition, t.Operation):
        sign, operands = condition.sign, condition.operands
        if sign == "not":
            return _graded(operands[0], bindings, wanted=not wanted)
        if sign in ("and", "or"):
            parts = [_graded(o, bindings, wanted=wanted) for o in operands]
            return sum(parts) if (sign == "and") == wanted else min(parts)
        if sign in _OPPOSITE:
            sides = [value_of(o, bindings) for o in operands]
            return _apart(sign if wanted else _OPPOSITE[sign], sides[0], sides[1])
        if sign == "in":
            return _membership(operands, bindings, wanted=wanted)
    if isinstance(condition, t.Call) and condition.function in ("all", "any") and len(condition.arguments) == 1:
        return _graded_items(condition, bindings, wanted=wanted)
    return DECLINED if truth is None else OPEN if truth is UNKNOWN else 1.0


def _graded_items(condition: t.Call, bindings: Bindings, *, wanted: bool) -> float:
    """`all(p >= 0)`: as far as the items are."""
    inner = condition.arguments[0]
    if isinstance(inner, t.Operation) and inner.sign in _OPPOSITE:
        sides = [value_of(o, bindings) for o in inner.operands]
        return _apart(inner.sign if wanted else _OPPOSITE[inner.sign], sides[0], sides[1])
    return 1.0


def _membership(operands: tuple[t.Expression, ...], bindings: Bindings, *, wanted: bool) -> float:
    item, items = (value_of(o, bindings) for o in operands)
    if not is_list(items):
        return DECLINED
    if not wanted:
        return 1.0
    return min((_apart("==", item, i) for i in items), default=DECLINED)


def _apart(sign: str, left: Any, right: Any) -> float:
    """How far two values are from a comparison, below 3 where they can be compared."""
    if isinstance(left, Failed) or isinstance(right, Failed):
        return DECLINED
    if any(v is UNKNOWN or isinstance(v, Symbol) for v in (left, right)):
        return OPEN
    if is_list(left) and is_list(right):
        if len(left) != len(right):
            return 1.0 + _scaled(abs(len(left) - len(right)))
        return _scaled(sum(_apart(sign, a, b) for a, b in zip(left, right, strict=True)))
    a, b = _numbers(left), _numbers(right)
    if a is None or b is None:
        return 1.0
    try:
        gaps = np.abs(np.subtract(a, b, dtype=np.float64))
    except ValueError:
        return 1.5
    holds = {"==": a == b, "!=": a != b, "<": a < b, "<=": a <= b, ">": a > b, ">=": a >= b}[sign]
    gaps = np.where(np.broadcast_to(holds, gaps.shape), 0.0, gaps + 0.01)
    total = float(np.nan_to_num(gaps, nan=1e6, posinf=1e6).sum())
    return _scaled(total) if total else 0.05


def _numbers(value: Any) -> Any:
    """A value as numbers, if it is of numbers."""
    if isinstance(value, (Constant, Value)) or is_list(value):
        try:
            array = constant_of(value).array
        except Decline:
            return None
        return array if array.dtype.kind in "fiub" else None
    return np.asarray(value) if isinstance(value, (int, float)) else None


def _scaled(total: float) -> float:
    return total / (1.0 + total)
