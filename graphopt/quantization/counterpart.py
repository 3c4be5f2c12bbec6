"""The tensor of the float model that a layer of the quantized one makes, where a rule has given it another name."""

from __future__ import annotations

from collections.abc import Mapping

from graphopt.graph.graph import Node, Value
from graphopt.quantization.layers import Layer


def counterpart(layer: Layer, floats: Mapping[str, Value]) -> Value | None:
    """The float model's tensor for the layer's output: that of its name, or else, forward over operators that alone
    read each other to a tensor whose name both have, and from there back over the same operators. None where there is
    none, or another operator makes it."""
    value: Value = layer.output
    passed: list[Node] = []
    while value.name not in floats:
        user = next(iter(value.uses)) if len(value.uses) == 1 and not value.is_output else None
        if user is None or not user.outputs or user.outputs[0] is None or user.inputs[0] is not value:
            return None
        passed.append(user)
        value = user.outputs[0]
    found = floats[value.name]
    for user in reversed(passed):
        node = found.producer
        if node is None or node.op_type != user.op_type or node.inputs[0] is None:
            return None
        found = node.inputs[0]
    made_by = found.producer.op_type if found.producer is not None else ""
    return found if made_by == layer.node.op_type or (made_by == "Add" and layer.node.op_type == "MatMul") else None


def float_node(layer: Layer, source: Value) -> Node:
    """The operator of the float model that the layer is, given what that makes: behind the Add of a bias, if any."""
    node = source.producer
    assert node is not None
    if node.op_type == layer.node.op_type:
        return node
    return next(v.producer for v in node.inputs if v is not None and v.producer is not None)
