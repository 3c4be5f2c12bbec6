"""What a target is known to refuse, or to get silently wrong, found in the model before any builder runs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

import onnx
from onnx import shape_inference

from graphopt.backends.refusal import Refusal
from graphopt.graph.bodies import bodies_of
from graphopt.graph.check_file import known_dtype, node_label
from graphopt.graph.dtypes import DType
from graphopt.graph.interface import Interface, TensorSpec
from graphopt.targets import Target

QUANTIZERS = ("QuantizeLinear", "DequantizeLinear")

UNSIGNED = "its quantized side is uint8, which TensorRT runs as int8: values from 128 to 255 would come out wrong"
UNSIGNED_HELP = "quantize symmetrically to int8: a zero point of type int8 and value 0"


def refusals(
    model: onnx.ModelProto, interface: Interface, target: Target, capabilities: Iterable[str]
) -> list[Refusal]:
    """Everything in a model that a target cannot take as far as the model itself tells.

    `capabilities` are the compute capabilities that the engine must run on.
    """
    return [
        *_interface(interface, target),
        *_weights(model, target),
        *_lacking(model, interface, target, capabilities),
        *(Refusal(f"node {node_label(node)}", UNSIGNED, UNSIGNED_HELP) for node in _unsigned(model)),
    ]


def _interface(interface: Interface, target: Target) -> Iterator[Refusal]:
    for side, specs in (("input", interface.inputs), ("output", interface.outputs)):
        for spec in specs:
            reason = _interface_reason(side, spec, target)
            if reason:
                yield Refusal(f"{side} {spec.name!r}", *reason)


def _interface_reason(side: str, spec: TensorSpec, target: Target) -> tuple[str, str] | None:
    if spec.kind != "tensor":
        return f"is a {spec.kind}; {target.title} has tensors only", "give the model tensors instead"
    if spec.dtype and target.io_dtypes and spec.dtype.name not in target.io_dtypes:
        known = ", ".join(target.io_dtypes)
        return f"is {spec.dtype.name}; {target.title} takes {known}", "cast outside of the model"
    if spec.shape is None and side == "input" and target.max_rank:
        return (
            f"has no shape; {target.title} would take it for a scalar",
            "export the model with shapes (dynamic sizes are fine, the number of axes must be known)",
        )
    if spec.shape and target.max_rank and len(spec.shape) > target.max_rank:
        return f"has {len(spec.shape)} axes; {target.title} takes up to {target.max_rank}", "merge axes with a Reshape"
    return None


def _weights(model: onnx.ModelProto, target: Target) -> Iterator[Refusal]:
    for tensor in model.graph.initializer:
        name = known_dtype(tensor.data_type, f"weight {tensor.name!r}").name
        if target.weight_dtypes and name not in target.weight_dtypes:
            known = ", ".join(target.weight_dtypes)
            yield Refusal(f"weight {tensor.name!r}", f"is {name}; {target.title} takes {known}")
        if target.max_rank and len(tensor.dims) > target.max_rank:
            yield Refusal(
                f"weight {tensor.name!r}", f"has {len(tensor.dims)} axes; {target.title} takes up to {target.max_rank}"
            )


def _lacking(
    model: onnx.ModelProto, interface: Interface, target: Target, capabilities: Iterable[str]
) -> Iterator[Refusal]:
    places = {DType(tensor.data_type).name: f"weight {tensor.name!r}" for tensor in reversed(model.graph.initializer)}
    places |= {spec.dtype.name: f"input {spec.name!r}" for spec in reversed(interface.inputs) if spec.dtype}
    asked = list(capabilities)
    for name, place in places.items():
        lacking = [c for c in asked if name in target.capabilities[c].lacks]
        if lacking:
            having = [c for c, fact in target.capabilities.items() if name not in fact.lacks]
            yield Refusal(
                place,
                f"is {name}, which {_gpus(lacking, target)} cannot compute with",
                f"build for {', '.join(having)} only",
            )


def _gpus(capabilities: list[str], target: Target) -> str:
    return ", ".join(f"{name} ({target.capabilities[name].gpus})" for name in capabilities)


@dataclass
class _Scope:
    """The nodes of one graph or function body, and the element types that it says its values have."""

    nodes: list[onnx.NodeProto]
    dtypes: dict[str, int] = field(default_factory=dict[str, int])


def _scopes(model: onnx.ModelProto) -> Iterator[_Scope]:
    yield from _graph_scopes(model.graph, {})
    for function in model.functions:
        yield from _bodies(_Scope(list(function.node), _constants(function.node)))


def _graph_scopes(graph: onnx.GraphProto, outer: dict[str, int]) -> Iterator[_Scope]:
    dtypes = {**outer, **_constants(graph.node)}
    for info in (*graph.input, *graph.output, *graph.value_info):
        if info.type.tensor_type.elem_type:
            dtypes[info.name] = info.type.tensor_type.elem_type
    dtypes.update((tensor.name, tensor.data_type) for tensor in graph.initializer)
    yield from _bodies(_Scope(list(graph.node), dtypes))


def _bodies(scope: _Scope) -> Iterator[_Scope]:
    yield scope
    for node in scope.nodes:
        for body in bodies_of(node):
            yield from _graph_scopes(body, scope.dtypes)


def _constants(nodes: Iterable[onnx.NodeProto]) -> dict[str, int]:
    return {
        node.output[0]: attribute.t.data_type
        for node in nodes
        if node.op_type == "Constant" and node.output
        for attribute in node.attribute
        if attribute.name == "value"
    }


def _unsigned(model: onnx.ModelProto) -> list[onnx.NodeProto]:
    """The quantizers whose low-precision side is uint8."""
    found = list(_quantized_types(model))
    if any(dtype is None for _, dtype in found):
        found = list(_quantized_types(_inferred(model)))
    return [node for node, dtype in found if dtype == DType.uint8]


def _inferred(model: onnx.ModelProto) -> onnx.ModelProto:
    try:
        return shape_inference.infer_shapes(model)
    except (
        Exception
    ):  # too large, or contradictory: the builder will say so; here it only means that types stay unknown
        return model


def _quantized_types(model: onnx.ModelProto) -> Iterator[tuple[onnx.NodeProto, int | None]]:
    for scope in _scopes(model):
        for node in scope.nodes:
            if node.op_type in QUANTIZERS and node.domain in ("", "ai.onnx"):
                yield node, _quantized_type(node, scope)


def _quantized_type(node: onnx.NodeProto, scope: _Scope) -> int | None:
    """The element type of a quantizer's low-precision side; None if the model does not say."""
    point = node.input[2] if len(node.input) > 2 else ""
    if node.op_type == "QuantizeLinear":
        asked = next((a.i for a in node.attribute if a.name == "output_dtype"), 0)
        return asked or (scope.dtypes.get(point) if point else DType.uint8)
    return scope.dtypes.get(point) or scope.dtypes.get(node.input[0])
