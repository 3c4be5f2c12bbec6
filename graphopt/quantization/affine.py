"""Centring and scaling the channels of a tensor before it is rounded: the narrow ones then use all of int8, too.

What is taken away is put back exactly: into the weights and the bias of a layer that reads the tensor, and by two nodes
for any other reader. So nothing but the rounding changes. The nodes are pointwise, and stand before a QuantizeLinear:
TensorRT computes them in the kernel that rounds, a Pad before them included.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from graphopt.data.sample import Array
from graphopt.graph.graph import Node, Value
from graphopt.graph.model import Model
from graphopt.quantization.pairs import Pair
from graphopt.quantization.stream import tensor_of


@dataclass(frozen=True)
class Affine:
    """x' = (x - centre) / spread for each channel of an axis; `margins` are zeros put around x before that, as a Pad
    node takes them, and None where there are none."""

    axis: int
    centre: Array
    spread: Array
    margins: tuple[int, ...] | None = None

    def before(self, pair: Pair, model: Model) -> None:
        """Put it before the pair."""
        value, rank = pair.source, pair.source.rank
        assert rank is not None
        if self.margins is not None:
            margins = model.graph.add_initializer(tensor_of(np.array(self.margins, np.int64)), f"{value.name}_margins")
            value = insert("Pad", [value, margins], pair.quantize, f"{value.name}_padded", model)
        if self.centre.any():
            value = self._step("Sub", value, self.centre, rank, pair.quantize, "centred", model)
        if (self.spread != 1).any():
            value = self._step("Mul", value, 1 / self.spread, rank, pair.quantize, "scaled", model)
        pair.quantize.set_input(0, value)

    def undo(self, pair: Pair, readers: Iterable[Node], model: Model) -> None:
        """Give these nodes that read the pair's result the range that they know."""
        value, rank = pair.result, pair.result.rank
        assert rank is not None
        readers = list(readers)
        if not readers:
            return
        first = min(readers, key=lambda node: node.order)
        if (self.spread != 1).any():
            value = self._step("Mul", value, self.spread, rank, first, "unscaled", model)
        if self.centre.any():
            value = self._step("Add", value, self.centre, rank, first, "uncentred", model)
        for reader in readers:
            for index, read in enumerate(reader.inputs):
                if read is pair.result and value is not pair.result:
                    reader.set_input(index, value)

    def _step(
        self, op_type: str, value: Value, numbers: Array, rank: int, place: Node, what: str, model: Model
    ) -> Value:
        shape = [-1 if axis == self.axis else 1 for axis in range(rank)]
        constant = tensor_of(numbers.astype(np.float32).reshape(shape))
        held = model.graph.add_initializer(constant, f"{value.name}_{what}_by")
        return insert(op_type, [value, held], place, f"{value.name}_{what}", model)


def insert(op_type: str, inputs: Sequence[Value | None], place: Node, name: str, model: Model) -> Value:
    """A new node of one output that runs where `place` does; its output, of the dtype and rank of its first input."""
    first = inputs[0]
    assert first is not None
    shape = None if first.shape is None else tuple(None for _ in first.shape) if op_type == "Pad" else first.shape
    result = model.graph.new_value(name, first.dtype, shape)
    model.graph.add_node(Node(op_type, inputs, [result], name=model.names.fresh(name)), place.order)
    return result
