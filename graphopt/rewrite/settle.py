"""Shapes and sizes that follow from what small integer tensors hold, and constants in place of such tensors."""

from __future__ import annotations

from math import prod

import numpy as np

from graphopt.graph.contents import Contents, contents, truths
from graphopt.graph.dtypes import DType
from graphopt.graph.graph import Node, Value
from graphopt.graph.interface import Dim, Shape
from graphopt.graph.model import Model
from graphopt.graph.refine import is_settled, refine_from
from graphopt.graph.tensor import Tensor


def settle_shapes(model: Model) -> None:
    """Give the outputs of Reshape, Expand and ConstantOfShape the shapes that their targets tell, and let what hangs
    on them know. Inference alone reads targets that are constant, and few others."""
    for node in model.all_nodes():
        find = _SHAPED.get(node.op_type) if not node.domain else None
        output = node.output() if find is not None else None
        if find is None or output is None or is_settled(output):
            continue
        shape = find(node)
        if shape is not None and _sharpen(output, shape):
            refine_from([output], model)


def known_elements(value: Value) -> Tensor | None:
    """The tensor of integers or truths that a value always is, where shapes tell; None where they do not."""
    dtype = value.dtype
    if dtype is None or dtype.bits < 8 or value.constant is not None or value.shape is None or len(value.shape) > 1:
        return None
    if dtype is not DType.bool and not dtype.is_integer:
        return None
    held = truths(value) if dtype is DType.bool else contents(value)
    if held is None or not all(isinstance(n, int) for n in held):
        return None
    return Tensor.of(np.array(held, dtype.numpy).reshape(() if value.shape == () else (-1,)))


def _sharpen(value: Value, shape: Shape) -> bool:
    """Put what is new of a shape into what is known of it."""
    known = value.shape if value.shape is not None else (None,) * len(shape)
    if len(known) != len(shape):
        return False
    # A name says no more than another name does, but one that comes from the inputs is found in other places as well.
    merged = tuple(k if isinstance(k, int) or n is None else n for k, n in zip(known, shape, strict=True))
    if merged == value.shape:
        return False
    value.shape = merged
    return True


# --- operators whose output shape is data ---


def _reshaped(node: Node) -> Shape | None:
    source, target = node.input(0), node.input(1)
    held = contents(target) if target is not None else None
    if source is None or held is None:
        return None
    copies = not node.attribute("allowzero", 0)
    dims = [_copied(source.shape, i) if copies and d == 0 else d for i, d in enumerate(held)]
    if -1 in dims:
        place = dims.index(-1)
        dims[place] = _rest(source.shape, [d for i, d in enumerate(dims) if i != place])
    return tuple(None if isinstance(d, int) and d < 0 else d for d in dims)


def _copied(shape: Shape | None, place: int) -> Dim:
    return shape[place] if shape is not None and place < len(shape) else None


def _rest(shape: Shape | None, others: list[Dim]) -> Dim:
    """What -1 stands for: the one dim that is left when equal ones cancel."""
    if shape is None or None in shape or None in others:
        return None
    left = list(shape)
    sizes = prod(d for d in others if isinstance(d, int))
    for dim in (d for d in others if isinstance(d, str)):
        if dim not in left:
            return None
        left.remove(dim)
    names = [d for d in left if isinstance(d, str)]
    have = prod(d for d in left if isinstance(d, int))
    if not sizes or have % sizes:
        return None
    if not names:
        return have // sizes
    return names[0] if len(names) == 1 and have == sizes else None


def _expanded(node: Node) -> Shape | None:
    source, target = node.input(0), node.input(1)
    held = contents(target) if target is not None else None
    if source is None or source.shape is None or held is None or any(isinstance(d, int) and d < 0 for d in held):
        return None
    rank = max(len(source.shape), len(held))
    above: Contents = (1,) * (rank - len(held)) + held
    own = (1,) * (rank - len(source.shape)) + source.shape
    return tuple(_broadcast(a, b) for a, b in zip(own, above, strict=True))


def _broadcast(left: Dim, right: Dim) -> Dim:
    if left == 1:
        return right
    if right == 1 or left == right:
        return left
    sizes = [d for d in (left, right) if isinstance(d, int)]
    return sizes[0] if len(sizes) == 1 else None


def _filled(node: Node) -> Shape | None:
    target = node.input(0)
    held = contents(target) if target is not None else None
    return held


_SHAPED = {"Reshape": _reshaped, "Expand": _expanded, "ConstantOfShape": _filled}
