"""torch's two exporters, each writing a raw model."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from graphopt.exporting.call import Call, copies, flat_forward
from graphopt.exporting.evaluation import evaluation
from graphopt.exporting.user_code import user_line

_torch_onnx: Any = torch.onnx  # torch leaves its types half open

Dynamic = Mapping[str, Mapping[int, str]]


@dataclass(frozen=True)
class Order:
    """What an exporter is asked for: output names in order, dynamic axes by input, the opset or its own choice."""

    output_names: tuple[str, ...]
    dynamic: Dynamic
    opset: int | None


class ExporterRefused(Exception):
    """An exporter did not make a model that can be used; the text says why in one line, `help` what to do."""

    def __init__(self, reason: str, help: str | None = None) -> None:
        super().__init__(reason)
        self.help = help


def dynamo(call: Call, order: Order, path: Path) -> None:
    """Export through torch.export. Names of inputs and outputs are the exporter's own, their order is the call's."""
    shapes = tuple(dict(order.dynamic.get(name, {})) or None for name in call.names)
    with evaluation(call.module), flat_forward(call) as module, _fresh_kernels():
        program = _torch_onnx.export(
            module,
            copies(call.tensors),
            dynamo=True,
            dynamic_shapes=shapes if order.dynamic else None,
            opset_version=order.opset,
            verbose=False,
        )
    program.save(path)


@contextlib.contextmanager
def _fresh_kernels() -> Generator[None]:
    """Recurrent operators as they are, before and after.

    While it exports with dynamic shapes torch puts loops in their place, and what it looked up meanwhile stays
    looked up: in a process that exported one recurrent module, the next would have its sequence length fixed.
    """
    _forget_kernels()
    try:
        yield
    finally:
        _forget_kernels()


def _forget_kernels() -> None:
    for operator in (torch.ops.aten.lstm.input, torch.ops.aten.gru.input):
        getattr(operator, "_dispatch_cache", {}).clear()


def legacy(call: Call, order: Order, path: Path) -> None:
    """Export through a trace. Inputs that the module does not read are missing from the model."""
    with evaluation(call.module), flat_forward(call) as module:
        _torch_onnx.export(
            module,
            copies(call.tensors),
            str(path),  # beyond 2 GB it wants a text, not a Path
            dynamo=False,
            input_names=list(call.names),
            output_names=list(order.output_names),
            dynamic_axes={name: dict(axes) for name, axes in order.dynamic.items()},
            opset_version=order.opset,
        )


EXPORTERS: dict[str, Callable[[Call, Order, Path], None]] = {"dynamo": dynamo, "legacy": legacy}


@contextlib.contextmanager
def refusals() -> Generator[None]:
    """Whatever an exporter raises is its refusal."""
    try:
        yield
    except ExporterRefused:
        raise
    except Exception as error:
        raise ExporterRefused(reason(error)) from error


def reason(error: BaseException) -> str:
    """The first cause of an exporter's error, in one line, with the place in the user's code where known."""
    cause = error
    while cause.__cause__ is not None:
        cause = cause.__cause__
    plain = re.sub(r"\x1b\[[0-9;]*m", "", str(cause))
    lines = [stripped for text in plain.splitlines() if (stripped := text.strip())]
    line = " ".join(lines[:2] if lines and lines[0].endswith(":") else lines[:1])
    place = user_line(cause)
    text = f"{type(cause).__name__}: {line}" if line else type(cause).__name__
    return text + (f" ({place})" if place else "")
