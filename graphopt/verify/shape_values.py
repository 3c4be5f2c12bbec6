"""Values of the small integer tensors that shapes are computed from."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import onnx
from onnx.reference import ReferenceEvaluator

from graphopt.graph.tensor import SMALL, Array

if TYPE_CHECKING:
    from graphopt.verify.draft import Known

_SHAPE_ARITHMETIC = frozenset(
    (
        "Abs", "Add", "Cast", "Concat", "ConstantOfShape", "CumSum", "Div", "Equal", "Expand", "Flatten", "Gather",
        "GatherElements", "Greater", "Identity", "Less", "Max", "Min", "Mod", "Mul", "Neg", "Not", "Range",
        "ReduceMax", "ReduceMin", "ReduceProd", "ReduceSum", "Reshape", "ScatterND", "Slice", "Split", "Squeeze",
        "Sub", "Tile", "Transpose", "Unsqueeze", "Where",
    )
)  # fmt: skip


def known_value(node: onnx.NodeProto, opset: int, inputs: Sequence[Known | None]) -> Array | None:
    """The first output of a node, where it follows from what is known of the inputs and is small; else None."""
    first = inputs[0] if inputs else None
    if node.op_type in ("Shape", "Size") and not node.domain:
        return _of_shape(node, first)
    if node.op_type not in _SHAPE_ARITHMETIC or node.domain or first is None:
        return None
    present = [k for k in inputs if k is not None]
    if any(k.value is None or k.value.size > SMALL or k.value.dtype.kind not in "iub" for k in present):
        return None
    names = [n for n in node.input if n]
    feed = {n: k.value for n, k in zip(names, present, strict=True)}
    try:
        evaluator: Any = ReferenceEvaluator(node, opsets={"": opset})
        found: list[Any] = evaluator.run(None, feed)
    except Exception:  # the reference implementation raises whatever numpy does
        return None
    value = np.asarray(found[0])
    return value if value.size <= SMALL else None


def _of_shape(node: onnx.NodeProto, of: Known | None) -> Array | None:
    if of is None or of.shape is None:
        return None
    if node.op_type == "Size":
        return np.asarray(int(np.prod(of.shape)), np.int64)
    limits = {a.name: a.i for a in node.attribute}
    start, end = limits.get("start", 0), limits.get("end")
    return np.asarray(of.shape[start:end], np.int64)
