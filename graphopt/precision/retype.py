"""Giving nodes a short type: their values change type, constants are rounded, and Casts stand where types meet."""

from __future__ import annotations

import numpy as np

from graphopt.graph.attributes import Attribute
from graphopt.graph.dead import sweep_graph
from graphopt.graph.dtypes import DType
from graphopt.graph.graph import Node, Value
from graphopt.graph.model import Model
from graphopt.graph.provenance import FROM
from graphopt.graph.tensor import Array, Tensor
from graphopt.precision.formats import Format
from graphopt.precision.operators import bounds
from graphopt.precision.slots import Slots

TYPE_ATTRIBUTES = ("to", "dtype", "output_dtype")

INDIFFERENT = frozenset({"Shape", "Size"})
"""What reads a tensor of any type, and not its numbers."""


def retype(model: Model, short: dict[Node, Slots], kind: Format) -> None:
    """Have these nodes compute in the short type, in place. Inputs and outputs of graphs stay as they are; so do names
    of values, but for those that stand for an output before its Cast."""
    _Retyping(model, short, kind).run()


class _Retyping:
    def __init__(self, model: Model, short: dict[Node, Slots], kind: Format) -> None:
        self.model = model
        self.short = short
        self.kind = kind
        self.twins: dict[Value, Value] = {}

    def run(self) -> None:
        makers = [(node, index) for node, slots in self.short.items() for index in slots.outputs]
        for node, index in makers:
            self._make_short(node, index)
        for node, slots in self.short.items():
            for index in slots.inputs:
                self._read_short(node, index)
            self._state_type(node)
        for node, index in makers:
            self._widen_readers(node.outputs[index])
        for graph in list(self.model.all_graphs()):
            sweep_graph(graph)
        self.model.sort()

    def _make_short(self, node: Node, index: int) -> None:
        value = node.outputs[index]
        assert value is not None
        if not value.is_output:
            value.dtype = self.kind.dtype
            if value.declared is not None:
                value.declared.type.tensor_type.elem_type = int(self.kind.dtype)
            return
        twin = value.graph.new_value(f"{value.name}.{self.kind.dtype.name}", self.kind.dtype, value.shape)
        node.outputs[index] = twin
        twin.producer, value.producer = node, None
        value.graph.add_node(_cast(twin, value, node), node.order)
        self.twins[value] = twin

    def _read_short(self, node: Node, index: int) -> None:
        value = node.inputs[index]
        assert value is not None
        if value.dtype is self.kind.dtype:
            return
        if value.constant is not None and index in bounds(node):
            node.set_input(index, self._bound(value, value.constant))
            return
        twin = self.twins.get(value)
        if twin is None:
            twin = self.twins[value] = self._rounded(value)
        node.set_input(index, twin)

    def _rounded(self, value: Value) -> Value:
        name = f"{value.name}.{self.kind.dtype.name}"
        if value.constant is not None:
            return value.graph.add_initializer(self._tensor(value.constant.numpy()), name)
        twin = value.graph.new_value(name, self.kind.dtype, value.shape)
        value.graph.add_node(_cast(value, twin, value.producer), value.producer.order if value.producer else -1)
        return twin

    def _bound(self, value: Value, constant: Tensor) -> Value:
        """A bound within the range of the type; outside of it there is nothing to be cut off."""
        largest = self.kind.largest
        held = self._tensor(np.clip(constant.numpy(), -largest, largest))
        return value.graph.add_initializer(held, f"{value.name}.{self.kind.dtype.name}")

    def _tensor(self, array: Array) -> Tensor:
        return Tensor.of(np.asarray(array.astype(self.kind.dtype.numpy)))

    def _state_type(self, node: Node) -> None:
        for name in TYPE_ATTRIBUTES:
            if node.attribute(name) == DType.float32:
                node.attributes[name] = Attribute.of(name, int(self.kind.dtype))
        if node.op_type == "ConstantOfShape":
            held = node.attribute("value")
            array = np.zeros(1, np.float32) if held is None else held.numpy()
            node.attributes["value"] = Attribute.of("value", self._tensor(array))

    def _widen_readers(self, value: Value | None) -> None:
        """Have what does not read the short type read float32."""
        if value is None or value.dtype is not self.kind.dtype:
            return
        wide: Value | None = None
        for node in list(value.uses):
            for index, read in enumerate(node.inputs):
                if read is not value or self._takes(node, index):
                    continue
                if wide is None:
                    wide = value.graph.new_value(f"{value.name}.{DType.float32.name}", DType.float32, value.shape)
                node.set_input(index, wide)
        if wide is not None:
            assert value.producer is not None
            value.graph.add_node(_cast(value, wide, value.producer), value.producer.order)

    def _takes(self, node: Node, index: int) -> bool:
        if node.op_type in INDIFFERENT and not node.domain:
            return True
        if node.op_type == "Cast" and not node.domain:
            return True
        return node in self.short and index in self.short[node].inputs


def _cast(source: Value, result: Value, near: Node | None) -> Node:
    assert result.dtype is not None
    node = Node("Cast", [source], [result], {"to": Attribute.of("to", int(result.dtype))})
    node.name = result.graph.model.names.fresh(f"{result.name}.cast")
    if near is not None:
        node.metadata[FROM] = near.metadata.get(FROM, near.label)
    return node
