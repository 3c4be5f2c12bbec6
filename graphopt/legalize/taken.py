"""Whether a target takes a node as it is, for operators that the standard defines by other operators.

What TensorRT refuses of an operator that it has was measured with tensorrt_rtx 1.7.1, by building such nodes alone.
"""

from __future__ import annotations

from collections.abc import Callable

from graphopt.graph.dtypes import DType
from graphopt.graph.graph import Node
from graphopt.targets import Target

TENSORRT = ("tensorrt", "tensorrt-rtx")

HALVES = (DType.float16, DType.bfloat16)

HEAD_SIZES = (16, 256)
"""Smallest and largest head of an attention kernel; a head is a multiple of 8."""


def is_taken(node: Node, target: Target) -> bool:
    """Whether a target takes a node of the standard as it is; True where nothing speaks against it."""
    if node.op_type in target.lacks_operators:
        return False
    accepts = _ACCEPTS.get(node.op_type)
    return target.name not in TENSORRT or accepts is None or accepts(node)


def _one_output(node: Node) -> bool:
    return all(v is None or not v.is_used for v in node.outputs[1:])


def _no(_: Node) -> bool:
    return False


def _attention(node: Node) -> bool:
    """One result, no cap, no mask beside causality, heads of one size that a kernel of 16 bits has."""
    query = node.input(0)
    if not _one_output(node) or node.attribute("softcap", 0.0) or query is None or query.dtype not in HALVES:
        return False
    if node.attribute("is_causal", 0) and node.input(3) is not None:
        return False
    if any(node.attribute(name) is not None for name in ("window_size", "left_window_size", "right_window_size")):
        return False
    heads = (_head(node, 0, "q_num_heads"), _head(node, 1, "kv_num_heads"), _head(node, 2, "kv_num_heads"))
    low, high = HEAD_SIZES
    return len(set(heads)) == 1 and heads[0] is not None and low <= heads[0] <= high and heads[0] % 8 == 0


def _head(node: Node, index: int, count: str) -> int | None:
    value = node.input(index)
    shape = value.shape if value is not None else None
    size = shape[-1] if shape else None
    if shape is None or not isinstance(size, int):
        return None
    heads = node.attribute(count)
    return size if len(shape) == 4 else (size // heads if heads else None)


def _same_dtype(*dtypes: DType) -> Callable[[Node], bool]:
    return lambda node: (value := node.input(0)) is not None and value.dtype in dtypes


_ACCEPTS: dict[str, Callable[[Node], bool]] = {
    "Attention": _attention,
    "CausalConvWithState": _no,
    "Celu": _same_dtype(DType.float32),
    "Clip": _same_dtype(DType.float32, *HALVES, DType.float64, DType.int32, DType.int64),
    "FlexAttention": _no,
    "LayerNormalization": _one_output,
    "LinearAttention": _no,
}
