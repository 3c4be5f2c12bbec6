"""Writing a model: whole or not at all, external data beside it when it must be or was."""

from __future__ import annotations

from pathlib import Path
from typing import BinaryIO

import onnx

from graphopt.graph import provenance
from graphopt.graph.attributes import Attribute, Kind
from graphopt.graph.dtypes import DType
from graphopt.graph.files import whole_file
from graphopt.graph.graph import Graph, Node, Value
from graphopt.graph.model import Model
from graphopt.graph.tensor import Tensor

PROTOBUF_LIMIT = 2_000_000_000
"""Bytes of weights beyond which data goes beside the model: protobuf stops at 2 GiB, and nodes need room too."""

EXTERNAL_MINIMUM = 1024
"""Bytes from which a weight is worth a place in the data file."""

ALIGNMENT = 4096
"""Of each weight in the data file, so that runtimes can map it."""


def save(model: Model, path: Path) -> None:
    """Write `path`, and `path` + ".data" when the weights exceed 2 GB or the input kept them outside.

    The folder must exist. Files appear whole or not at all, and both only when both are written; the data file
    first, so that a model never names data that is not there.
    """
    if not needs_external(model):
        with whole_file(path) as file:
            file.write(_packed(to_proto(model), model).SerializeToString(deterministic=True))
        return
    data_path = path.with_name(path.name + ".data")
    with whole_file(path) as file, whole_file(data_path) as data:
        proto = _packed(to_proto(model, _DataWriter(data, data_path.name)), model)
        file.write(proto.SerializeToString(deterministic=True))


def _packed(proto: onnx.ModelProto, model: Model) -> onnx.ModelProto:
    if not model.has_notes:
        provenance.pack(proto)
    return proto


def needs_external(model: Model) -> bool:
    if model.external:
        return True
    total = model.weight_bytes()
    return total > PROTOBUF_LIMIT


class _DataWriter:
    """Lays weights one after another into the data file, equal file ranges once."""

    def __init__(self, stream: BinaryIO, location: str) -> None:
        self._stream = stream
        self._location = location
        self._position = 0
        self._placed: dict[tuple[Path, int, int], int] = {}

    def place(self, tensor: Tensor, name: str) -> onnx.TensorProto:
        length = tensor.nbytes
        source = tensor.external
        key = (source.path, source.offset, source.length) if source is not None else None
        offset = self._placed.get(key) if key is not None else None
        if offset is None:
            offset = self._write(tensor)
            if key is not None:
                self._placed[key] = offset
        proto = onnx.TensorProto(name=name, data_type=int(tensor.dtype), dims=tensor.shape)
        proto.data_location = onnx.TensorProto.EXTERNAL
        for entry, value in (("location", self._location), ("offset", offset), ("length", length)):
            proto.external_data.add(key=entry, value=str(value))
        return proto

    def _write(self, tensor: Tensor) -> int:
        padding = -self._position % ALIGNMENT
        self._stream.write(bytes(padding))
        start = self._position + padding
        for chunk in tensor.chunks():
            self._stream.write(chunk)
        self._position = start + tensor.nbytes
        return start


def to_proto(model: Model, writer: _DataWriter | None = None) -> onnx.ModelProto:
    """The whole model as a proto, its weights inline unless a writer takes them."""
    model.sort()
    proto = onnx.ModelProto()
    proto.CopyFrom(model.header)
    del proto.opset_import[:]
    for domain, version in model.opsets.items():
        proto.opset_import.add(domain=domain, version=version)
    _graph(proto.graph, model.graph, writer)
    return proto


def to_bytes(model: Model) -> bytes:
    """The serialized model with its weights inline."""
    return to_proto(model).SerializeToString(deterministic=True)


def _graph(proto: onnx.GraphProto, graph: Graph, writer: _DataWriter | None) -> None:
    proto.name = graph.name
    if graph.doc_string:
        proto.doc_string = graph.doc_string
    for key, value in graph.metadata.items():
        proto.metadata_props.add(key=key, value=value)
    for value in graph.inputs:
        assert value.declared is not None
        proto.input.append(value.declared)
    for value, info in zip(graph.outputs, graph.output_infos, strict=True):
        slot = proto.output.add()
        slot.CopyFrom(info)
        slot.name = value.name
    for value in graph.initializers:
        assert value.initializer is not None
        proto.initializer.append(_weight(value.initializer, value.name, writer))
    proto.sparse_initializer.extend(graph.sparse_initializers)
    proto.quantization_annotation.extend(graph.quantization_annotations)
    for node in graph.nodes:
        node_proto(node, proto.node.add(), writer)
        for value in node.outputs:
            if value is not None and value.declared is not None and not value.is_output:
                info = proto.value_info.add()
                info.CopyFrom(value.declared)
                info.name = value.name


def _weight(tensor: Tensor, name: str, writer: _DataWriter | None) -> onnx.TensorProto:
    if writer is None or tensor.dtype is DType.string or tensor.nbytes < EXTERNAL_MINIMUM:
        return tensor.to_proto(name)
    return writer.place(tensor, name)


def node_proto(node: Node, proto: onnx.NodeProto | None = None, writer: _DataWriter | None = None) -> onnx.NodeProto:
    """A node as a proto, its bodies included."""
    proto = onnx.NodeProto() if proto is None else proto
    proto.op_type = node.op_type
    proto.input.extend([_name(v) for v in node.inputs])
    proto.output.extend([_name(v) for v in node.outputs])
    for field, text in (("name", node.name), ("domain", node.domain), ("overload", node.overload)):
        if text:
            setattr(proto, field, text)
    if node.doc_string:
        proto.doc_string = node.doc_string
    for attribute in node.attributes.values():
        _attribute(proto.attribute.add(), attribute, writer)
    for key, value in node.metadata.items():
        proto.metadata_props.add(key=key, value=value)
    return proto


def _attribute(proto: onnx.AttributeProto, attribute: Attribute, writer: _DataWriter | None) -> None:
    if not attribute.is_graph:
        proto.CopyFrom(attribute.to_proto())
        if attribute.kind == Kind.TENSOR and not attribute.reference and attribute.value.external is not None:
            proto.t.CopyFrom(_weight(attribute.value, proto.t.name, writer))
        return
    proto.name = attribute.name
    proto.type = attribute.kind  # pyright: ignore[reportAttributeAccessIssue]
    if attribute.kind == Kind.GRAPH:
        _graph(proto.g, attribute.value, writer)
    else:
        for body in attribute.value:
            _graph(proto.graphs.add(), body, writer)


def _name(value: Value | None) -> str:
    return "" if value is None else value.name
