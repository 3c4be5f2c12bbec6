"""What is exported: a module with example inputs, as a factory gives it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from graphopt.errors import UsageError

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

    Raises:
        UsageError: one of them is of another type.
    """

    module: torch.nn.Module
    args: tuple[Any, ...] = ()
    kwargs: Mapping[str, Any] | None = None
    dynamic_shapes: DynamicShapes | None = None
    input_names: Sequence[str] | None = None
    output_names: Sequence[str] | None = None
    opset: int | None = None

    def __post_init__(self) -> None:
        checks = {
            "args": (self.args, (tuple, list), "a tuple of positional arguments"),
            "kwargs": (self.kwargs, (Mapping, type(None)), "a dict of keyword arguments"),
            "dynamic_shapes": (self.dynamic_shapes, (Mapping, type(None)), "a dict such as {'x': {0: 'batch'}}"),
            "input_names": (self.input_names, (tuple, list, type(None)), "a list of names"),
            "output_names": (self.output_names, (tuple, list, type(None)), "a list of names"),
            "opset": (self.opset, (int, type(None)), "a number"),
        }
        for name, (value, kinds, wanted) in checks.items():
            _check_type(name, value, kinds, wanted)
        for name, axes in (self.dynamic_shapes or {}).items():
            _check_type(f"dynamic_shapes[{name!r}]", axes, (Mapping,), "a dict such as {0: 'batch'}")


def _check_type(name: str, value: object, kinds: tuple[type, ...], wanted: str) -> None:
    if not isinstance(value, kinds):
        raise UsageError(f"{name} is of type {type(value).__name__}", help=f"give {wanted}")
