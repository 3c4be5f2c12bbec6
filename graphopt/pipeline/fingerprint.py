"""Whether a pass did what it says: what a graph is, cheaply, to be compared before and after."""

from __future__ import annotations

from typing import Any, cast

from graphopt.graph.attributes import Attribute
from graphopt.graph.graph import Graph, Node, Value
from graphopt.graph.model import Model
from graphopt.graph.tensor import Tensor

PLAIN = (int, float, str, tuple)
"""What can be told apart by its hash; of the rest the written form is."""


class Fingerprint:
    """A model at one moment; linear in nodes and weights, whose data is read only where a weight was exchanged.

    The order of nodes that do not depend on each other does not count, and what is known of types counts apart.
    Valid in this process alone, since Python's hashes are.
    """

    def __init__(self, model: Model) -> None:
        model.sort()
        self._tensors: list[Tensor] = []
        structure = hash((*sorted(model.opsets.items()), model.header.SerializeToString(deterministic=True)))
        types = 0
        for graph in model.all_graphs():
            structure = hash((structure, self._frame(graph)))
            for node in graph.nodes:
                structure = hash((structure, self._node(node)))
                types = hash((types, *[v and (v.dtype, v.shape) for v in node.outputs]))
        self._structure, self._types = structure, types

    def same_graph(self, other: Fingerprint) -> bool:
        """Whether nodes, attributes, weights, names and what surrounds the graph are the same."""
        return (
            self._structure == other._structure
            and len(self._tensors) == len(other._tensors)
            and all(map(_same_tensor, self._tensors, other._tensors))
        )

    def same_types(self, other: Fingerprint) -> bool:
        """Whether as much is known of the types of values."""
        return self._types == other._types

    def _frame(self, graph: Graph) -> tuple[Any, ...]:
        self._tensors += [v.initializer for v in graph.initializers if v.initializer is not None]
        declared = [v.declared.SerializeToString(deterministic=True) for v in graph.inputs if v.declared is not None]
        held = (_names(graph.inputs), _names(graph.outputs), _names(list(graph.initializers)))
        return (graph.name, graph.doc_string, tuple(graph.metadata.items()), tuple(declared), *held)

    def _node(self, node: Node) -> tuple[Any, ...]:
        attributes = tuple([self._attribute(a) for a in node.attributes.values()]) if node.attributes else ()
        metadata = tuple(node.metadata.items()) if node.metadata else ()
        names = (_names(node.inputs), _names(node.outputs))
        said = (node.domain, node.op_type, node.overload, node.name, node.doc_string)
        return (*said, *names, attributes, metadata)

    def _attribute(self, attribute: Attribute) -> tuple[Any, ...]:
        if attribute.is_graph:
            return (attribute.name, len(attribute.graphs))
        value: Any = attribute.value
        if isinstance(value, Tensor):
            self._tensors.append(value)
            return (attribute.name,)
        if isinstance(value, PLAIN):
            return (attribute.name, attribute.kind, attribute.reference, cast("Any", value))
        return (attribute.name, attribute.to_proto().SerializeToString(deterministic=True))


def _names(values: list[Value] | list[Value | None]) -> tuple[str | None, ...]:
    return tuple([None if v is None else v.name for v in values])


def _same_tensor(left: Tensor, right: Tensor) -> bool:
    if left is right:
        return True
    if (left.dtype, left.shape) != (right.dtype, right.shape):
        return False
    return left.numpy().tobytes() == right.numpy().tobytes()
