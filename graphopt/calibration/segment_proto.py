"""A segment as a model of its own."""

from __future__ import annotations

from pathlib import Path

import onnx

from graphopt.calibration.segments import Segment, declaration
from graphopt.graph.dtypes import DType
from graphopt.graph.graph import Value
from graphopt.graph.model import Model
from graphopt.graph.save import node_proto
from graphopt.graph.tensor import Tensor

COUNTED = "graphopt.counted."
"""Before the name of a tensor in the float32 form in which it is counted."""


def counted_name(value: Value) -> str:
    """The name of the output of a segment that holds a counted value as float32."""
    return value.name if value.dtype is DType.float32 else COUNTED + value.name


def segment_proto(model: Model, segment: Segment) -> onnx.ModelProto:
    """The segment with its weights inline, but for those that lie beside the model's file and were not read.

    Its outputs are `counted_name` of each value to be counted, and the names of those that it passes on.
    """
    proto = onnx.ModelProto()
    proto.CopyFrom(model.header)
    del proto.opset_import[:]
    for domain, version in model.opsets.items():
        proto.opset_import.add(domain=domain, version=version)
    graph = proto.graph
    graph.name = "segment"
    graph.input.extend(declaration(v) for v in segment.feeds)
    for value in segment.weights:
        assert value.initializer is not None
        graph.initializer.append(_weight(model, value.initializer, value.name))
    read = {v.name for n in segment.nodes for v in n.inputs if v is not None}
    graph.sparse_initializer.extend(t for t in model.graph.sparse_initializers if t.values.name in read)
    taken: set[str] = set()
    for node in segment.nodes:
        made = node_proto(node, graph.node.add())
        if made.name in taken:  # legal in ONNX, and refused by ONNX Runtime
            made.name = ""
        taken.add(made.name)
    for value in segment.counted:
        if value.dtype is not DType.float32:
            cast = graph.node.add(op_type="Cast", input=[value.name], output=[counted_name(value)])
            cast.attribute.add(name="to", type=onnx.AttributeProto.INT, i=int(DType.float32))
    outputs = dict.fromkeys([*map(counted_name, segment.counted), *(v.name for v in segment.passed)])
    graph.output.extend(onnx.ValueInfoProto(name=name) for name in outputs)
    return proto


def data_folder(model: Model) -> Path | None:
    """The folder in which segments find the weights that lie beside the model's file."""
    return model.source.parent if model.source is not None else None


def _weight(model: Model, tensor: Tensor, name: str) -> onnx.TensorProto:
    folder, place = data_folder(model), tensor.external
    if place is None or folder is None or not place.path.is_relative_to(folder.resolve()):
        return tensor.to_proto(name)
    proto = onnx.TensorProto(name=name, data_type=int(tensor.dtype), dims=tensor.shape)
    proto.data_location = onnx.TensorProto.EXTERNAL
    location = place.path.relative_to(folder.resolve()).as_posix()
    for key, value in (("location", location), ("offset", place.offset), ("length", place.length)):
        proto.external_data.add(key=key, value=str(value))
    return proto
