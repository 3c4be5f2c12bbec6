"""Functions of rules on what lies around a tensor in the graph, for conditions of profit."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from typing import Any

from graphopt.graph.graph import Node, Value
from graphopt.lang.quantizer import dequantizer
from graphopt.lang.registry import function

MOVING = frozenset(
    ("Transpose", "Reshape", "Flatten", "Squeeze", "Unsqueeze", "Identity", "Slice", "Split", "Expand", "Dropout")
)
"""Operators that hand elements on as they are."""

ACTIVATIONS = frozenset(
    (
        *("Relu", "Clip", "LeakyRelu", "PRelu", "Elu", "Celu", "Selu", "Sigmoid", "HardSigmoid", "HardSwish", "Tanh"),
        *("Mish", "Swish", "Gelu", "Softplus", "Softsign", "ThresholdedRelu", "Mul", "BatchNormalization", "Identity"),
    )
)
"""What may stand between a Conv and the Add that a kernel computes along with it."""

SCALING = frozenset(("Mul", "Div", "Add", "Sub", "Where", "Cast", "Clip", "QuantizeLinear", "DequantizeLinear"))
"""What may stand between the products of attention and their Softmax: scales, masks, and steps."""

FARTHEST = 2000
"""Nodes to look at on the way up; a residual branch is shorter."""


@function("made_by(value: tensor) -> text")
def _made_by(value: Any) -> Any:
    """The operator that makes a tensor, beyond those that only move elements; empty for inputs and constants."""
    node = value.producer if isinstance(value, Value) else None
    while node is not None and _is(node, MOVING):
        source = node.input(0)
        node = source.producer if source is not None else None
    return "" if node is None else _name(node)


@function("read_by(value: tensor) -> list[text]")
def _read_by(value: Any) -> Any:
    """The operators that read a tensor, each once."""
    return tuple(dict.fromkeys(_name(n) for n in value.uses)) if isinstance(value, Value) else ()


@function("one_row(value: tensor) -> bool")
def _one_row(value: Any) -> Any:
    """Whether a tensor is known to be a single row: all its axes but the last are of size 1."""
    shape = value.shape if isinstance(value, Value) else None
    return shape is not None and all(size == 1 for size in shape[:-1])


@function("is_skip(around: tensor, main: tensor) -> bool")
def is_skip(around: Any, main: Any) -> Any:
    """Whether, of two tensors that are added, the second is what a Conv on codes has made, and the first is what went
    around it. Where both come from Convs, the longer way back to where they part is the main one."""
    if not isinstance(around, Value) or not isinstance(main, Value) or around is main:
        return False
    first, second = _backbone(around, main), _backbone(main, around)
    if second is None or not _reads_codes(second):
        return False
    if first is None:
        return True
    far, near = _ways(main, around)
    return far > near or (far == near and _position(main, around) == 0)


@function("in_attention(product: tensor) -> bool")
def _in_attention(product: Any) -> Any:
    """Whether a Softmax reads a tensor or makes one of the factors of which it is the product, with nothing but
    scales, masks and moves between."""
    node = product.producer if isinstance(product, Value) else None
    if node is None:
        return False
    return _meets_softmax(node, _readers) or _meets_softmax(node, _makers)


def _name(node: Node) -> str:
    return f"{node.domain}::{node.op_type}" if node.domain else node.op_type


def _is(node: Node, operators: frozenset[str]) -> bool:
    return not node.domain and node.op_type in operators


def _makers(node: Node) -> Iterator[Node]:
    return (v.producer for v in node.inputs if v is not None and v.producer is not None)


def _readers(node: Node) -> Iterator[Node]:
    return (user for v in node.outputs if v is not None for user in v.uses)


def _meets_softmax(start: Node, step: Callable[[Node], Iterator[Node]]) -> bool:
    pending, seen = [start], {start}
    while pending:
        for node in step(pending.pop()):
            if _is(node, frozenset(("Softmax",))):
                return True
            if node not in seen and _is(node, MOVING | SCALING):
                seen.add(node)
                pending.append(node)
    return False


def _backbone(value: Value, other: Value) -> Node | None:
    """The Conv at the end of a branch, if the other branch does not come out of it as well."""
    pending, seen = [value], {value}
    while pending:
        node = pending.pop(0).producer
        if node is None or node.domain:
            continue
        if node.op_type in ("Conv", "ConvTranspose"):
            return None if node in _above(other) else node
        if node.op_type in ACTIVATIONS:
            fresh = [v for v in node.inputs if v is not None and v not in seen]
            seen.update(fresh)
            pending += fresh
    return None


def _reads_codes(node: Node) -> bool:
    source = node.input(0)
    return source is not None and dequantizer(source) is not None


def _above(value: Value) -> dict[Node, int]:
    """The nodes that a tensor comes from, nearest first, with their distances."""
    found: dict[Node, int] = {}
    pending = deque([(value.producer, 0)])
    while pending and len(found) < FARTHEST:
        node, distance = pending.popleft()
        if node is None or node in found or all(v is None or v.constant is not None for v in node.inputs):
            continue
        found[node] = distance
        pending.extend((v.producer, distance + 1) for v in node.inputs if v is not None)
    return found


def _ways(first: Value, second: Value) -> tuple[int, int]:
    """How far it is from each of two tensors to the nearest node that both come from."""
    above, others = _above(first), _above(second)
    shared = [(above[n] + others[n], above[n], others[n]) for n in above if n in others]
    _, near, far = min(shared, default=(0, len(above), len(others)))
    return near, far


def _position(first: Value, second: Value) -> int:
    """The place of the first tensor among the inputs of the node that reads both."""
    both = next((n for n in first.uses if n in second.uses), None)
    return both.inputs.index(first) if both is not None else 0
