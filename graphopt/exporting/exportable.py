"""What is exported: a module with example inputs, as a factory gives it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch

DynamicShapes = Mapping[str, Mapping[int, str]]
"""By name of an input: its dynamic axes (counted from 0), each with the name of its size."""


@dataclass(frozen=True, eq=False)
class Exportable:
    """A torch module, and a call of it that shows its inputs.

    Attributes:
        module: the module; it is exported in evaluation mode.
        args, kwargs: the example call. Tensors in it, in nested tuples, lists and dicts too, become the
            inputs of the model; anything else becomes a constant of it.
        dynamic_shapes: which axes of which inputs vary, such as `{"x": {0: "batch"}}`. Axes that carry the
            same name have the same size. All other axes are fixed at their size in the example.
        input_names: a name for each input tensor, in order. By default the parameter of `forward`, and
            for nested ones the way to them: `x`, `state_0`, `state_1`, `mask_keys`.
        output_names: a name for each output tensor, in order. By default `output` for a single one, the keys
            of a dict, and `output_0`, `output_1`, ... for a tuple.
        opset: version of ONNX's operators to write; by default what the exporter prefers.
    """

    module: torch.nn.Module
    args: tuple[Any, ...] = ()
    kwargs: Mapping[str, Any] | None = None
    dynamic_shapes: DynamicShapes | None = None
    input_names: Sequence[str] | None = None
    output_names: Sequence[str] | None = None
    opset: int | None = None
