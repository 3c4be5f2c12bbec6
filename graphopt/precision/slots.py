"""Where an operator reads and makes float32 that could as well be of a short type."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from onnx.defs import OpSchema

from graphopt.graph.dtypes import DType
from graphopt.graph.graph import Node, Value
from graphopt.graph.model import Model
from graphopt.graph.schemas import schema

FIXED = {"Resize": (1,)}
"""Inputs that are places, and stay in float32."""


@dataclass(frozen=True)
class Slots:
    """Inputs and outputs of a node, by their index."""

    inputs: tuple[int, ...]
    outputs: tuple[int, ...]


def short_slots(node: Node, model: Model, dtype: DType) -> Slots | None:
    """The slots of a node that hold float32 and, by the standard, may hold the short type; None where the node cannot
    compute in it."""
    found = schema(node.op_type, model.opset) if not node.domain and not node.has_bodies else None
    if found is None or node.op_type == "Constant" or any(_is_other(v) for v in (*node.inputs, *node.outputs)):
        return None
    if node.op_type == "Cast":
        return _cast_slots(node)
    inputs = _allowed(node.inputs, found.inputs, dtype)
    fixed = FIXED.get(node.op_type, ())
    slots = Slots(tuple(i for i in inputs if i not in fixed), _allowed(node.outputs, found.outputs, dtype))
    return slots if slots.inputs or slots.outputs else None


def _is_other(value: Value | None) -> bool:
    """Whether a value is no plain tensor."""
    return value is not None and value.type_proto is not None


def _allowed(
    values: Sequence[Value | None], formals: Sequence[OpSchema.FormalParameter], dtype: DType
) -> tuple[int, ...]:
    """The places of float32 values that may be of the type; the last formal parameter stands for all that follow."""
    wanted = f"tensor({dtype.name})"
    return tuple(
        index
        for index, value in enumerate(values)
        if value is not None and value.dtype is DType.float32 and wanted in formals[min(index, len(formals) - 1)].types
    )


def _cast_slots(node: Node) -> Slots | None:
    """A Cast makes the short type of integers and truths; of other floats it stays, since another Cast may meet it."""
    source, result = node.inputs[0], node.outputs[0]
    assert source is not None
    assert result is not None
    is_made = result.dtype is DType.float32 and source.dtype is not None and not source.dtype.is_float
    return Slots((), (0,)) if is_made else None
