"""Small float models whose channels differ in range as those of trained ones do, and Q/DQ pairs put into them."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
from onnx import helper, numpy_helper

from graphopt.graph.attributes import Attribute
from graphopt.graph.graph import Node, Value
from graphopt.graph.load import from_proto
from graphopt.graph.model import Model
from graphopt.graph.save import to_proto
from graphopt.quantization.stream import tensor_of

Feeds = dict[str, Any]


class Builder:
    """A float model, node by node; weights are drawn, with channels of ranges from 1 to about 30."""

    def __init__(self, seed: int) -> None:
        self.random = np.random.default_rng(seed)
        self.nodes: list[onnx.NodeProto] = []
        self.weights: list[onnx.TensorProto] = []

    def weight(self, shape: tuple[int, ...], axis: int = 0) -> str:
        ranges = np.exp(self.random.uniform(0, 3.4, shape[axis])).reshape(
            [-1 if a == axis else 1 for a in range(len(shape))]
        )
        fan_in = np.prod(shape) / shape[axis]
        return self.constant(self.random.standard_normal(shape) * ranges / np.sqrt(fan_in) / 5)

    def constant(self, values: Any) -> str:
        name = f"w{len(self.weights)}"
        self.weights.append(numpy_helper.from_array(np.asarray(values, np.float32), name))
        return name

    def node(self, op_type: str, inputs: list[str], **attributes: Any) -> str:
        name = f"t{len(self.nodes)}"
        self.nodes.append(helper.make_node(op_type, inputs, [name], name, **attributes))
        return name

    def model(self, inputs: dict[str, tuple[Any, ...]], outputs: list[str]) -> Model:
        given = [helper.make_tensor_value_info(n, onnx.TensorProto.FLOAT, s) for n, s in inputs.items()]
        made = [helper.make_tensor_value_info(n, onnx.TensorProto.FLOAT, None) for n in outputs]
        graph = helper.make_graph(self.nodes, "g", given, made, self.weights)
        return from_proto(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8))


def residual_network(seed: int = 0) -> Model:
    """Conv, Relu, depthwise Conv, Clip, Conv that is added to what skipped all that, strided Conv, pooling, Gemm."""
    b = Builder(seed)
    x = b.node("Relu", [b.node("Conv", ["x", b.weight((16, 3, 3, 3)), b.weight((16,))], pads=[1] * 4)])
    y = b.node("Conv", [x, b.weight((24, 16, 1, 1)), b.weight((24,))])
    y = b.node("Clip", [y, b.constant(0), b.constant(6)])
    y = b.node("Conv", [y, b.weight((24, 1, 3, 3)), b.weight((24,))], group=24, pads=[1] * 4)
    y = b.node("Relu", [y])
    y = b.node("Conv", [y, b.weight((16, 24, 1, 1)), b.weight((16,))])
    z = b.node("Add", [y, x])
    z = b.node("Relu", [b.node("Conv", [z, b.weight((32, 16, 3, 3))], strides=[2, 2], auto_pad="SAME_UPPER")])
    z = b.node("Flatten", [b.node("GlobalAveragePool", [z])])
    return b.model({"x": ("N", 3, 12, 12)}, [b.node("Gemm", [z, b.weight((10, 32)), b.weight((10,))], transB=1)])


def matrix_network(seed: int = 0) -> Model:
    """MatMul with a bias, Gelu-like activation, MatMul without one, on [N, T, 16]."""
    b = Builder(seed)
    x = b.node("Add", [b.node("MatMul", ["x", b.weight((16, 32), 1)]), b.weight((32,))])
    x = b.node("Mul", [x, b.node("Sigmoid", [x])])
    return b.model({"x": ("N", "T", 16)}, [b.node("MatMul", [x, b.weight((32, 8), 1)])])


def pictures(count: int, seed: int, channels: int = 3, side: int = 12) -> list[Feeds]:
    """Smooth random inputs [1, channels, side, side]."""
    random = np.random.default_rng(seed)
    noise = random.standard_normal((count, 1, channels, side + 2, side + 2))
    smooth = sum(noise[..., i : i + side, j : j + side] for i in range(3) for j in range(3)) / 3
    return [{"x": x.astype(np.float32)} for x in smooth]


def sequences(count: int, seed: int) -> list[Feeds]:
    """Random inputs [1, 6 to 9, 16] with a mean in each channel."""
    random = np.random.default_rng(seed)
    means = np.random.default_rng(7).standard_normal(16)
    return [{"x": (random.standard_normal((1, 6 + n % 4, 16)) + means).astype(np.float32)} for n in range(count)]


def copied(model: Model) -> Model:
    return from_proto(to_proto(model))


def place(model: Model, scales: dict[str, float]) -> Model:
    """A copy with a pair before each Conv, Gemm and MatMul of a weight and on skips, scale 1 / 127 unless given."""
    model = copied(model)
    made: dict[Value, Value] = {}
    for node in list(model.graph.nodes):
        weight = node.input(1)
        if node.op_type in ("Conv", "Gemm", "MatMul") and weight is not None and weight.constant is not None:
            node.set_input(1, _weight(node, weight, model))
            node.set_input(0, _pair(node.inputs[0], made, scales, model))
        elif node.op_type == "Add" and all(v is not None and v.constant is None for v in node.inputs):
            node.set_input(1, _pair(node.inputs[1], made, scales, model))
    model.graph.sort()
    return model


def largest(model: Model, samples: list[Feeds]) -> dict[str, float]:
    """The scale of every tensor by its largest magnitude."""
    from graphopt.quantization.stream import Stream

    found: dict[str, float] = {}
    values = [*model.graph.inputs, *(v for n in model.graph.nodes for v in n.outputs if v is not None)]
    for value in values:
        arrays = Stream(model, samples).values(value)
        found[value.name] = max(float(np.abs(a).max()) for a in arrays) / 127
    return found


def _pair(value: Value | None, made: dict[Value, Value], scales: dict[str, float], model: Model) -> Value:
    assert value is not None
    if value not in made:
        graph, order = model.graph, value.producer.order if value.producer is not None else -1
        scale = graph.add_initializer(tensor_of(np.array(scales.get(value.name, 1 / 127), np.float32)), "scale")
        zero = graph.add_initializer(tensor_of(np.array(0, np.int8)), "zero")
        codes, result = graph.new_value("codes"), graph.new_value("result", value.dtype, value.shape)
        graph.add_node(Node("QuantizeLinear", [value, scale, zero], [codes]), order)
        graph.add_node(Node("DequantizeLinear", [codes, scale, zero], [result]), order)
        made[value] = result
    return made[value]


def _weight(node: Node, weight: Value, model: Model) -> Value:
    assert weight.constant is not None
    values = weight.constant.numpy()
    axis = 0 if node.op_type == "Conv" or node.attribute("transB", 0) else values.ndim - 1
    around = tuple(a for a in range(values.ndim) if a != axis)
    scale = (np.abs(values).max(around) / 127).astype(np.float32)
    shape = [-1 if a == axis else 1 for a in range(values.ndim)]
    codes = np.clip(np.rint(values / scale.reshape(shape)), -127, 127).astype(np.int8)
    held = [
        model.graph.add_initializer(tensor_of(array), "weight")
        for array in (codes, scale, np.zeros(scale.size, np.int8))
    ]
    result = model.graph.new_value("weight", weight.dtype, weight.shape)
    model.graph.add_node(Node("DequantizeLinear", held, [result], {"axis": Attribute.of("axis", axis)}), node.order)
    return result
