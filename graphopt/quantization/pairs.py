"""The Q/DQ pairs of a quantized model."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from graphopt.graph.dtypes import DType
from graphopt.graph.graph import Node, Value
from graphopt.graph.model import Model
from graphopt.quantization.stream import tensor_of


@dataclass(frozen=True)
class Pair:
    """A QuantizeLinear of an activation by one scale, and the DequantizeLinear after it."""

    quantize: Node
    dequantize: Node

    @property
    def source(self) -> Value:
        """The tensor that is quantized."""
        found = self.quantize.inputs[0]
        assert found is not None
        return found

    @property
    def result(self) -> Value:
        """The tensor with the rounding in it."""
        found = self.dequantize.outputs[0]
        assert found is not None
        return found

    @property
    def scale(self) -> float:
        value = self.quantize.inputs[1]
        assert value is not None
        assert value.constant is not None
        return float(value.constant.numpy().reshape(-1)[0])

    @property
    def is_symmetric(self) -> bool:
        """Whether it rounds to int8 around 0, as TensorRT wants it."""
        zero = self.quantize.input(2)
        if zero is None or zero.constant is None:
            return False
        return zero.dtype is DType.int8 and not zero.constant.numpy().any()

    @property
    def shares_scale(self) -> bool:
        """Whether other tensors are rounded by the same scale, so that their integers can stand in one tensor: those
        that a Concat joins, and what it makes of them, or those that read one constant."""
        maker = self.source.producer
        if maker is not None and maker.op_type == "Concat":
            return True
        nodes = {self.quantize, self.dequantize}
        constants = [value for node in nodes for value in node.inputs[1:2] if value is not None]
        return any(n.op_type == "Concat" for n in self.result.uses) or any(not nodes >= set(v.uses) for v in constants)

    def rescale(self, scale: float, model: Model) -> None:
        """Round by another scale, the same before and after."""
        value = model.graph.add_initializer(tensor_of(np.array(scale, np.float32)), f"{self.source.name}_scale")
        for node in (self.quantize, self.dequantize):
            old = node.inputs[1]
            node.set_input(1, value)
            if old is not None and not old.is_used and old in model.graph.initializers:
                model.graph.remove_initializer(old)


def rescale_all(model: Model, scales: Mapping[str, float]) -> None:
    """Round the tensors of these names by other scales. Pairs that do not round to int8 around 0, and those that share
    their scale, stay as they are."""
    for pair in list(pairs(model)):
        if pair.source.name in scales and pair.is_symmetric and not pair.shares_scale:
            pair.rescale(scales[pair.source.name], model)


def pairs(model: Model) -> Iterator[Pair]:
    """The pairs of the main graph that round an activation by one constant scale, in order."""
    model.graph.sort()
    for node in model.graph.nodes:
        found = pair_of(node) if node.op_type == "QuantizeLinear" and not node.domain else None
        if found is not None:
            yield found


def pair_of(quantize: Node) -> Pair | None:
    """The pair that a QuantizeLinear begins, if it is one by a constant scalar, read by one DequantizeLinear alone."""
    scale, result = quantize.input(1), quantize.output()
    if scale is None or scale.constant is None or scale.constant.size != 1 or result is None or result.is_output:
        return None
    users = list(result.uses)
    if len(users) != 1 or users[0].op_type != "DequantizeLinear" or users[0].graph is not quantize.graph:
        return None
    return Pair(quantize, users[0])
