"""Letting onnx's own tools work on a model: out as a proto, and back into the same model."""

from __future__ import annotations

from collections.abc import Callable

import onnx

from graphopt.errors import RewriteError
from graphopt.graph.load import from_proto
from graphopt.graph.model import Model
from graphopt.graph.save import to_proto

LIMIT = 1 << 30
"""Bytes of weights beyond which a model is not handed over: onnx's tools copy a model, and fail at 2 GB."""


def fits(model: Model) -> bool:
    """Whether a model is small enough for onnx's own tools."""
    return model.weight_bytes() <= LIMIT


def transform(model: Model, tool: Callable[[onnx.ModelProto], onnx.ModelProto]) -> None:
    """Put what a tool makes of a model in the model's place. The names of inputs and outputs must stay.

    Raises:
        ModelError: what the tool made contradicts itself or the standard.
        RewriteError: it has other inputs or outputs.
    """
    shown = _interface(model)
    made = from_proto(tool(to_proto(model)), overridable="keep")
    if _interface(made) != shown:
        raise RewriteError("an onnx tool changed the inputs or outputs of the model")
    for graph in made.all_graphs():
        graph.model = model
    model.graph, model.names, model.opsets, model.header = made.graph, made.names, made.opsets, made.header


def _interface(model: Model) -> tuple[list[str], list[str]]:
    return [v.name for v in model.graph.inputs], [v.name for v in model.graph.outputs]
