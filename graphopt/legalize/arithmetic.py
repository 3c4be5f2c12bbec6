"""New nodes of whole-number arithmetic in a graph, named and marked after the node that they are made for."""

from __future__ import annotations

import numpy as np

from graphopt.graph.dtypes import DType
from graphopt.graph.graph import Graph, Node, Value
from graphopt.graph.tensor import Tensor
from graphopt.rewrite.mark import FROM


class Arithmetic:
    """Makes nodes that stand where `near` stands."""

    def __init__(self, graph: Graph, near: Node) -> None:
        self._graph = graph
        self._near = near

    def number(self, value: int, like: Value) -> Value:
        """A scalar of the element type of another value."""
        assert like.dtype is not None
        return self._graph.add_initializer(Tensor.of(np.array(value, dtype=like.dtype.numpy)), "number")

    def numbers(self, values: list[int], like: Value) -> Value:
        """A vector of the element type of another value."""
        assert like.dtype is not None
        return self._graph.add_initializer(Tensor.of(np.array(values, dtype=like.dtype.numpy)), "numbers")

    def make(self, operator: str, *inputs: Value | int, dtype: DType | None = None) -> Value:
        """The result of an operator; whole numbers take the element type of the first input, and so does the result
        unless another one is given. The first input must be a value."""
        first = inputs[0]
        assert isinstance(first, Value)
        read = [self.number(i, first) if isinstance(i, int) else i for i in inputs]
        name = self._graph.model.names.fresh(f"{self._near.label}.{operator.lower()}")
        result = self._graph.new_value(f"{first.name}.{operator.lower()}", dtype or first.dtype)
        node = Node(operator, read, [result], name=name)
        node.metadata[FROM] = self._near.metadata.get(FROM, self._near.label)
        self._graph.add_node(node, self._near.order)
        return result

    def wrapped(self, value: Value, dtype: DType) -> Value:
        """The number within the range of a type that differs from this one by a multiple of 2 ** bits."""
        count = 1 << dtype.bits
        if dtype.name.startswith("u"):
            return self.make("Mod", value, count)
        half = count >> 1
        return self.make("Sub", self.make("Mod", self.make("Add", value, half), count), half)
