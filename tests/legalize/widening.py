"""Widening a model, and what it gives then."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx

from graphopt.graph.dtypes import DType
from graphopt.graph.load import from_proto
from graphopt.graph.save import to_proto
from graphopt.graph.session import new_session
from graphopt.graph.validate import interface_of_model, validate
from graphopt.legalize.shifts import spell_shifts
from graphopt.legalize.widen import Widened, widen_types

Array = np.ndarray[Any, Any]

NARROW = frozenset({DType.int8, DType.uint8, DType.int16, DType.uint16, DType.uint32, DType.uint64, DType.float64})


def parsed(graph: str, opset: int = 21) -> onnx.ModelProto:
    return onnx.parser.parse_model(f'<ir_version: 10, opset_import: ["" : {opset}]> main {graph}')


def widened(proto: onnx.ModelProto, *, allow_narrowing: bool = False) -> tuple[onnx.ModelProto, Widened]:
    """The model without the types that a target may lack, of the same inputs and outputs, and what became of it."""
    model = from_proto(proto)
    interface = interface_of_model(model)
    found = widen_types(model, NARROW, allow_narrowing=allow_narrowing)
    spell_shifts(model)
    validate(model, interface)
    after = to_proto(model)
    onnx.checker.check_model(after, full_check=True)
    return after, found


def operators(proto: onnx.ModelProto) -> list[str]:
    return [node.op_type for node in proto.graph.node]


def computing_types(proto: onnx.ModelProto) -> set[str]:
    """The element types that anything but a Cast reads or makes."""
    inferred = onnx.shape_inference.infer_shapes(proto, strict_mode=True).graph
    types = {v.name: v.type.tensor_type.elem_type for v in (*inferred.value_info, *inferred.input, *inferred.output)}
    types |= {w.name: w.data_type for w in inferred.initializer}
    touched = [name for n in inferred.node if n.op_type != "Cast" for name in (*n.input, *n.output) if name]
    return {DType(types[name]).name for name in touched}


def run(proto: onnx.ModelProto, **feeds: Array) -> list[Array]:
    return list(new_session(proto.SerializeToString(), threads=1).run(None, feeds))
