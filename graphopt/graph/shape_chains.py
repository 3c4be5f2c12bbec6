"""Evaluation of what a model computes from shapes alone, in a proto whose inputs have all their sizes.

onnx's own data propagation follows fewer operators and only rank-1 data; without the rest, the target of a Reshape
stays unknown, and so does every shape behind it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import onnx
from onnx import numpy_helper, shape_inference

from graphopt.graph.bodies import bodies_of
from graphopt.graph.schemas import is_pure
from graphopt.graph.tensor import SMALL, Array

ROUNDS = 8
"""Of inference and evaluation in turn. A round passes one Reshape whose target hangs on the shape of the one before
it; what nests deeper stays unknown."""

Known = dict[str, Array]


def infer_sized(model: onnx.ModelProto) -> onnx.ModelProto:
    """Shape inference with everything small evaluated that hangs on shapes and constants.

    Nodes that were evaluated are initializers in what is returned.
    """
    opsets = {o.domain: o.version for o in model.opset_import}
    for _ in range(ROUNDS):
        try:
            model = shape_inference.infer_shapes(model, data_prop=True)
        except (shape_inference.InferenceError, ValueError, RuntimeError):
            break  # onnx gives up on the whole model; what is known until then stands
        if not _Settler(opsets).settle(model.graph, {}):
            break
    return model


class _Settler:
    def __init__(self, opsets: Mapping[str, int]) -> None:
        self._opsets = dict(opsets)

    def settle(self, graph: onnx.GraphProto, outer: Known) -> bool:
        """Turn nodes into initializers where that can be done; whether any was."""
        hidden = _defined(graph)
        visible = {name: array for name, array in outer.items() if name not in hidden}
        changed = _bring_in(graph, visible)
        known = {**visible, **_constants(graph)}
        shapes = _shapes(graph)
        left: list[onnx.NodeProto] = []
        for node in graph.node:
            changed |= _take_branch(node, known)
            for body in bodies_of(node):
                changed |= self.settle(body, known)
            found = self._evaluated(node, known, shapes)
            if found is None:
                left.append(node)
                continue
            known |= found
            graph.initializer.extend(numpy_helper.from_array(array, name) for name, array in found.items())
        if len(left) == len(graph.node):
            return changed
        kept = [onnx.NodeProto.FromString(node.SerializeToString()) for node in left]
        del graph.node[:]
        graph.node.extend(kept)
        return True

    def _evaluated(self, node: onnx.NodeProto, known: Known, shapes: Mapping[str, tuple[int, ...]]) -> Known | None:
        if node.domain or any(True for _ in bodies_of(node)) or not is_pure(node.op_type):
            return None
        if node.op_type in ("Shape", "Size") and node.input[0] in shapes:
            inputs: Known = {node.input[0]: np.broadcast_to(np.float32(0), shapes[node.input[0]])}
        elif all(name in known for name in node.input if name):
            inputs = {name: known[name] for name in node.input if name}
        else:
            return None
        outputs = [name for name in node.output if name]
        if any(np.prod(shapes.get(name, (SMALL + 1,))) > SMALL for name in outputs):
            return None  # unknown, or too large to be the size of anything: a weight, or a bomb
        return self._run(node, inputs, outputs)

    def _run(self, node: onnx.NodeProto, inputs: Known, outputs: list[str]) -> Known | None:
        from onnx.reference import ReferenceEvaluator

        graph = onnx.GraphProto(name="one", node=[node])
        graph.input.extend(onnx.ValueInfoProto(name=name) for name in inputs)
        graph.output.extend(onnx.ValueInfoProto(name=name) for name in outputs)
        try:
            with np.errstate(all="ignore"):
                evaluator: Any = ReferenceEvaluator(graph, opsets=self._opsets)
                results = evaluator.run(outputs, inputs)
            return {name: np.asarray(array) for name, array in zip(outputs, results, strict=True)}
        except Exception:
            return None  # what cannot be evaluated stays a node; its shape stays open


def _take_branch(node: onnx.NodeProto, known: Known) -> bool:
    """Give both branches of an If that is decided the one that runs, so that inference need not reconcile two."""
    if node.op_type != "If" or node.domain or node.input[0] not in known:
        return False
    branches = {a.name: a.g for a in node.attribute}
    taken, other = branches.get("then_branch"), branches.get("else_branch")
    if not known[node.input[0]].all():
        taken, other = other, taken
    if taken is None or other is None or taken == other:
        return False
    other.CopyFrom(taken)
    return True


def _bring_in(body: onnx.GraphProto, outer: Known) -> bool:
    """Copy the outer constants that a body reads into it: inference does not see the data of captures."""
    read = dict.fromkeys(name for node in body.node for name in node.input if name in outer)
    body.initializer.extend(numpy_helper.from_array(outer[name], name) for name in read)
    return bool(read)


def _defined(graph: onnx.GraphProto) -> set[str]:
    return {info.name for info in (*graph.input, *graph.initializer)} | {o for node in graph.node for o in node.output}


def _constants(graph: onnx.GraphProto) -> Known:
    """The small initializers that have data and that nobody can override."""
    inputs = {info.name for info in graph.input}
    return {
        tensor.name: numpy_helper.to_array(tensor)
        for tensor in graph.initializer
        if tensor.name not in inputs and np.prod(tensor.dims) <= SMALL and not tensor.external_data
    }


def _shapes(graph: onnx.GraphProto) -> dict[str, tuple[int, ...]]:
    found: dict[str, tuple[int, ...]] = {}
    for info in (*graph.value_info, *graph.input, *graph.output):
        tensor = info.type.tensor_type
        dims = tensor.shape.dim
        if tensor.HasField("shape") and all(d.HasField("dim_value") and d.dim_value >= 0 for d in dims):
            found[info.name] = tuple(d.dim_value for d in dims)
    for tensor in graph.initializer:
        found[tensor.name] = tuple(tensor.dims)
    return found
