"""Shapes that become known once something else does: a Reshape whose target is now a constant, and what follows it."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable

from onnx.shape_inference import InferenceError

from graphopt.graph.graph import Node, Value
from graphopt.graph.interface import Shape
from graphopt.graph.model import Model
from graphopt.graph.types import infer_node, matters_to_shapes


def refine(constants: Iterable[Value], model: Model) -> None:
    """Infer anew the readers of values that are constant now, and whatever hangs on what that tells."""
    _refine(deque(user for v in constants for user in v.uses if matters_to_shapes(v, user)), model)


def refine_from(values: Iterable[Value], model: Model) -> None:
    """Infer anew the readers of values whose shapes are better known now, and whatever hangs on what that tells."""
    _refine(deque(user for v in values for user in v.uses), model)


def _refine(pending: deque[Node], model: Model) -> None:
    while pending:
        node = pending.popleft()
        before = [(v, _sizes(v.shape)) for v in node.outputs if v is not None and not is_settled(v)]
        if before and _infer(node, model):
            pending.extend(user for v, sizes in before if _sizes(v.shape) != sizes for user in v.uses)


def _infer(node: Node, model: Model) -> bool:
    try:
        infer_node(node, model)
    except InferenceError:  # what the operator does not take, whoever runs it will say
        return False
    return True


def is_settled(value: Value) -> bool:
    """Whether all sizes of a value are known."""
    return value.shape is not None and all(isinstance(d, int) for d in value.shape)


def _sizes(shape: Shape | None) -> tuple[int | None, ...] | None:
    """A shape without the names of its dims: these come and go, while sizes only come."""
    return None if shape is None else tuple(d if isinstance(d, int) else None for d in shape)
