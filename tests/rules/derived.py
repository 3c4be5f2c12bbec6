"""Graphs that follow from another: the same, with one more reader, in a body, or with what may vary varied."""

from __future__ import annotations

from collections.abc import Iterator

import onnx
from onnx import TensorProto, helper, shape_inference

from graphopt.lang.operators import COMMUTATIVE


def _copy(model: onnx.ModelProto) -> onnx.ModelProto:
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    return copy


def _types(model: onnx.ModelProto) -> dict[str, onnx.TypeProto]:
    inferred = shape_inference.infer_shapes(model, data_prop=True).graph
    return {info.name: info.type for info in (*inferred.value_info, *inferred.input, *inferred.output)}


def has_bodies(model: onnx.ModelProto) -> bool:
    return any(a.HasField("g") for node in model.graph.node for a in node.attribute)


def dynamic_dims(model: onnx.ModelProto) -> list[str]:
    """The names of the dims of inputs, in their order."""
    dims = [d.dim_param for i in model.graph.input for d in i.type.tensor_type.shape.dim]
    return [name for name in dict.fromkeys(dims) if name]


def interior(model: onnx.ModelProto) -> list[str]:
    """Values that nodes make and nodes read."""
    outputs = {o.name for o in model.graph.output}
    read = {name for node in model.graph.node for name in node.input}
    makers = [n for n in model.graph.node if n.op_type != "Constant"]
    return [name for node in makers for name in node.output if name and name in read and name not in outputs]


def with_more_readers(model: onnx.ModelProto) -> Iterator[tuple[str, str, onnx.ModelProto]]:
    """For each interior value: shown as an output of the graph, read by one more node, read by the body of an If."""
    types = _types(model)
    for name in interior(model):
        if not types[name].HasField("tensor_type"):
            continue  # nothing flattens a sequence
        if types[name].tensor_type.HasField("shape"):
            yield name, f"{name} is an output", _shown(model, name, types[name])
        yield name, f"{name} has another reader", _read(model, name, types[name])
        yield name, f"a body reads {name}", _captured(model, name, types[name])


def _shown(model: onnx.ModelProto, name: str, of: onnx.TypeProto) -> onnx.ModelProto:
    copy = _copy(model)
    copy.graph.output.add(name=name, type=of)
    return copy


def _read(model: onnx.ModelProto, name: str, of: onnx.TypeProto) -> onnx.ModelProto:
    copy = _copy(model)
    copy.graph.node.append(helper.make_node("Flatten", [name], ["flat"], axis=0))
    copy.graph.output.append(helper.make_tensor_value_info("flat", of.tensor_type.elem_type, ["_one", "_many"]))
    return copy


def _captured(model: onnx.ModelProto, name: str, of: onnx.TypeProto) -> onnx.ModelProto:
    copy = _copy(model)
    flat = helper.make_tensor_type_proto(of.tensor_type.elem_type, ["_one", "_many"])
    bodies = {f"{branch}_branch": _flattening(name, f"{branch}_out", flat) for branch in ("then", "else")}
    copy.graph.node.append(helper.make_node("If", ["_decide"], ["captured"], **bodies))
    copy.graph.input.append(helper.make_tensor_value_info("_decide", TensorProto.BOOL, []))
    copy.graph.output.add(name="captured", type=flat)
    return copy


def _flattening(name: str, output: str, of: onnx.TypeProto) -> onnx.GraphProto:
    body = onnx.GraphProto(name=output)
    body.node.append(helper.make_node("Flatten", [name], [output], axis=0))
    body.output.add(name=output, type=of)
    return body


def with_swapped_operands(model: onnx.ModelProto) -> Iterator[tuple[str, onnx.ModelProto]]:
    """For each node whose operands commute: the same, with the operands the other way round."""
    for number, node in enumerate(model.graph.node):
        if (node.domain, node.op_type) in COMMUTATIVE and len(set(node.input)) > 1:
            copy = _copy(model)
            operands = list(reversed(node.input))
            del copy.graph.node[number].input[:]
            copy.graph.node[number].input.extend(operands)
            yield f"{node.op_type} {number} swapped", copy


def in_a_body(model: onnx.ModelProto) -> onnx.ModelProto:
    """The graph as both branches of an If, which reads the inputs from outside and holds the weights itself."""
    copy = _copy(model)
    del copy.graph.node[:], copy.graph.initializer[:], copy.graph.output[:]
    bodies = {f"{branch}_branch": _body(model.graph, f"{branch}_") for branch in ("then", "else")}
    outputs = [o.name for o in model.graph.output]
    copy.graph.node.append(helper.make_node("If", ["_decide"], outputs, **bodies))
    copy.graph.input.append(helper.make_tensor_value_info("_decide", TensorProto.BOOL, []))
    copy.graph.output.extend(model.graph.output)
    return copy


def _body(graph: onnx.GraphProto, prefix: str) -> onnx.GraphProto:
    outside = {i.name for i in graph.input}
    body = onnx.GraphProto()
    body.CopyFrom(graph)
    body.name = f"{prefix}body"
    del body.input[:]

    def renamed(name: str) -> str:
        return name if not name or name in outside else f"{prefix}{name}"

    for item in (*body.output, *body.initializer, *body.value_info):
        item.name = renamed(item.name)
    for node in body.node:
        inputs, outputs = [renamed(n) for n in node.input], [renamed(n) for n in node.output]
        del node.input[:], node.output[:]
        node.input.extend(inputs)
        node.output.extend(outputs)
    return body


def overridable(model: onnx.ModelProto) -> onnx.ModelProto:
    """Every weight is a graph input as well, with its data as the default."""
    copy = _copy(model)
    listed = {i.name for i in copy.graph.input}
    for tensor in copy.graph.initializer:
        if tensor.name not in listed:
            copy.graph.input.append(helper.make_tensor_value_info(tensor.name, tensor.data_type, tensor.dims))
    return copy


def without_defaults(model: onnx.ModelProto) -> onnx.ModelProto:
    """The same model, whose caller must give what had defaults."""
    copy = _copy(model)
    listed = {i.name for i in copy.graph.input}
    for number in reversed(range(len(copy.graph.initializer))):
        if copy.graph.initializer[number].name in listed:
            del copy.graph.initializer[number]
    return copy
