"""Types and shapes of every value: onnx's inference over the whole file on load, node by node for new nodes."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from functools import lru_cache

import onnx
from onnx import checker, shape_inference

from graphopt.errors import ModelError
from graphopt.graph.bodies import bodies_of
from graphopt.graph.check_file import known_dtype
from graphopt.graph.dtypes import DTYPES, DType
from graphopt.graph.graph import Graph, Node, Value
from graphopt.graph.interface import Shape, dims_of
from graphopt.graph.model import Model
from graphopt.graph.schemas import opset_imports, schema
from graphopt.graph.tensor import SMALL

_TAGS = re.compile(r"\[\w+\]\s*|Inference error\(s\):\s*")
"""What onnx puts before each level of its messages."""

WHOLE_FILE_LIMIT = 64 << 20
"""Bytes up to which inference gets the file as it is; beyond, a copy without the data of weights."""


def infer_all(model: Model, proto: onnx.ModelProto, raw: bytes) -> None:
    """Give every value the type and shape that inference finds. Values that it cannot place stay unknown.

    Raises:
        ModelError: inference finds a contradiction, and ONNX Runtime refuses the model as well.
    """
    has_defaults = any(value.is_input for value in model.graph.initializers)
    whole = len(raw) <= WHOLE_FILE_LIMIT and not model.external and not has_defaults
    subject = raw if whole else _skeleton(model, proto).SerializeToString()
    try:
        inferred = _infer(subject, strict=True)
    except _GIVES_UP as error:
        _second_opinion(model, raw, str(error))
        try:
            inferred = _infer(subject, strict=False)
        except _GIVES_UP:
            inferred = proto  # what the file declares is then all that is known
    _take_types(model.graph, inferred.graph)


_GIVES_UP = (shape_inference.InferenceError, ValueError, RuntimeError)
"""What onnx raises: the first on purpose, the others where it did not expect what it found."""


def _infer(subject: bytes, *, strict: bool) -> onnx.ModelProto:
    return shape_inference.infer_shapes(subject, check_type=strict, strict_mode=strict, data_prop=True)


def _second_opinion(model: Model, raw: bytes, problem: str) -> None:
    from graphopt.graph.judge import refusal

    reason = refusal(model.source if model.source is not None else raw)
    lines = [line.strip() for line in problem.splitlines() if line.strip()]
    detail = _TAGS.sub("", lines[-1] if lines else problem)
    if reason is not None:
        name = model.source or "the model"
        raise ModelError(
            f"{name} contradicts itself: {detail}", help="ONNX Runtime refuses it too; export the model again"
        )
    model.notes.append(f"shape inference objects, though ONNX Runtime loads the model: {detail}")


def _skeleton(model: Model, proto: onnx.ModelProto) -> onnx.ModelProto:
    """The model without the data of its large weights, with the small external ones inline, and without what callers
    may override: inference takes every initializer that it sees for a constant."""
    copy = onnx.ModelProto()
    copy.CopyFrom(model.header)
    graph = copy.graph
    graph.name = proto.graph.name
    graph.node.extend(proto.graph.node)
    graph.input.extend(proto.graph.input)
    graph.output.extend(proto.graph.output)
    graph.value_info.extend(proto.graph.value_info)
    for value in model.graph.initializers:
        tensor = value.initializer
        assert tensor is not None
        if value.is_input:
            continue
        small = tensor.size <= SMALL
        graph.initializer.append(
            tensor.to_proto(value.name)
            if small
            else onnx.TensorProto(name=value.name, data_type=int(tensor.dtype), dims=tensor.shape)
        )
    return copy


def _take_types(graph: Graph, proto: onnx.GraphProto) -> None:
    known = {info.name: info.type for info in (*proto.value_info, *proto.input, *proto.output)}
    for value in _defined(graph):
        found = known.get(value.name)
        if found is not None and value.constant is None:
            set_type(value, found)
    holders = [n for n in graph.nodes if n.has_bodies]
    if holders:
        protos = {_key(n.output, n.name): n for n in proto.node if any(True for _ in bodies_of(n))}
        for node in holders:
            found_node = protos.get(_key([o.name for o in node.outputs if o is not None], node.name))
            if found_node is not None:
                for body, body_proto in zip(node.bodies, bodies_of(found_node), strict=True):
                    _take_types(body, body_proto)


def _key(outputs: Iterable[str], name: str) -> str:
    return next((o for o in outputs if o), name)


def _defined(graph: Graph) -> Iterator[Value]:
    yield from graph.inputs
    for node in graph.nodes:
        for value in node.outputs:
            if value is not None:
                yield value


def set_type(value: Value, proto: onnx.TypeProto) -> None:
    """Take the type that a file or inference states; what it leaves open stays as known."""
    _take(value, *_stated(proto.SerializeToString()))


_Stated = tuple[int, Shape | None, onnx.TypeProto | None]
"""Number of the element type (0: not stated) and shape; or the type of what is no plain tensor."""


@lru_cache(maxsize=4096)
def _stated(raw: bytes) -> _Stated:
    """What a serialized type states: the values of a model share few types."""
    proto = onnx.TypeProto.FromString(raw)
    kind = proto.WhichOneof("value")
    if kind != "tensor_type":
        return 0, None, proto if kind is not None else None
    tensor = proto.tensor_type
    return tensor.elem_type, dims_of(tensor.shape) if tensor.HasField("shape") else None, None


def _take(value: Value, dtype: int, shape: Shape | None, other: onnx.TypeProto | None) -> None:
    if dtype:
        value.dtype = known_dtype(dtype, f"value {value.name!r}") if dtype not in DTYPES else DTYPES[dtype]
    if shape is not None:
        value.shape = merge_shapes(value.shape, shape)
    if other is not None:
        value.type_proto = other


def merge_shapes(first: Shape | None, second: Shape | None) -> Shape | None:
    """What two true statements about one shape say together; the second wins where both name a dim."""
    if first is None or second is None or len(first) != len(second):
        return second if second is not None else first
    return tuple(
        a if isinstance(a, int) and not isinstance(b, int) else (b if b is not None else a)
        for a, b in zip(first, second, strict=True)
    )


def type_proto(value: Value) -> onnx.TypeProto | None:
    """The type of a value as a proto, None where its element type is unknown."""
    if value.type_proto is not None:
        return value.type_proto
    return None if value.dtype is None else tensor_type(value.dtype, value.shape)


@lru_cache(maxsize=4096)
def tensor_type(dtype: DType, shape: Shape | None) -> onnx.TypeProto:
    """The proto of a tensor type; it is shared, so nobody may write to it."""
    proto = onnx.TypeProto()
    tensor = proto.tensor_type
    tensor.elem_type = int(dtype)
    if shape is not None:
        tensor.shape.SetInParent()
        for dim in shape:
            slot = tensor.shape.dim.add()
            if isinstance(dim, int):
                slot.dim_value = dim
            elif dim is not None:
                slot.dim_param = dim
    return proto


def infer_node(node: Node, model: Model) -> None:
    """Give the outputs of a new node their types through its schema; unknown stays unknown.

    Raises:
        onnx.shape_inference.InferenceError: the inputs do not fit the operator.
    """
    found = schema(node.op_type, model.opsets.get(node.domain, 0), node.domain)
    if found is None or node.has_bodies:
        return
    given: list[_Given | None] = []
    for value in node.inputs:
        if value is None:
            given.append(None)
            continue
        proto = type_proto(value)
        if proto is None:
            return
        is_read = value.constant is not None and matters_to_shapes(value, node)
        data = value.constant.to_proto("").SerializeToString() if is_read and value.constant is not None else b""
        if value.dtype is not None and value.type_proto is None:
            given.append(((value.dtype, value.shape), data))
        else:
            given.append((proto.SerializeToString(), data))
    attributes = tuple([a.to_proto().SerializeToString() for a in node.attributes.values()])
    infer = _inferred if sum(map(len, attributes)) <= REMEMBERED else _inferred.__wrapped__
    inferred = infer(
        (node.op_type, node.domain, tuple(sorted(model.opsets.items()))),
        attributes,
        tuple(given),
        tuple([v is not None for v in node.outputs]),
    )
    for value, found_type in zip(node.outputs, inferred, strict=True):
        if value is not None and found_type is not None:
            _take(value, *found_type)


REMEMBERED = 1024
"""Bytes of attributes up to which the types of a node are remembered: a tensor among them may be of any size."""

_Given = tuple[bytes | tuple[DType, Shape | None], bytes]
"""An input as inference sees it: its element type and shape (or its type serialized, where it is no plain tensor), and
its data serialized where that matters."""


@lru_cache(maxsize=4096)
def _inferred(
    operator: tuple[str, str, tuple[tuple[str, int], ...]],
    attributes: tuple[bytes, ...],
    given: tuple[_Given | None, ...],
    outputs: tuple[bool, ...],
) -> tuple[_Stated | None, ...]:
    """Types of the outputs of one node. Layers repeat in a model, so most nodes ask what was answered before."""
    op_type, domain, opsets = operator
    found = schema(op_type, dict(opsets)[domain], domain)
    assert found is not None
    proto = onnx.NodeProto(op_type=op_type, domain=domain)
    proto.input.extend(f"i{i}" if given[i] is not None else "" for i in range(len(given)))
    proto.output.extend(f"o{i}" if present else "" for i, present in enumerate(outputs))
    proto.attribute.extend(onnx.AttributeProto.FromString(a) for a in attributes)
    types: dict[str, onnx.TypeProto] = {}
    data: dict[str, onnx.TensorProto] = {}
    for index, entry in enumerate(given):
        if entry is not None:
            kind, constant = entry
            types[f"i{index}"] = onnx.TypeProto.FromString(kind) if isinstance(kind, bytes) else tensor_type(*kind)
            if constant:
                data[f"i{index}"] = onnx.TensorProto.FromString(constant)
    try:
        inferred = shape_inference.infer_node_outputs(
            found, proto, types, data, opset_imports=opset_imports(dict(opsets))
        )
    except checker.ValidationError as error:  # an element type or attribute that the operator does not take
        raise shape_inference.InferenceError(str(error)) from None
    found_types = [inferred.get(f"o{i}") for i in range(len(outputs))]
    return tuple(None if t is None else _stated(t.SerializeToString()) for t in found_types)


def matters_to_shapes(value: Value, node: Node) -> bool:
    """Whether inference may read the data of a constant: shapes, axes, sizes, scales."""
    tensor = value.constant
    if tensor is None or len(tensor.shape) > 1 or tensor.size > SMALL:
        return False
    return tensor.dtype.is_integer or node.op_type in ("Resize", "Upsample", "Range")


def oversized(model: Model, limit: int) -> tuple[Node, Value, int] | None:
    """The first node that makes a tensor of more bytes than the limit, by the shapes that are known."""
    for node in model.all_nodes():
        for value in node.outputs:
            if value is None or value.shape is None or value.dtype is None:
                continue
            count = 1
            for dim in value.shape:
                count *= dim if isinstance(dim, int) else 1
            if count * max(value.dtype.bits, 1) // 8 > limit:
                return node, value, count * value.dtype.bits // 8
    return None
