"""What integers a model's inputs may hold, as far as the graph tells: an index stays inside the axis it indexes."""

from __future__ import annotations

import onnx
from onnx import numpy_helper

from graphopt.data.facts import Range
from graphopt.graph.bodies import bodies_of

_KEEPS_VALUES = frozenset(
    {"Cast", "CastLike", "Concat", "Expand", "Flatten", "Gather", "GatherElements", "Identity", "Pad", "Reshape"}
    | {"Slice", "Split", "Squeeze", "Tile", "Transpose", "Unsqueeze"}
)
"""Operators whose output holds no other values than their first input (Concat: than its inputs) does."""

_INTEGERS = frozenset(
    {
        onnx.TensorProto.INT32,
        onnx.TensorProto.INT64,
        onnx.TensorProto.INT16,
        onnx.TensorProto.INT8,
        onnx.TensorProto.UINT8,
        onnx.TensorProto.UINT16,
        onnx.TensorProto.UINT32,
        onnx.TensorProto.UINT64,
    }
)


def integer_hints(model: onnx.ModelProto) -> dict[str, Range]:
    """The range of every integer input that ends as an index (of Gather, GatherElements, GatherND or OneHot), directly
    or through operators that only move values. External weights are not read."""
    ranges: dict[str, Range] = {}
    _collect(model.graph, ranges, _Known(model.graph))
    return {
        i.name: ranges[i.name]
        for i in model.graph.input
        if i.name in ranges and i.type.tensor_type.elem_type in _INTEGERS
    }


class _Known:
    """Dims of values, and small constants, as the file states them."""

    def __init__(self, graph: onnx.GraphProto, outer: _Known | None = None) -> None:
        self.dims: dict[str, list[int | None]] = dict(outer.dims) if outer else {}
        self.constants: dict[str, onnx.TensorProto] = dict(outer.constants) if outer else {}
        for info in (*graph.input, *graph.value_info, *graph.output):
            if info.type.tensor_type.HasField("shape"):
                sizes = [d.dim_value if d.HasField("dim_value") else None for d in info.type.tensor_type.shape.dim]
                self.dims[info.name] = sizes
        for tensor in graph.initializer:
            self._take(tensor.name, tensor)
        for node in graph.node:
            if node.op_type == "Constant" and node.attribute and node.attribute[0].name == "value":
                self._take(node.output[0], node.attribute[0].t)

    def _take(self, name: str, tensor: onnx.TensorProto) -> None:
        self.dims[name] = list(tensor.dims)
        self.constants[name] = tensor

    def scalar(self, name: str) -> int | None:
        tensor = self.constants.get(name)
        if tensor is None or tensor.data_location == onnx.TensorProto.EXTERNAL or list(tensor.dims) not in ([], [1]):
            return None
        return int(numpy_helper.to_array(tensor).reshape(-1)[0])


def _collect(graph: onnx.GraphProto, ranges: dict[str, Range], known: _Known) -> None:
    """Backwards through the nodes: uses come after definitions, so that a range is complete when it is passed on."""
    for node in reversed(graph.node):
        for body in bodies_of(node):
            inner: dict[str, Range] = {}
            _collect(body, inner, _Known(body, known))
            own = {i.name for i in body.input} | {o for n in body.node for o in n.output}
            for name, found in inner.items():
                if name not in own:
                    _narrow(ranges, name, found)
        indexed = _indexed(node, known)
        if indexed is not None:
            _narrow(ranges, *indexed)
        _pass_on(node, ranges)


def _pass_on(node: onnx.NodeProto, ranges: dict[str, Range]) -> None:
    found = [ranges[o] for o in node.output if o in ranges]
    if not found or node.op_type not in _KEEPS_VALUES or node.domain not in ("", "ai.onnx"):
        return
    sources = node.input if node.op_type == "Concat" else node.input[:1]
    for name in sources:
        for one in found:
            _narrow(ranges, name, one)


def _narrow(ranges: dict[str, Range], name: str, found: Range) -> None:
    low, high = ranges.get(name, found)
    ranges[name] = (max(low, found[0]), min(high, found[1]))


def _indexed(node: onnx.NodeProto, known: _Known) -> tuple[str, Range] | None:
    """The value that a node uses as an index, and the range of that index."""
    if node.domain not in ("", "ai.onnx"):
        return None
    if node.op_type == "OneHot" and len(node.input) > 1:
        depth = known.scalar(node.input[1])
        return (node.input[0], (0, depth - 1)) if depth else None
    if node.op_type not in ("Gather", "GatherElements", "GatherND") or len(node.input) < 2:
        return None
    dims = known.dims.get(node.input[0])
    if not dims:
        return None
    if node.op_type == "GatherND":
        sizes = [d for d in dims if d]
        return (node.input[1], (0, min(sizes) - 1)) if len(sizes) == len(dims) else None
    axis = next((int(a.i) for a in node.attribute if a.name == "axis"), 0)
    size = dims[axis] if -len(dims) <= axis < len(dims) else None
    return (node.input[1], (0, size - 1)) if size else None
