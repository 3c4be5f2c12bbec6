"""The layers of a quantized model whose weights can change: where their numbers are, and how to write others."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from graphopt.data.sample import Array
from graphopt.graph.attributes import Attribute
from graphopt.graph.dtypes import DType
from graphopt.graph.graph import Node, Value
from graphopt.graph.model import Model
from graphopt.quantization.stream import constant_dequantized, tensor_of

LEVELS = 127
"""The largest magnitude of an int8 weight: -128 is left out, so that the range is symmetric."""


@dataclass(frozen=True)
class Layer:
    """A Conv, Gemm or MatMul that reads an int8 weight.

    The weight as `weights` gives it has a group, a row for each output of that group, and a column for each input that
    such an output is a sum of: float32 [groups, outputs, inputs]. A Conv has its own groups; the others have one.

    Attributes:
        node: the operator.
        adder: the Add that gives a MatMul its bias, where one does.
    """

    node: Node
    adder: Node | None = None

    @property
    def activation(self) -> Value:
        """The tensor that it multiplies with its weight."""
        found = self.node.inputs[0]
        assert found is not None
        return found

    @property
    def dequantize(self) -> Node:
        """The DequantizeLinear of the weight."""
        weight = self.node.inputs[1]
        assert weight is not None
        assert weight.producer is not None
        return weight.producer

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of the weight as it is stored."""
        stored = self.dequantize.inputs[0]
        assert stored is not None
        assert stored.constant is not None
        return stored.constant.shape

    @property
    def output(self) -> Value:
        """The result, its bias included."""
        found = (self.adder or self.node).outputs[0]
        assert found is not None
        return found

    @property
    def groups(self) -> int:
        return int(self.node.attribute("group", 1)) if self.node.op_type == "Conv" else 1

    @property
    def is_conv(self) -> bool:
        return self.node.op_type == "Conv"

    @property
    def transposed(self) -> bool:
        """Whether the stored weight has its outputs last: MatMul, and Gemm without transB."""
        return not self.is_conv and not (self.node.op_type == "Gemm" and self.node.attribute("transB", 0))

    def matrix(self, weight: Array) -> Array:
        """A weight in the shape that the operator reads, as [groups, outputs, inputs]."""
        if self.transposed:
            return np.ascontiguousarray(weight.T)[np.newaxis]
        groups = self.groups
        return weight.reshape(groups, weight.shape[0] // groups, -1)

    def weights(self) -> Array:
        """The weight as it is dequantized now: float32 [groups, outputs, inputs]."""
        weight = constant_dequantized(self.dequantize)
        assert weight is not None
        return self.matrix(weight)

    def bias(self) -> Array | None:
        """The bias as float32 [groups, outputs]; None where there is none."""
        held = self._bias_value()
        if held is None or held.constant is None:
            return None
        return held.constant.numpy().reshape(self.groups, -1)

    def write(self, integers: Array, scale: Array, bias: Array, model: Model) -> None:
        """Make it read other int8 weights [groups, outputs, inputs], scales and biases [groups, outputs]."""
        dequantize = self._own_dequantize(model)
        flat = integers[0].T if self.transposed else integers
        self._set(dequantize, 0, flat.reshape(self.shape).astype(np.int8), model)
        self._set(dequantize, 1, scale.reshape(-1).astype(np.float32), model)
        if dequantize.input(2) is not None:
            self._set(dequantize, 2, np.zeros(scale.size, np.int8), model)
        dequantize.attributes["axis"] = Attribute.of("axis", 1 if self.transposed else 0)
        self._write_bias(bias, model)

    def _own_dequantize(self, model: Model) -> Node:
        """The DequantizeLinear of the weight, which no other node reads any more."""
        shared = self.dequantize
        weight = self.node.inputs[1]
        assert weight is not None
        if len(weight.uses) > 1:
            own = model.graph.new_value(weight.name, weight.dtype, weight.shape)
            name = model.names.fresh(f"{own.name}_dequantize")
            copy = Node(shared.op_type, shared.inputs, [own], dict(shared.attributes), name=name)
            model.graph.add_node(copy, shared.order)
            self.node.set_input(1, own)
        return self.dequantize

    def _write_bias(self, bias: Array, model: Model) -> None:
        node, index = self._bias_place()
        while len(node.inputs) <= index:
            node.inputs.append(None)
        old = node.inputs[index]
        shape = (-1,) if old is None or old.constant is None else old.constant.shape
        self._set(node, index, bias.reshape(shape).astype(np.float32), model)

    def _bias_place(self) -> tuple[Node, int]:
        if self.adder is None:
            return self.node, 2
        first = self.adder.inputs[0]
        return self.adder, 0 if first is not None and first.constant is not None else 1

    def _bias_value(self) -> Value | None:
        node, index = self._bias_place()
        return node.input(index)

    def _set(self, node: Node, index: int, values: Array, model: Model) -> None:
        old = node.inputs[index]
        name = old.name if old is not None else f"{self.output.name}_bias"
        node.set_input(index, model.graph.add_initializer(tensor_of(values), name))
        if old is not None and not old.is_used and old in model.graph.initializers:
            model.graph.remove_initializer(old)


def layers(model: Model) -> Iterator[Layer]:
    """The layers of the main graph whose weight is int8, per output channel or for the whole tensor, in order."""
    model.graph.sort()
    for node in model.graph.nodes:
        is_product = node.op_type in ("Conv", "Gemm", "MatMul") and not node.domain
        if is_product and _reads_int8_weight(node) and _is_plain(node):
            yield Layer(node, _adder(node) if node.op_type == "MatMul" else None)


def give_biases(model: Model) -> None:
    """Put an Add of zeros behind each MatMul of an int8 weight that has none, so that it can have a bias."""
    for layer in list(layers(model)):
        if layer.node.op_type != "MatMul" or layer.adder is not None:
            continue
        result = layer.node.outputs[0]
        assert result is not None
        product = model.graph.new_value(f"{result.name}_product", result.dtype, result.shape)
        bias = model.graph.add_initializer(tensor_of(np.zeros(layer.shape[1], np.float32)), f"{result.name}_bias")
        layer.node.outputs[0] = product
        product.producer = layer.node
        name = model.names.fresh(f"{result.name}_add")
        model.graph.add_node(Node("Add", [product, bias], [result], name=name), layer.node.order)


def _reads_int8_weight(node: Node) -> bool:
    weight = node.input(1)
    if weight is None or weight.producer is None or weight.is_output:
        return False
    stored = weight.producer.input(0)
    if stored is None or stored.constant is None or stored.constant.dtype is not DType.int8:
        return False
    is_matrix = node.op_type == "Conv" or len(stored.constant.shape) == 2
    return is_matrix and constant_dequantized(weight.producer) is not None


def _is_plain(node: Node) -> bool:
    """Whether it is a product plus a constant bias: a Gemm without factors, read as it is stored."""
    bias = node.input(2)
    if bias is not None and bias.constant is None:
        return False
    factors = node.attribute("alpha", 1.0), node.attribute("beta", 1.0), node.attribute("transA", 0)
    if node.op_type == "Gemm" and factors != (1.0, 1.0, 0):
        return False
    return bias is None or bias.constant is None or bias.constant.size == _outputs(node)


def _outputs(node: Node) -> int:
    weight = node.input(1)
    assert weight is not None
    assert weight.producer is not None
    stored = weight.producer.inputs[0]
    assert stored is not None
    assert stored.constant is not None
    last = node.op_type == "MatMul" or (node.op_type == "Gemm" and not node.attribute("transB", 0))
    return stored.constant.shape[1 if last else 0]


def _adder(node: Node) -> Node | None:
    """The Add of one constant for each output that alone reads the result."""
    result = node.outputs[0]
    if result is None or result.is_output or len(result.uses) != 1:
        return None
    user = next(iter(result.uses))
    if user.op_type != "Add" or user.domain or user.graph is not node.graph:
        return None
    for value in user.inputs:
        if value is not None and value is not result and value.constant is not None:
            shape = value.constant.shape
            if value.constant.size == _outputs(node) and shape[-1:] == (value.constant.size,):
                return user
    return None
