"""The bodies that the standard gives for some of its operators, in the place of nodes that a target does not take."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import onnx
from onnx import inliner

from graphopt.errors import ModelError
from graphopt.graph.graph import Graph, Node, Value
from graphopt.graph.load import from_proto
from graphopt.graph.model import Model
from graphopt.graph.save import node_proto
from graphopt.graph.schemas import attribute_default, opset_imports, schema
from graphopt.graph.types import type_proto
from graphopt.rewrite.mark import FROM

DOMAIN = "graphopt.body"
"""The domain of a body while it is put in place."""


def inline_bodies(model: Model, is_taken: Callable[[Node], bool]) -> int:
    """Put the standard's bodies in the place of nodes that are not taken, one level; returns how many there were.

    A node stays if its body needs types that are not known, or operators that the model's opset lacks.
    """
    model.sort()
    inlined = 0
    for node in list(model.all_nodes()):
        if node.graph is None or node.domain not in ("", "ai.onnx.preview") or is_taken(node):
            continue
        body = _body(node, model)
        if body is not None:
            _replace(node, body, model)
            inlined += 1
    if inlined:
        model.sort()
    return inlined


def _body(node: Node, model: Model) -> Model | None:
    """The body of one node as a model: its inputs and outputs are those of the node, absent ones left out."""
    types = [None if v is None else type_proto(v) for v in node.inputs]
    if any(v is not None and t is None for v, t in zip(node.inputs, types, strict=True)):
        return None
    called = node_proto(node, onnx.NodeProto())
    _state_defaults(called, node, model)
    del called.input[:], called.output[:]
    called.input.extend("" if v is None else f"i{k}" for k, v in enumerate(node.inputs))
    called.output.extend("" if v is None or not v.is_used else f"o{k}" for k, v in enumerate(node.outputs))
    function = _function(called, node, model, [t or onnx.TypeProto() for t in types])
    if function is None:
        return None
    function.domain, function.name = DOMAIN, node.op_type
    del function.opset_import[:]  # the inliner leaves calls alone whose function is of another opset
    function.opset_import.extend(opset_imports(model.opsets))
    called.domain = DOMAIN
    proto = onnx.ModelProto(ir_version=max(model.header.ir_version, 10), functions=[function])
    proto.opset_import.extend([*opset_imports(model.opsets), onnx.OperatorSetIdProto(domain=DOMAIN, version=1)])
    graph = proto.graph
    graph.name = "body"
    graph.node.append(called)
    for k, (value, kind) in enumerate(zip(node.inputs, types, strict=True)):
        if value is not None:
            graph.input.append(onnx.ValueInfoProto(name=f"i{k}", type=kind))
    for k, value in enumerate(node.outputs):
        if value is not None and value.is_used:
            info = onnx.ValueInfoProto(name=f"o{k}")
            kind = type_proto(value)
            if kind is None:
                return None
            info.type.CopyFrom(kind)
            graph.output.append(info)
    try:
        flat = inliner.inline_local_functions(proto)
        return None if flat.functions else from_proto(flat, overridable="keep")
    except (ModelError, onnx.checker.ValidationError, onnx.shape_inference.InferenceError, RuntimeError):
        return None


def _state_defaults(called: onnx.NodeProto, node: Node, model: Model) -> None:
    """Write out the defaults, which bodies refer to and the inliner does not know."""
    found = schema(node.op_type, model.opsets.get(node.domain, 0), node.domain)
    said = {a.name for a in called.attribute}
    for name in found.attributes if found is not None else ():
        default = attribute_default(node.op_type, model.opsets.get(node.domain, 0), name, node.domain)
        if name not in said and default is not None:
            called.attribute.append(onnx.helper.make_attribute(name, default))


def _function(
    called: onnx.NodeProto, node: Node, model: Model, types: list[onnx.TypeProto]
) -> onnx.FunctionProto | None:
    opset = model.opsets.get(node.domain, 0)
    found: Any = schema(node.op_type, opset, node.domain)  # onnx's stub lacks what is asked here
    if found is None:
        return None
    try:
        if found.has_context_dependent_function:
            versions = [v for v in found.context_dependent_function_opset_versions if v <= opset]
            raw = found.get_context_dependent_function_with_opset_version(
                max(versions, default=opset), called.SerializeToString(), [t.SerializeToString() for t in types]
            )
        elif found.has_function:
            versions = [v for v in found.function_opset_versions if v <= opset]
            raw = found.get_function_with_opset_version(max(versions, default=opset))
        else:
            return None
    except (RuntimeError, ValueError):
        return None
    return onnx.FunctionProto.FromString(raw) if raw else None


def _replace(node: Node, body: Model, model: Model) -> None:
    host = node.graph
    assert host is not None
    inner = body.graph
    _rename(inner, model)
    given = {f"i{k}": v for k, v in enumerate(node.inputs) if v is not None}
    shown = [v for v in node.outputs if v is not None and v.is_used]
    results = list(inner.outputs)
    for value in results:
        value.output_slots -= 1
    inner.outputs = []
    order, origin = node.order, node.metadata.get(FROM, node.label)
    for value, name in [(v, v.name) for v in inner.inputs]:
        inner.redirect(value, given[name])
    results = [given[v.name] if v.is_input else v for v in results]
    moved, weights = list(inner.nodes), list(inner.initializers)
    for each in moved:
        inner.detach_node(each)
    host.remove_node(node)
    for value in weights:
        value.graph = host
        host.initializers[value] = None
    for each in moved:
        each.metadata.setdefault(FROM, origin)
        host.add_node(each, order)
    for outer, result in zip(shown, results, strict=True):
        _hand_on(host, outer, result, order, origin)


def _rename(inner: Graph, model: Model) -> None:
    """Names that nobody in the model bears; those of inputs stay, since they tell which input it is."""
    for graph in list(inner.all_graphs()):
        graph.model = model
        for value in (*(graph.inputs if graph is not inner else ()), *graph.initializers):
            value.name = model.names.fresh(value.name)
        for node in graph.nodes:
            node.name = ""
            for value in node.outputs:
                if value is not None:
                    value.name = model.names.fresh(value.name)


def _hand_on(host: Graph, outer: Value, result: Value, order: int, origin: str) -> None:
    if outer.is_output:
        same = Node("Identity", [result], [outer], name=host.model.names.fresh(f"{outer.name}.body"))
        same.metadata[FROM] = origin
        host.add_node(same, order)
        return
    host.redirect(outer, result)
