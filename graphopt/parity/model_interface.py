"""What a model takes and gives, from the file itself."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import onnx
from google.protobuf.message import DecodeError

from graphopt.errors import ModelError
from graphopt.graph.interface import Interface, interface_of
from graphopt.graph.load import IR_WITHOUT_FORCED_INPUTS, Overridable, read_proto


def read_model(model: Path | bytes, label: str) -> onnx.ModelProto:
    """The model as protobuf, without its external data.

    Raises:
        ModelError: it is no ONNX model.
    """
    if isinstance(model, Path):
        return read_proto(model)
    try:
        return onnx.ModelProto.FromString(model)
    except DecodeError:
        raise ModelError(f"{label} is not an ONNX model, or is cut short") from None


def effective_interface(model: onnx.ModelProto, overridable: Overridable = "auto") -> Interface:
    """The interface as a caller meets it, by what initializers that are also inputs are taken for. Before IR version 4
    every weight is listed as an input; `auto` counts none of them as one."""
    found = interface_of(model)
    forced = overridable == "auto" and model.ir_version < IR_WITHOUT_FORCED_INPUTS
    return dataclasses.replace(found, optional=()) if forced or overridable == "freeze" else found


def read_interface(model: Path | bytes, label: str, overridable: Overridable = "auto") -> Interface:
    """The effective interface of a model.

    Raises:
        ModelError: it is no ONNX model.
    """
    return effective_interface(read_model(model, label), overridable)
