"""What graph statistics belong to: names and what is computed, not where it came from."""

from __future__ import annotations

import hashlib
from typing import Any

from graphopt.graph.attributes import Attribute
from graphopt.graph.graph import Graph, Node, Value
from graphopt.graph.model import Model
from graphopt.graph.tensor import Tensor


def digest(model: Model) -> str:
    """Hexadecimal sha256 of the operators, their attributes, weights and the names of values.

    Names of nodes, documentation, metadata and declared types don't count: two files with the same digest compute the
    same tensors under the same names.
    """
    model.sort()
    state = hashlib.sha256()
    functions = [f.SerializeToString(deterministic=True) for f in model.header.functions]
    _put(state, sorted(model.opsets.items()), functions)
    _graph(state, model.graph)
    return state.hexdigest()


def _graph(state: Any, graph: Graph) -> None:
    _put(state, _names(graph.inputs), _names(graph.outputs))
    for value in sorted(graph.initializers, key=lambda v: v.name):
        _put(state, value.name)
        if value.initializer is not None:
            _tensor(state, value.initializer)
    for sparse in graph.sparse_initializers:
        _put(state, sparse.SerializeToString(deterministic=True))
    for node in graph.nodes:
        _node(state, node)


def _node(state: Any, node: Node) -> None:
    _put(state, node.domain, node.op_type, node.overload, _names(node.inputs), _names(node.outputs))
    for name, attribute in sorted(node.attributes.items()):
        _attribute(state, name, attribute)


def _attribute(state: Any, name: str, attribute: Attribute) -> None:
    _put(state, name)
    if attribute.is_graph:
        for body in attribute.graphs:
            _graph(state, body)
    elif isinstance(attribute.value, Tensor):
        _tensor(state, attribute.value)
    else:
        _put(state, attribute.to_proto().SerializeToString(deterministic=True))


def _tensor(state: Any, tensor: Tensor) -> None:
    _put(state, int(tensor.dtype), tensor.shape, tensor.nbytes)
    if tensor.dtype.bits:
        for chunk in tensor.chunks():
            state.update(chunk)
    else:
        _put(state, tensor.numpy().tolist())


def _put(state: Any, *said: object) -> None:
    text = repr(said).encode("utf-8", "surrogateescape")
    state.update(len(text).to_bytes(8, "little"))
    state.update(text)


def _names(values: list[Value] | list[Value | None]) -> list[str | None]:
    return [None if v is None else v.name for v in values]
