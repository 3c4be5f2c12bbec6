"""Tensors of zeros, whatever their shape: made by ConstantOfShape or Expand, then cut and moved."""

from __future__ import annotations

from graphopt.graph.dtypes import DType
from graphopt.graph.graph import Node, Value
from graphopt.graph.tensor import Tensor

DEPTH = 8
"""Nodes that are looked through; beyond, nothing is known."""

MOVING = frozenset(
    {
        "Expand",
        "Flatten",
        "Gather",
        "Identity",
        "Reshape",
        "Slice",
        "Split",
        "Squeeze",
        "Tile",
        "Transpose",
        "Unsqueeze",
    }
)
"""Operators whose elements are all elements of their first input."""


def is_zeros(value: Value, depth: int = DEPTH) -> bool:
    """Whether every element of a tensor is known to be 0, and not -0."""
    if value.constant is not None:
        return _all_zero(value.constant)
    node = value.producer
    if node is None or node.domain or depth == 0:
        return False
    return _makes_zeros(node, depth - 1)


def _makes_zeros(node: Node, depth: int) -> bool:
    if node.op_type == "ConstantOfShape":
        filling = node.attribute("value")
        return filling is None or _all_zero(filling)
    first = node.input(0)
    if node.op_type in MOVING:
        return first is not None and is_zeros(first, depth)
    return node.op_type == "Concat" and all(v is not None and is_zeros(v, depth) for v in node.inputs)


def _all_zero(tensor: Tensor) -> bool:
    """Whether no bit is set in any element. A text never is a zero."""
    return tensor.dtype is not DType.string and not any(tensor.numpy().tobytes())
