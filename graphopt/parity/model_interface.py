"""What a model takes and gives, from the file itself."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import onnx
from google.protobuf.message import DecodeError

from graphopt.errors import ModelError
from graphopt.graph.bodies import nodes_below
from graphopt.graph.interface import Interface, interface_of
from graphopt.graph.load import IR_WITHOUT_FORCED_INPUTS, Overridable, read_proto
from graphopt.graph.schemas import STANDARD_DOMAINS, is_pure


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


def draws_numbers(model: onnx.ModelProto) -> bool:
    """Whether a node may give other outputs for equal inputs: a random operator, or Dropout that may be in training."""
    nodes = [*nodes_below(model.graph.node), *(n for f in model.functions for n in nodes_below(f.node))]
    standard = [n for n in nodes if n.domain in STANDARD_DOMAINS]
    return any(not is_pure(n.op_type, n.domain) or (n.op_type == "Dropout" and len(n.input) > 2) for n in standard)


def holds_short_floats(model: onnx.ModelProto) -> bool:
    """Whether something is a float16 or bfloat16. ONNX Runtime computes these in float32 on the CPU and leaves out the
    rounding between nodes in a row, so that the bits depend on what stands beside what."""
    nodes = [*nodes_below(model.graph.node), *(n for f in model.functions for n in nodes_below(f.node))]
    types = {t.data_type for t in model.graph.initializer}
    types |= {v.type.tensor_type.elem_type for v in (*model.graph.input, *model.graph.output)}
    for node in nodes:
        for attribute in node.attribute:
            types.add(attribute.t.data_type)
            if attribute.name in ("to", "dtype"):
                types.add(attribute.i)
            types |= {t.data_type for t in attribute.g.initializer}
    return not types.isdisjoint({onnx.TensorProto.FLOAT16, onnx.TensorProto.BFLOAT16})
