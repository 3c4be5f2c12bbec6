"""What small integer tensors hold, as far as shapes tell: numbers, names of dynamic dims, or unknown.

Exporters compute shapes by the graph: Shape, Gather, Unsqueeze, Concat and arithmetic. onnx's data propagation follows
some of it, while a file is loaded; this one follows more of it, at any time, and through what rules have changed.

A named dim stands for one size of at least 0; the same name is the same size. Sizes fit every integer type that they
are cast to, which the standard does not promise and memory does.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import reduce
from math import prod
from typing import cast

import numpy as np

from graphopt.graph.graph import Node, Value
from graphopt.graph.interface import Dim
from graphopt.graph.tensor import SMALL

Contents = tuple[Dim, ...]
"""The elements of a tensor of rank 0 or 1, in order."""

Truths = tuple[bool | None, ...]
"""The elements of a tensor of truths of rank 0 or 1, in order."""

LARGEST = (1 << 31) - 1
"""No size is larger: what is computed beyond it is unknown."""

DEPTH = 24
"""Nodes that are looked through; beyond, what a value holds is unknown."""


class _Search:
    """How much farther to look, and what was found on the way: a value that is read twice is looked at once."""

    __slots__ = ("depth", "found")

    def __init__(self, depth: int, found: dict[Value, Contents | None]) -> None:
        self.depth = depth
        self.found = found

    def deeper(self) -> _Search:
        return _Search(self.depth - 1, self.found)


def contents(value: Value) -> Contents | None:
    """The elements of an integer tensor of rank 0 or 1, None where not even their number is known."""
    return _contents(value, _Search(DEPTH, {}))


def _contents(value: Value, search: _Search) -> Contents | None:
    if value not in search.found:
        search.found[value] = _look(value, search)
    return search.found[value]


def _look(value: Value, search: _Search) -> Contents | None:
    if value.constant is not None:
        tensor = value.constant
        if not tensor.dtype.is_integer or len(tensor.shape) > 1 or tensor.size > SMALL:
            return None
        return tuple(int(n) for n in tensor.numpy().ravel())
    node = value.producer
    if node is None or node.domain or search.depth == 0 or value is not node.outputs[0]:
        return None
    follow = _FOLLOWED.get(node.op_type)
    if follow is None or value.rank not in (0, 1, None):
        return None
    found = follow(node, search.deeper())
    return found if found is not None and len(found) <= SMALL else None


def _input(node: Node, index: int, search: _Search) -> Contents | None:
    value = node.input(index)
    return None if value is None else _contents(value, search)


def _numbers(node: Node, index: int, search: _Search) -> tuple[int, ...] | None:
    found = _input(node, index, search)
    if found is None or not all(isinstance(n, int) for n in found):
        return None
    return cast("tuple[int, ...]", found)


def _rank(node: Node, index: int) -> int | None:
    value = node.input(index)
    return None if value is None else value.rank


# --- operators ---


def _shape(node: Node, search: _Search) -> Contents | None:
    value = node.input(0)
    if value is None or value.shape is None:
        return None
    return tuple(value.shape[slice(node.attribute("start", 0), node.attribute("end"))])


def _size(node: Node, search: _Search) -> Contents | None:
    value = node.input(0)
    if value is None or value.shape is None or not all(isinstance(d, int) for d in value.shape):
        return None
    return (prod(cast("tuple[int, ...]", value.shape)),)


def _same(node: Node, search: _Search) -> Contents | None:
    return _input(node, 0, search)


def _cast(node: Node, search: _Search) -> Contents | None:
    source, target = node.input(0), node.output()
    if source is None or target is None or source.dtype is None or target.dtype is None:
        return None
    if not (source.dtype.is_integer and target.dtype.is_integer):
        return None
    held = _input(node, 0, search)
    info = np.iinfo(target.dtype.numpy) if target.dtype.bits >= 8 else None
    if held is None or info is None:
        return None
    return held if all(not isinstance(n, int) or info.min <= n <= info.max for n in held) else None


def _reshape(node: Node, search: _Search) -> Contents | None:
    target = node.output()
    return _input(node, 0, search) if target is not None and target.rank is not None and target.rank <= 1 else None


def _gather(node: Node, search: _Search) -> Contents | None:
    held, places = _input(node, 0, search), _numbers(node, 1, search)
    if held is None or places is None or _rank(node, 0) != 1 or node.attribute("axis", 0) not in (0, -1):
        return None
    if not all(-len(held) <= p < len(held) for p in places):
        return None
    return tuple(held[p] for p in places)


def _concat(node: Node, search: _Search) -> Contents | None:
    parts: list[Dim] = []
    for index in range(len(node.inputs)):
        held = _input(node, index, search)
        if held is None:
            value = node.input(index)
            if value is None or value.shape is None or len(value.shape) != 1 or not isinstance(value.shape[0], int):
                return None
            held = (None,) * min(value.shape[0], SMALL + 1)
        parts.extend(held)
    return tuple(parts)


def _slice(node: Node, search: _Search) -> Contents | None:
    held = _input(node, 0, search)
    if "starts" in node.attributes:
        starts, stops = node.attribute("starts"), node.attribute("ends")
        steps: tuple[int, ...] | None = (1,)
    else:
        starts, stops = _numbers(node, 1, search), _numbers(node, 2, search)
        steps = (1,) if node.input(4) is None else _numbers(node, 4, search)
    if held is None or starts is None or stops is None or steps is None or steps == (0,):
        return None
    if not len(starts) == len(stops) == len(steps) == 1:
        return None
    return tuple(held[i] for i in _clamped(starts[0], stops[0], steps[0], len(held)))


def _clamped(start: int, stop: int, step: int, length: int) -> range:
    """Bounds as the Slice operator reads them: not quite like Python's, since a start before the first element is the
    first one, backwards as well."""
    first, last = (start + length if start < 0 else start), (stop + length if stop < 0 else stop)
    if length == 0:
        return range(0)
    if step > 0:
        return range(max(first, 0), min(last, length), step)
    return range(max(min(first, length - 1), 0), max(last, -1), step)


def _where(node: Node, search: _Search) -> Contents | None:
    chosen = _truths(node.input(0), search)
    yes, no = _input(node, 1, search), _input(node, 2, search)
    if chosen is None or yes is None or no is None:
        return None
    rows = _aligned(chosen, yes, no)
    return None if rows is None else tuple((None if c is None else y if c else n) for c, y, n in rows)


def truths(value: Value) -> Truths | None:
    """What a comparison of two such tensors gives, None where not even the number of its elements is known."""
    return _truths(value, _Search(DEPTH, {}))


def _truths(value: Value | None, search: _Search) -> Truths | None:
    if value is None:
        return None
    if value.constant is not None and value.constant.size <= SMALL and len(value.constant.shape) <= 1:
        return tuple(bool(b) for b in value.constant.numpy().ravel()) if value.constant.dtype.name == "bool" else None
    node = value.producer
    if node is None or node.domain or node.op_type not in _COMPARED or search.depth == 0:
        return None
    left, right = _input(node, 0, search.deeper()), _input(node, 1, search.deeper())
    if left is None or right is None:
        return None
    rows = _aligned(left, right)
    return None if rows is None else tuple(_COMPARED[node.op_type](a, b) for a, b in rows)


def _equal(left: Dim, right: Dim) -> bool | None:
    if isinstance(left, int) and isinstance(right, int):
        return left == right
    if left is not None and left == right:
        return True
    negative = any(isinstance(d, int) and d < 0 for d in (left, right))
    return False if negative and any(isinstance(d, str) for d in (left, right)) else None


def _less(left: Dim, right: Dim) -> bool | None:
    return left < right if isinstance(left, int) and isinstance(right, int) else None


def _greater(left: Dim, right: Dim) -> bool | None:
    return _less(right, left)


_COMPARED: dict[str, Callable[[Dim, Dim], bool | None]] = {"Equal": _equal, "Less": _less, "Greater": _greater}


def _aligned(*parts: tuple[Dim, ...] | Truths) -> list[tuple[Dim, ...]] | None:
    """Rows of operands that broadcast: each has this many elements, or one."""
    length = max(len(p) for p in parts) if all(parts) else 0
    if any(len(p) not in (1, length) for p in parts):
        return None
    return [tuple(p[0] if len(p) == 1 else p[i] for p in parts) for i in range(length)]


def _arithmetic(compute: Callable[[int, int], int | None], neutral: Callable[[Dim, Dim], Dim]) -> _Follow:
    def follow(node: Node, search: _Search) -> Contents | None:
        parts = [_input(node, index, search) for index in range(len(node.inputs))]
        known = [p for p in parts if p is not None]
        rows = _aligned(*known) if known and len(known) == len(parts) else None
        return None if rows is None else tuple(_fitting(reduce(combine, row), node) for row in rows)

    def combine(left: Dim, right: Dim) -> Dim:
        if isinstance(left, int) and isinstance(right, int):
            return compute(left, right)
        return neutral(left, right)

    return follow


def _fitting(result: Dim, node: Node) -> Dim:
    """What was computed, if neither the element type nor a size is too small for it."""
    target = node.output()
    if not isinstance(result, int):
        return result
    if target is None or target.dtype is None or not target.dtype.is_integer or target.dtype.bits < 8:
        return None
    info = np.iinfo(target.dtype.numpy)
    return result if max(info.min, -LARGEST) <= result <= min(info.max, LARGEST) else None


def _sum_with_zero(left: Dim, right: Dim) -> Dim:
    return right if left == 0 else left if right == 0 else None


def _less_zero(left: Dim, right: Dim) -> Dim:
    return left if right == 0 else 0 if left is not None and left == right else None


def _product_with_one(left: Dim, right: Dim) -> Dim:
    if left == 0 or right == 0:
        return 0
    return right if left == 1 else left if right == 1 else None


def _quotient_by_one(left: Dim, right: Dim) -> Dim:
    return left if right == 1 else None


def _divided(left: int, right: int) -> int | None:
    """Integers are divided towards zero."""
    if right == 0:
        return None
    quotient = abs(left) // abs(right)
    return quotient if (left < 0) == (right < 0) else -quotient


def _never(left: Dim, right: Dim) -> Dim:
    return left if left is not None and left == right else None


def _constant_of_shape(node: Node, search: _Search) -> Contents | None:
    lengths = _numbers(node, 0, search)
    value = node.attribute("value")
    if value is None or not value.dtype.is_integer or lengths is None or len(lengths) > 1 or prod(lengths) > SMALL:
        return None
    return (int(value.numpy().ravel()[0]),) * prod(lengths)


def _range(node: Node, search: _Search) -> Contents | None:
    bounds = [_numbers(node, i, search) for i in range(3)]
    if any(b is None or len(b) != 1 for b in bounds):
        return None
    first, last, step = (b[0] for b in bounds if b is not None)
    return None if step == 0 or abs((last - first) // step) > SMALL else tuple(range(first, last, step))


def _product(node: Node, search: _Search) -> Contents | None:
    held, target = _input(node, 0, search), node.output()
    if held is None or target is None or target.shape not in ((), (1,)):
        return None
    others = [d for d in held if d != 1]
    if all(isinstance(d, int) for d in others):
        return (_fitting(prod(cast("list[int]", others)), node),)
    return (others[0],) if len(others) == 1 else (None,)


_Follow = Callable[[Node, _Search], Contents | None]

_FOLLOWED: dict[str, _Follow] = {
    "Shape": _shape,
    "Size": _size,
    "Identity": _same,
    "Cast": _cast,
    "CastLike": _cast,
    "Unsqueeze": _reshape,
    "Squeeze": _reshape,
    "Reshape": _reshape,
    "Flatten": _reshape,
    "Gather": _gather,
    "Concat": _concat,
    "Slice": _slice,
    "Where": _where,
    "Add": _arithmetic(lambda a, b: a + b, _sum_with_zero),
    "Sub": _arithmetic(lambda a, b: a - b, _less_zero),
    "Mul": _arithmetic(lambda a, b: a * b, _product_with_one),
    "Div": _arithmetic(_divided, _quotient_by_one),
    "Min": _arithmetic(min, _never),
    "Max": _arithmetic(max, _never),
    "ConstantOfShape": _constant_of_shape,
    "Range": _range,
    "ReduceProd": _product,
}
