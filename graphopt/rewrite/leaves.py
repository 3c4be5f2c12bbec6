"""The leaves of patterns: dims of a type, and numbers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from graphopt.graph.dtypes import DType
from graphopt.graph.graph import Node, Value
from graphopt.lang import tree as t
from graphopt.lang.values import dim_value
from graphopt.rewrite.state import Continue, State


def match_dims(value: Value, pattern: t.TypePattern, state: State, proceed: Continue) -> bool:
    """Match the dims of a type pattern, binding their names."""
    dims = pattern.dims
    rest = next((i for i, d in enumerate(dims) if d.kind == "rest"), None)
    if rest is not None and len(dims) == 1 and dims[0].name is None:
        return proceed()
    if value.shape is None:
        return state.stop("unknown", pattern.span, "the shape of {!r} is not known", value)
    found = tuple(dim_value(d) for d in value.shape)
    if len(found) < len(dims) - (rest is not None) or (rest is None and len(found) != len(dims)):
        return state.stop("structure", pattern.span, "{!r} is of another rank", value)
    pairs: list[tuple[t.DimPattern, Any]] = []
    after = len(dims) - rest - 1 if rest is not None else 0
    front = rest if rest is not None else len(dims)
    pairs.extend(zip(dims[:front], found[:front], strict=True))
    if rest is not None:
        pairs.append((dims[rest], found[front : len(found) - after]))
        if after:
            pairs.extend(zip(dims[-after:], found[-after:], strict=True))

    return _match_pairs(0, pairs, state, proceed)


def _match_pairs(position: int, pairs: list[tuple[t.DimPattern, Any]], state: State, proceed: Continue) -> bool:
    if position == len(pairs):
        return proceed()
    dim, size = pairs[position]
    if dim.kind == "size" and not state.same(dim.size, size, dim.span, "the dim"):
        return False
    others = position + 1
    if dim.name is not None:
        return state.bind(dim.name, size, dim.span, lambda: _match_pairs(others, pairs, state, proceed))
    return _match_pairs(others, pairs, state, proceed)


def number_matcher(pattern: t.Number) -> Callable[[Value | None, Node, State, Continue], bool]:
    """Match a one-element constant of this value."""
    wanted, span = pattern.value, pattern.span

    def run(value: Value | None, node: Node, state: State, proceed: Continue) -> bool:
        if value is None or value.constant is None or value.constant.size != 1 or value.dtype is None:
            return state.stop("structure", span, "{!r} is no constant of one element", value)
        if not (value.dtype.is_float or value.dtype.is_integer) or not _lifts_nothing(value, node):
            return state.stop("structure", span, "{!r} is no number here", value)
        found = value.constant.numpy().reshape(())
        if not _is_near(found, wanted, value.dtype, approximate=pattern.is_approximate):
            return state.stop("structure", span, "the constant is {}", found)
        return proceed()

    return run


def _is_near(found: Any, wanted: float, dtype: DType, *, approximate: bool) -> bool:
    if not approximate and dtype.is_float:
        return bool(found == np.asarray(wanted, found.dtype))
    tolerance = _tolerance(dtype) if approximate else 0.0
    return abs(float(found) - wanted) <= tolerance * abs(wanted)


def _tolerance(dtype: DType) -> float:
    """How far apart two writings of one number may lie: some exporters keep seven digits, all round to the dtype."""
    if not dtype.is_float:
        return 0.0
    mantissa = {DType.float16: 10, DType.bfloat16: 7}.get(dtype)
    return 2.0 ** (1 - mantissa) if mantissa is not None else 1e-6


def _lifts_nothing(constant: Value, node: Node) -> bool:
    """A one-element constant of rank 1 gives a scalar another rank; it counts as a number only where it does not."""
    assert constant.shape is not None
    if not constant.shape:
        return True
    others = [v for v in node.inputs if v is not None and v is not constant]
    return any(v.shape is not None and len(v.shape) >= len(constant.shape) for v in others)
