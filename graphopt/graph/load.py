"""Reading a model: parse, refuse what cannot be meant, build the graph, infer types. Weights stay in their files."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Literal

import onnx
from google.protobuf.message import DecodeError

from graphopt.errors import ModelError, RewriteError
from graphopt.graph import check_file, external, provenance, types
from graphopt.graph.attributes import Attribute, Kind
from graphopt.graph.check_text import check_text, foreign_text, not_utf8
from graphopt.graph.constant_node import constant_of
from graphopt.graph.graph import Graph, Node, Value
from graphopt.graph.interface import without_false_names
from graphopt.graph.model import Model
from graphopt.graph.notes import drop_notes
from graphopt.graph.order import dependencies
from graphopt.graph.save import to_proto
from graphopt.graph.schemas import standard_domain

Overridable = Literal["auto", "keep", "freeze"]
"""What an initializer that is also a graph input is: a default that a caller may override (keep), or a constant
(freeze). `auto` keeps it, except before IR version 4, where the format itself demands the listing."""

IR_WITHOUT_FORCED_INPUTS = 4

NOT_IN_ORDER = "the nodes of the file were not in execution order; they are now"


def load(path: str | Path, *, overridable: Overridable = "auto", notes: bool = True) -> Model:
    """Read a model file.

    Args:
        notes: keep what exporters leave for debugging; without, the model is one that `save` writes without as well.

    Raises:
        ModelError: the file cannot be read, is no ONNX model, or contradicts itself or the standard.
    """
    path = Path(path)
    raw = _read(path)
    proto = _parse(raw, path)
    if not notes:
        drop_notes(proto)
    model = _build(proto, raw, path, overridable)
    model.has_notes = notes
    return model


def from_proto(proto: onnx.ModelProto, *, overridable: Overridable = "auto") -> Model:
    """Take a model from memory. The proto must not be changed afterwards.

    Raises:
        ModelError: the model contradicts itself or the standard.
    """
    return _build(proto, proto.SerializeToString(), None, overridable)


def read_proto(path: Path) -> onnx.ModelProto:
    """A model file as it stands, its external data left where it is.

    Raises:
        ModelError: the file cannot be read, or is no ONNX model.
    """
    return _parse(_read(path), path)


def _read(path: Path) -> bytes:
    if path.is_dir():
        raise ModelError(f"{path} is a folder, not a model file", help="name the .onnx file inside it")
    try:
        raw = path.read_bytes()
    except FileNotFoundError:
        raise ModelError(f"there is no file {path}") from None
    except OSError as error:
        raise ModelError(f"cannot read {path}: {error.strerror}") from None
    if not raw:
        raise ModelError(f"{path} is empty", help="export or download the model again")
    return raw


def _parse(raw: bytes, path: Path) -> onnx.ModelProto:
    try:
        proto = onnx.ModelProto.FromString(raw)
    except DecodeError:
        raise ModelError(
            f"{path} is not an ONNX model, or is cut short",
            help="a model is a binary protobuf file, whole; export or download it again",
        ) from None
    if not proto.HasField("graph") or proto.ir_version < 1:
        raise ModelError(f"{path} holds no ONNX graph", help="export or download the model again")
    return proto


def _build(proto: onnx.ModelProto, raw: bytes, path: Path | None, overridable: Overridable) -> Model:
    try:
        return _built(proto, raw, path, overridable)
    except (TypeError, ValueError):
        text = foreign_text(proto)
        if text is None:
            raise
        raise not_utf8(text) from None


def _built(proto: onnx.ModelProto, raw: bytes, path: Path | None, overridable: Overridable) -> Model:
    check_file.check_header(proto)
    model = Model(_header(proto), path)
    trusted = len(raw) <= types.WHOLE_FILE_LIMIT and check_file.is_valid_as_a_whole(raw)
    builder = _Builder(model, external.Folder(path.parent if path else None), trusted)
    builder.fill(model.graph, proto.graph)
    provenance.unpack(model)
    _settle_overridable(model, overridable)
    if NOT_IN_ORDER in model.notes or builder.respelled:  # inference takes nodes as they come
        proto = to_proto(model)
        raw = raw if model.external else proto.SerializeToString()
    types.infer_all(model, proto, raw)
    return model


def _header(proto: onnx.ModelProto) -> onnx.ModelProto:
    header = onnx.ModelProto()
    for field, value in proto.ListFields():
        if field.name == "graph":
            continue
        if field.is_repeated:
            getattr(header, field.name).MergeFrom(value)
        elif field.message_type is not None:
            getattr(header, field.name).CopyFrom(value)
        else:
            setattr(header, field.name, value)
    return header


def _settle_overridable(model: Model, overridable: Overridable) -> None:
    graph = model.graph
    defaults = [v for v in graph.initializers if v.is_input]
    forced = model.header.ir_version < IR_WITHOUT_FORCED_INPUTS
    model.header.ir_version = max(model.header.ir_version, IR_WITHOUT_FORCED_INPUTS)
    if not defaults or overridable == "keep" or (overridable == "auto" and not forced):
        return
    for value in defaults:
        assert value.initializer is not None
        value.is_input = False
        value.declared = None
        value.shape, value.constant = value.initializer.shape, value.initializer
    graph.inputs = [v for v in graph.inputs if v.is_input]
    reason = "as IR version 3 demands" if forced else "as asked"
    what = (
        "1 initializer that was listed as an input is"
        if len(defaults) == 1
        else (f"{len(defaults)} initializers that were listed as inputs are")
    )
    model.notes.append(f"{what} taken as constant, {reason}")


Scope = dict[str, Value]


class _Builder:
    def __init__(self, model: Model, folder: external.Folder, trusted: bool) -> None:
        self.model = model
        self.folder = folder
        self.trusted = trusted
        self.respelled = False
        self._visible: Scope = {}
        self.nodes = check_file.NodeChecker(model.header)
        for function in model.header.functions:
            self._take_function_names(function)

    def _take_function_names(self, function: onnx.FunctionProto) -> None:
        take = self.model.names.take
        for name in (*function.input, *function.output):
            take(name)
        for node in function.node:
            for name in (node.name, *node.output):
                take(name)

    def fill(self, graph: Graph, proto: onnx.GraphProto) -> None:
        """Build one graph from its proto. It can capture what the graphs around it define."""
        check_text(proto)
        graph.name = proto.name
        graph.doc_string = proto.doc_string
        graph.metadata = {p.key: p.value for p in proto.metadata_props}
        graph.sparse_initializers = list(proto.sparse_initializer)
        graph.quantization_annotations = list(proto.quantization_annotation)
        scope: Scope = {}
        self._inputs(graph, proto, scope)
        self._initializers(graph, proto, scope)
        for node in proto.node:
            for name in node.output:
                if name:
                    self._define(name, graph, scope)
        declared = {info.name: info for info in proto.value_info}
        for name, info in declared.items():
            if name in scope and not scope[name].is_input:
                scope[name].declared = without_false_names(info)
        outer = {name: self._visible.get(name) for name in scope}  # a copy of all for each body would be quadratic
        self._visible.update(scope)
        for node in proto.node:
            self._node(graph, node, scope)
        self._outputs(graph, proto)
        for name, hidden in outer.items():
            if hidden is None:
                del self._visible[name]
            else:
                self._visible[name] = hidden
        if not _in_order(graph):
            _put_in_order(graph)

    def _define(self, name: str, graph: Graph, scope: Scope) -> Value:
        if not name:
            raise ModelError("an input or weight has no name", where=f"graph {graph.name!r}")
        if name in scope:
            raise ModelError(f"the value {name!r} is defined twice", where=f"graph {graph.name!r}")
        value = Value(name, graph)
        scope[name] = value
        self.model.names.take(name)
        return value

    def _inputs(self, graph: Graph, proto: onnx.GraphProto, scope: Scope) -> None:
        for info in proto.input:
            value = self._define(info.name, graph, scope)
            value.is_input = True
            value.declared = without_false_names(info)
            types.set_type(value, info.type)
            graph.inputs.append(value)

    def _initializers(self, graph: Graph, proto: onnx.GraphProto, scope: Scope) -> None:
        for tensor_proto in proto.initializer:
            value = scope.get(tensor_proto.name) or self._define(tensor_proto.name, graph, scope)
            tensor = self.folder.tensor(tensor_proto)
            self.model.external |= tensor.external is not None
            value.dtype, value.initializer = tensor.dtype, tensor
            if not value.is_input:  # what a caller gives instead of a default can have other sizes
                value.shape, value.constant = tensor.shape, tensor
            graph.initializers[value] = None
        for sparse in proto.sparse_initializer:
            if sparse.values.name not in scope:
                value = self._define(sparse.values.name, graph, scope)
                value.dtype, value.shape = self.folder.tensor(sparse.values).dtype, tuple(sparse.dims)
                self.folder.tensor(sparse.indices, f"indices of weight {sparse.values.name!r}")

    def _node(self, graph: Graph, proto: onnx.NodeProto, scope: Scope) -> None:
        check_text(proto)
        if not self.trusted:
            self.nodes.check(proto)
        inputs = [self._lookup(name, proto) if name else None for name in proto.input]
        outputs = [scope[name] if name else None for name in proto.output]
        attributes = {a.name: self._attribute(a, proto) for a in proto.attribute} if proto.attribute else {}
        domain = standard_domain(proto.domain)
        self.respelled |= domain != proto.domain
        node = Node(proto.op_type, inputs, outputs, attributes, domain=domain, name=proto.name)
        node.overload = proto.overload
        node.doc_string = proto.doc_string
        if proto.metadata_props:
            node.metadata = {p.key: p.value for p in proto.metadata_props}
        if proto.name:
            self.model.names.take(proto.name)
        for name, attribute in attributes.items():
            if attribute.is_graph:
                bodies = tuple(self._body(node, body) for body in _body_protos(proto, name))
                held = bodies if attribute.kind == Kind.GRAPHS else bodies[0]
                node.attributes[name] = Attribute(name, attribute.kind, held)
        graph.add_node(node)
        if node.op_type == "Constant" and not node.domain and node.outputs and node.outputs[0] is not None:
            value = node.outputs[0]
            value.constant = constant_of(node)
            if value.constant is not None:
                value.dtype, value.shape = value.constant.dtype, value.constant.shape

    def _lookup(self, name: str, reader: onnx.NodeProto | str) -> Value:
        value = self._visible.get(name)
        if value is None:
            where = reader if isinstance(reader, str) else check_file.node_label(reader)
            raise ModelError(f"the value {name!r} is read but never defined", where=where)
        return value

    def _body(self, node: Node, proto: onnx.GraphProto) -> Graph:
        body = Graph(self.model, proto.name, node)
        self.fill(body, proto)
        return body

    def _attribute(self, proto: onnx.AttributeProto, node: onnx.NodeProto) -> Attribute:
        tensors = _tensors(proto)
        if not tensors:
            return Attribute(proto.name, proto.type, proto=proto)
        what = f"attribute {proto.name!r} of node {check_file.node_label(node)}"
        found = [self.folder.tensor(tensor, what) for tensor in tensors]
        if proto.type != Kind.TENSOR:
            return Attribute(proto.name, proto.type, proto=proto)
        self.model.external |= found[0].external is not None
        return Attribute(proto.name, proto.type, found[0], proto=None if found[0].external else proto)

    def _outputs(self, graph: Graph, proto: onnx.GraphProto) -> None:
        for info in proto.output:
            value = self._lookup(info.name, f"outputs of graph {graph.name!r}")
            value.output_slots += 1
            graph.outputs.append(value)
            graph.output_infos.append(without_false_names(info))


def _put_in_order(graph: Graph) -> None:
    graph.sorted = False
    try:
        graph.sort()
    except RewriteError as cycle:
        raise ModelError(cycle.message, help="a model must be free of cycles; export it again") from None
    graph.model.notes.append(NOT_IN_ORDER)


def _tensors(proto: onnx.AttributeProto) -> list[onnx.TensorProto]:
    if proto.type == Kind.TENSOR:
        return [proto.t]
    if proto.type == Kind.TENSORS:
        return list(proto.tensors)
    sparse = [proto.sparse_tensor] if proto.type == Kind.SPARSE_TENSOR else proto.sparse_tensors
    return [tensor for held in sparse for tensor in (held.values, held.indices)]


def _body_protos(proto: onnx.NodeProto, name: str) -> Iterable[onnx.GraphProto]:
    attribute = next(a for a in proto.attribute if a.name == name)
    return attribute.graphs if attribute.type == Kind.GRAPHS else (attribute.g,)


def _in_order(graph: Graph) -> bool:
    seen: set[Node] = set()
    for node in graph.nodes:
        if any(d not in seen for d in dependencies(node, graph)):
            return False
        seen.add(node)
    return True
