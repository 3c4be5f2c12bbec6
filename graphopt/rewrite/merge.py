"""Common subexpressions: nodes that compute the same, and weights that are the same."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from graphopt.graph.dead import sweep
from graphopt.graph.graph import Graph, Node, Value
from graphopt.graph.model import Model
from graphopt.graph.schemas import STANDARD_DOMAINS, attribute_default, is_pure
from graphopt.graph.tensor import CHUNK, Tensor

SWAPPABLE = frozenset({"Add", "Mul", "And", "Or", "Xor", "Equal"})
"""Operators whose operands may be swapped without a bit of the result being another one."""

COMPARED_WHOLE = 1 << 12
"""Bytes up to which weights are told apart by all of them; beyond, equal beginnings are needed before any is read."""

_Key = tuple[Any, ...]


def merge_equal(model: Model) -> tuple[int, int]:
    """Let one node, and one weight, stand for all that are equal to it.

    A body sees what the graphs around it computed before it. Random operators, operators with bodies and those of
    domains that are not the standard's are left alone; and so is what a caller can override.

    Returns:
        How many nodes and how many weights went.
    """
    model.sort()
    weights = _merge_weights(model.graph)
    nodes = _merge_nodes(model.graph, model, _Seen())
    return nodes, weights


# --- nodes ---


class _Seen:
    """The nodes so far, and those that a graph around saw before. Few nodes have an equal one, so that only those are
    described in full that look alike."""

    def __init__(self, outer: _Seen | None = None) -> None:
        self._outer = outer
        self._keyed: dict[_Key, Node] = {}
        self._glances: dict[_Key, list[Node]] = {}

    def equal(self, node: Node, model: Model) -> Node | None:
        """An earlier node that computes the same, if there is one; else this one is one of them from now on."""
        glance = _glance(node)
        scopes = list(self._scopes())
        if not any(glance in scope._glances for scope in scopes):
            self._glances[glance] = [node]
            return None
        key = _node_key(node, model)
        first = next((f for scope in scopes if (f := scope._found(glance, key, model)) is not None), None)
        if first is None:
            self._keyed[key] = node
            self._glances.setdefault(glance, [])
        return first

    def _scopes(self) -> Iterator[_Seen]:
        scope: _Seen | None = self
        while scope is not None:
            yield scope
            scope = scope._outer

    def _found(self, glance: _Key, key: _Key, model: Model) -> Node | None:
        pending = self._glances.get(glance, [])
        while pending:
            alike = pending.pop()
            if alike.graph is not None:
                self._keyed.setdefault(_node_key(alike, model), alike)
        return self._keyed.get(key)


def _glance(node: Node) -> _Key:
    """What equal nodes have in common and is quickly seen: the operator, and what it reads apart from constants."""
    return (node.op_type, node.domain, frozenset(v for v in node.inputs if v is not None and v.constant is None))


def _merge_nodes(graph: Graph, model: Model, seen: _Seen) -> int:
    merged = 0
    for node in list(graph.nodes):
        if node.has_bodies:
            merged += sum(_merge_nodes(body, model, _Seen(seen)) for body in node.bodies)
            continue
        if node.domain not in STANDARD_DOMAINS or not is_pure(node.op_type, node.domain) or _draws(node):
            continue
        first = seen.equal(node, model)
        if first is not None and _stands_for(first, node):
            merged += 1
    return merged


def _draws(node: Node) -> bool:
    """Whether a node that is not random by its operator is so by its inputs: Dropout in training."""
    return node.op_type == "Dropout"


def _node_key(node: Node, model: Model) -> _Key:
    opset = model.opsets.get(node.domain, 0)
    said = (
        a.key()
        for a in node.attributes.values()
        if a.reference or not _is_same(a.value, attribute_default(node.op_type, opset, a.name, node.domain))
    )
    inputs = tuple([_value_key(v) for v in node.inputs])
    if node.op_type in SWAPPABLE and not node.domain:
        inputs = tuple(sorted(inputs, key=_position))
    return (node.domain, node.op_type, node.overload, inputs, len(node.outputs), tuple(sorted(said, key=repr)))


def _is_same(left: Any, right: Any) -> bool:
    """Equal to the bit: 0 is not -0."""
    return left == right and repr(left) == repr(right)


def _value_key(value: Value | None) -> Any:
    """A value, or what it holds where that is little: equal constants need not be the same one."""
    if value is None or value.constant is None or value.constant.nbytes > COMPARED_WHOLE:
        return value
    tensor = value.constant
    if tensor.dtype.name == "string":
        return (tensor.shape, tuple(tensor.numpy().ravel()))
    return (tensor.dtype, tensor.shape, tensor.raw_bytes())


def _position(key: Any) -> tuple[int, str]:
    """An order for operands that does not depend on where they stand, in this run."""
    return (0, key.name) if isinstance(key, Value) else (1, repr(key))


def _stands_for(first: Node, other: Node) -> bool:
    """Let readers of one node read the first instead, if no name of an output is in the way."""
    pairs = list(zip(first.outputs, other.outputs, strict=True))
    if any(b is not None and (b.is_output or (a is None and b.is_used)) for a, b in pairs):
        return False
    for kept, gone in pairs:
        if kept is not None and gone is not None:
            _learn(kept, gone)
            gone.graph.redirect(gone, kept)
    read = [v for v in other.inputs if v is not None]
    graph = other.graph
    assert graph is not None
    graph.remove_node(other)
    sweep(read)
    return True


def _learn(kept: Value, gone: Value) -> None:
    """Equal values have one shape: where only the other's was known, it is known now."""
    if kept.shape is None:
        kept.shape = gone.shape
    elif gone.shape is not None and len(kept.shape) == len(gone.shape):
        kept.shape = tuple(b if a is None else a for a, b in zip(kept.shape, gone.shape, strict=True))


# --- weights ---


def _merge_weights(graph: Graph) -> int:
    """Weights of the main graph and of bodies; one of a body is merged with another of the same body alone."""
    merged = 0
    for inner in list(graph.all_graphs()):
        seen: dict[_Key, list[Value]] = {}
        for value in list(inner.initializers):
            tensor = value.constant
            if tensor is None or value.output_slots or not value.uses or _is_trained(value):
                continue
            alike = seen.setdefault(_beginning(tensor), [])
            first = next((v for v in alike if v.constant is not None and _same_data(v.constant, tensor)), None)
            if first is None:
                alike.append(value)
                continue
            inner.redirect(value, first)
            inner.remove_initializer(value)
            merged += 1
    return merged


def _is_trained(value: Value) -> bool:
    """Whether a BatchNormalization in training reads it: ONNX Runtime then writes new statistics over the old ones, and
    takes them for what else would be in the same place."""
    return any(n.op_type == "BatchNormalization" and len(n.outputs) > 1 for n in value.uses)


def _beginning(tensor: Tensor) -> _Key:
    """What equal tensors have in common and is quickly read."""
    if tensor.dtype.name == "string":
        return (tensor.dtype, tensor.shape, tuple(tensor.numpy().ravel()))
    small = tensor.nbytes <= COMPARED_WHOLE
    return (tensor.dtype, tensor.shape, tensor.raw_bytes() if small else tensor.numpy().ravel()[:64].tobytes())


def _same_data(left: Tensor, right: Tensor) -> bool:
    if left.nbytes <= COMPARED_WHOLE:
        return True
    a, b = left.numpy().reshape(-1), right.numpy().reshape(-1)
    step = CHUNK // max(a.itemsize, 1)
    return all(a[i : i + step].tobytes() == b[i : i + step].tobytes() for i in range(0, a.size, step))
