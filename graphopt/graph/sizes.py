"""The shape of every value once the dynamic dims of the inputs have a size."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

import onnx

from graphopt.graph.graph import Graph, Node, Value
from graphopt.graph.interface import Dim, Shape, dims_of
from graphopt.graph.model import Model
from graphopt.graph.save import node_proto
from graphopt.graph.schemas import STANDARD_DOMAINS, opset_imports
from graphopt.graph.shape_chains import infer_sized
from graphopt.graph.tensor import SMALL, Tensor
from graphopt.graph.types import tensor_type

Sizes = tuple[int, ...]

ASSUMED = 1
"""Size of a dynamic dim of an input that nobody gave one."""


class SizedShapes:
    """Shapes with all dims known once the dynamic dims of the inputs have a size.

    `assumed` tells which, by the name of the dim, or by `input[axis]` where it has none: what was given, the size of
    a default that has the dim, or 1. At first shapes are what loading inferred, with these sizes put in; `refine`
    infers them anew, which finds more and takes longer.
    """

    def __init__(self, model: Model, sizes: Mapping[str, int] | None = None) -> None:
        known = {**_default_sizes(model.graph.inputs), **(sizes or {})}
        self.assumed = {name: known.get(name, ASSUMED) for name in dynamic_dims(model.graph.inputs)}
        self._model = model
        self._inferred: dict[Graph, dict[str, onnx.TypeProto.Tensor]] = {}

    def of(self, value: Value | None) -> Sizes | None:
        """The shape of a value, None where absent or where a dim stays unknown."""
        if value is None:
            return None
        data = value.constant or value.initializer
        if data is not None:
            return data.shape
        found = self._inferred.get(value.graph, {}).get(value.name)
        if found is not None:
            sizes = _whole(dims_of(found.shape))
            if sizes is not None:
                return sizes
        return _whole(self._filled(value, value.shape))

    def refine(self) -> bool:
        """Infer all shapes again, now that the inputs have sizes; whether that was not done before."""
        if self._inferred:
            return False
        self._take(self._model.graph, infer_sized(self._skeleton(self._model)).graph)
        return True

    def _filled(self, value: Value, shape: Shape | None) -> Shape | None:
        if shape is None:
            return None
        return tuple(
            dim if isinstance(dim, int) else self.assumed.get(_dim_name(value, axis, dim))
            for axis, dim in enumerate(shape)
        )

    def _skeleton(self, model: Model) -> onnx.ModelProto:
        """The model with sized inputs, and without the data of its large weights."""
        proto = onnx.ModelProto(ir_version=model.header.ir_version, opset_import=opset_imports(model.opsets))
        proto.functions.extend(model.header.functions)
        graph = proto.graph
        graph.name = "sized"
        for value in model.graph.inputs:
            default = value.initializer
            _add_info(graph.input.add(), value, default.shape if default else self._filled(value, value.shape))
        for value in model.graph.initializers:
            if value.initializer is not None:
                graph.initializer.append(_without_data(value.initializer, value.name))
        model.sort()
        for node in model.graph.nodes:
            made = node.output()
            if node.op_type == "Constant" and made is not None and made.constant is not None:
                graph.initializer.append(_without_data(made.constant, made.name))
                continue
            node_proto(node, graph.node.add())
            if node.domain not in STANDARD_DOMAINS:  # inference cannot tell what these make; the file may have
                for value in filter(None, node.outputs):
                    _add_info(graph.value_info.add(), value, self._filled(value, value.shape))
        return proto

    def _take(self, graph: Graph, proto: onnx.GraphProto) -> None:
        tensors = ((info.name, info.type.tensor_type) for info in (*proto.value_info, *proto.input))
        self._inferred[graph] = {name: tensor for name, tensor in tensors if tensor.HasField("shape")}
        holders = [node for node in graph.nodes if node.has_bodies]
        protos = {name: node for node in proto.node for name in node.output if name} if holders else {}
        for node in holders:
            made = next(filter(None, node.outputs), None)
            if made is not None and made.name in protos:
                for body, body_proto in zip(node.bodies, _bodies(node, protos[made.name]), strict=True):
                    self._take(body, body_proto)


def sizes_of(model: Model, shapes: Mapping[str, Sizes]) -> dict[str, int]:
    """The sizes of dynamic dims, by name, that these shapes of inputs mean."""
    return {
        _dim_name(value, axis, dim): shapes[value.name][axis]
        for value in model.graph.inputs
        if value.shape is not None and len(shapes.get(value.name, ())) == len(value.shape)
        for axis, dim in enumerate(value.shape)
        if not isinstance(dim, int)
    }


def dynamic_dims(values: Iterable[Value]) -> Iterator[str]:
    """The names of the dims without a size, `value[axis]` for those without a name either."""
    for value in values:
        for axis, dim in enumerate(value.shape or ()):
            if not isinstance(dim, int):
                yield _dim_name(value, axis, dim)


def _default_sizes(inputs: Iterable[Value]) -> dict[str, int]:
    """Sizes of dynamic dims by the defaults of inputs that have them."""
    return {
        _dim_name(value, axis, dim): value.initializer.shape[axis]
        for value in inputs
        if value.initializer is not None and len(value.initializer.shape) == len(value.shape or ())
        for axis, dim in enumerate(value.shape or ())
        if not isinstance(dim, int)
    }


def _dim_name(value: Value, axis: int, dim: Dim) -> str:
    return dim if isinstance(dim, str) else f"{value.name}[{axis}]"


def _whole(shape: Shape | None) -> Sizes | None:
    if shape is None:
        return None
    sizes = tuple(dim for dim in shape if isinstance(dim, int) and dim >= 0)  # inference may say -4: a kernel that
    return sizes if len(sizes) == len(shape) else None  # finds no room at the sizes assumed


def _add_info(info: onnx.ValueInfoProto, value: Value, shape: Shape | None) -> None:
    info.name = value.name
    if value.dtype is not None and value.type_proto is None:
        info.type.CopyFrom(tensor_type(value.dtype, shape))
    elif value.type_proto is not None:
        info.type.CopyFrom(value.type_proto)


def _without_data(tensor: Tensor, name: str) -> onnx.TensorProto:
    if tensor.size <= SMALL:
        return tensor.to_proto(name)
    return onnx.TensorProto(name=name, data_type=int(tensor.dtype), dims=tensor.shape)


def _bodies(node: Node, proto: onnx.NodeProto) -> Iterator[onnx.GraphProto]:
    """The protos of a node's bodies, in the order of `Node.bodies`."""
    held = {a.name: a for a in proto.attribute}
    for name, attribute in node.attributes.items():
        if attribute.is_graph:
            yield from held[name].graphs or (held[name].g,)
