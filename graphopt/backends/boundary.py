"""Inputs and outputs whose element types an engine cannot have, given the types that it computes in.

A legalized model casts such an input before anything else reads it, and casts to the type of such an output last. The
engine takes and gives what stands on the inner side of those Casts.
"""

from __future__ import annotations

import onnx

from graphopt.graph.bodies import bodies_of
from graphopt.graph.dtypes import DType

INSIDE = {
    DType.int16: DType.int32,
    DType.uint16: DType.int32,
    DType.uint32: DType.int64,
    DType.uint64: DType.int64,
}
"""What stands for each element type that an input or output of an engine cannot have."""


def with_inner_types(model: onnx.ModelProto) -> onnx.ModelProto | None:
    """The model with the types that an engine's inputs and outputs can have; None where nothing changes.

    An input that is read by anything but Casts keeps its type, and so does an output that no Cast makes.
    """
    graph = model.graph
    made = {node.output[0]: index for index, node in enumerate(graph.node) if node.op_type == "Cast"}
    inputs = [i for i, v in enumerate(graph.input) if _inner(v) and _only_cast(v.name, graph)]
    outputs = [i for i, v in enumerate(graph.output) if _inner(v) and v.name in made]
    if not inputs and not outputs:
        return None
    changed = onnx.ModelProto()
    changed.CopyFrom(model)
    for index in inputs:
        _retype(changed.graph.input[index])
    for index in outputs:
        value = changed.graph.output[index]
        inner = _retype(value)
        for attribute in changed.graph.node[made[value.name]].attribute:
            if attribute.name == "to":
                attribute.i = int(inner)
    return changed


def _inner(value: onnx.ValueInfoProto) -> bool:
    return value.type.tensor_type.elem_type in INSIDE


def _only_cast(name: str, graph: onnx.GraphProto) -> bool:
    if any(output.name == name for output in graph.output) or any(w.name == name for w in graph.initializer):
        return False
    return all(node.op_type == "Cast" or name not in node.input for node in graph.node) and not any(
        _reads_inside(node, name) for node in graph.node
    )


def _reads_inside(node: onnx.NodeProto, name: str) -> bool:
    return any(
        name in inner.input or any(o.name == name for o in body.output) or _reads_inside(inner, name)
        for body in bodies_of(node)
        for inner in body.node
    )


def _retype(value: onnx.ValueInfoProto) -> DType:
    inner = INSIDE[DType(value.type.tensor_type.elem_type)]
    value.type.tensor_type.elem_type = int(inner)
    return inner
