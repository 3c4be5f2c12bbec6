"""Evaluating constant nodes with ONNX Runtime's own kernels, its optimizations off."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx

from graphopt.graph.dtypes import DType
from graphopt.graph.graph import Node, Value
from graphopt.graph.model import Model
from graphopt.graph.save import node_proto
from graphopt.graph.schemas import opset_imports
from graphopt.graph.session import new_session
from graphopt.graph.tensor import Array
from graphopt.graph.types import tensor_type


def evaluate(nodes: Sequence[Node], wanted: Sequence[Value], model: Model) -> dict[Value, Array]:
    """Values of constant nodes, in execution order, that depend on nothing but constants and each other.

    Values that ONNX Runtime has no kernel for are missing from the result.
    """
    if not wanted:
        return {}
    try:
        return _run(nodes, wanted, model)
    except _Refused:
        pass
    if len(nodes) == 1:
        return {}
    return _one_by_one(nodes, wanted, model)


class _Refused(Exception):
    """ONNX Runtime would not run these nodes."""


def _one_by_one(nodes: Sequence[Node], wanted: Sequence[Value], model: Model) -> dict[Value, Array]:
    """Where the whole is refused, find out node by node what can be had."""
    known: dict[Value, Array] = {}
    for node in nodes:
        outputs = [v for v in node.outputs if v is not None and v.is_used]
        if any(v is not None and v.constant is None and v not in known for v in node.inputs):
            continue
        try:
            known.update(_run([node], outputs, model, known))
        except _Refused:
            continue
    return {v: known[v] for v in wanted if v in known}


def _run(
    nodes: Sequence[Node], wanted: Sequence[Value], model: Model, known: dict[Value, Array] | None = None
) -> dict[Value, Array]:
    proto = _model_of(nodes, wanted, model, known or {})
    try:
        results: list[Any] = new_session(proto.SerializeToString(), threads=1).run_with_ort_values(None, {})
        arrays = [_array(r, v) for r, v in zip(results, wanted, strict=True)]
    except Exception as error:  # ONNX Runtime's errors share no base but this one
        raise _Refused from error
    return dict(zip(wanted, arrays, strict=True))


def _array(result: Any, value: Value) -> Array:
    if not result.is_tensor():
        raise _Refused
    array = result.numpy()
    dtype = DType(result.element_type()) if result.element_type() else value.dtype
    if dtype is DType.string:
        return np.array(array, dtype=object)
    if dtype is not None and array.dtype != dtype.numpy:
        return array.view(dtype.numpy)
    return array


def _model_of(
    nodes: Sequence[Node], wanted: Sequence[Value], model: Model, known: dict[Value, Array]
) -> onnx.ModelProto:
    proto = onnx.ModelProto(ir_version=model.header.ir_version, opset_import=opset_imports(model.opsets))
    graph = proto.graph
    graph.name = "constants"
    made = {v for n in nodes for v in n.outputs}
    given = dict.fromkeys(v for n in nodes for v in n.inputs if v is not None and v not in made)
    for value in given:
        if value in known:
            from graphopt.graph.tensor import Tensor

            graph.initializer.append(Tensor.of(known[value]).to_proto(value.name))
        else:
            assert value.constant is not None
            graph.initializer.append(value.constant.to_proto(value.name))
    for number, node in enumerate(nodes):
        added = node_proto(node, graph.node.add())
        added.name = f"{number}"
    for value in wanted:
        output = graph.output.add()
        output.name = value.name
        if value.dtype is not None:
            output.type.CopyFrom(tensor_type(value.dtype, None))
    return proto
