"""What float16 and bfloat16 do to a model, spelled out for ONNX Runtime.

On the CPU it computes nearly everything in float32 and leaves out the rounding between nodes in a row; of bfloat16 it
has hardly any kernel. With every node in float32 between Casts of its own, the roundings are those that the types ask
for, once an operator, as kernels have them that add up in float32.
"""

from __future__ import annotations

import tempfile
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from graphopt.graph.attributes import Attribute
from graphopt.graph.dtypes import DType
from graphopt.graph.graph import Node, Value
from graphopt.graph.load import from_proto, load
from graphopt.graph.model import Model
from graphopt.graph.save import needs_external, save, to_bytes
from graphopt.graph.tensor import Tensor
from graphopt.parity.model_interface import holds_short_floats, read_model

SHORT = (DType.float16, DType.bfloat16)

LEFT = frozenset({"Cast", "Constant", "Shape", "Size"})
"""Operators that compute nothing in their element types."""


@contextmanager
def spelled_out(model: Path | bytes, label: str) -> Generator[Path | bytes]:
    """A model that computes in float32 what the given one computes in a short type, and rounds as that does; the model
    itself if it holds no short floats. What it takes a file for is removed afterwards.

    Raises:
        ModelError: it is no ONNX model.
    """
    found = _with_short_floats(model, label)
    if found is None:
        yield model
        return
    spell_out(found)
    if not needs_external(found):
        yield to_bytes(found)
        return
    with tempfile.TemporaryDirectory(prefix="graphopt-") as folder:
        path = Path(folder) / "spelled.onnx"
        save(found, path)
        yield path


def _with_short_floats(model: Path | bytes, label: str) -> Model | None:
    """The model, if it holds short floats. What else was read is let go here: it may be gigabytes."""
    proto = read_model(model, label)
    if not holds_short_floats(proto):
        return None
    return load(model, overridable="keep") if isinstance(model, Path) else from_proto(proto, overridable="keep")


def spell_out(model: Model) -> None:
    """Put Casts around every node that computes in a short type, in place."""
    for node in list(model.all_nodes()):
        if node.op_type in LEFT or node.has_bodies or any(_is_other(v) for v in (*node.inputs, *node.outputs)):
            continue
        for index, value in enumerate(node.inputs):
            if value is not None and value.dtype in SHORT:
                node.set_input(index, _widened(node, value))
        for index, value in enumerate(node.outputs):
            if value is not None and value.dtype in SHORT:
                _round_output(node, index, value)
    model.sort()


def _is_other(value: Value | None) -> bool:
    """Whether a value is a sequence or an optional, which nodes hand on as they are."""
    return value is not None and value.type_proto is not None


def _widened(node: Node, value: Value) -> Value:
    graph = node.graph
    assert graph is not None
    if value.constant is not None:
        array = value.constant.numpy().astype(np.float32)
        return graph.add_initializer(Tensor.of(np.asarray(array)), f"{value.name}.wide")
    wide = graph.new_value(f"{value.name}.wide", DType.float32, value.shape)
    graph.add_node(_cast(value, wide), node.order)
    return wide


def _round_output(node: Node, index: int, value: Value) -> None:
    graph = node.graph
    assert graph is not None
    wide = graph.new_value(f"{value.name}.wide", DType.float32, value.shape)
    node.outputs[index] = wide
    wide.producer = node
    graph.add_node(_cast(wide, value), node.order)
    for name in ("dtype", "output_dtype"):
        if node.attribute(name) in SHORT:
            node.attributes[name] = Attribute.of(name, int(DType.float32))
    held = node.attribute("value")
    if node.op_type == "ConstantOfShape" and held is not None:
        node.attributes["value"] = Attribute.of("value", Tensor.of(np.asarray(held.numpy().astype(np.float32))))


def _cast(source: Value, result: Value) -> Node:
    assert result.dtype is not None
    name = result.graph.model.names.fresh(f"{result.name}.cast")
    return Node("Cast", [source], [result], {"to": Attribute.of("to", int(result.dtype))}, name=name)
