"""A raw export made presentable: the interface under its names, and nothing that tells of this machine."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

import onnx

from graphopt.exporting.exporters import ExporterRefused
from graphopt.graph.graph import Graph, Node, Value
from graphopt.graph.interface import TensorSpec
from graphopt.graph.model import Model

KEPT_METADATA = ("namespace", "pkg.torch.onnx.class_hierarchy", "pkg.torch.onnx.name_scopes")
"""Which module of the user's a node came from. All else that exporters leave (stack traces with paths, the text
of torch's own graph, names of rules that fired) would differ from machine to machine."""


def tidy(model: Model, inputs: Sequence[TensorSpec], output_names: Sequence[str], *, by_name: bool) -> None:
    """Give inputs and outputs their names, put back inputs that were dropped, and clean the metadata.

    Args:
        model: the raw export; changed in place.
        inputs: what the inputs shall be, in order.
        output_names: the same for outputs.
        by_name: whether the raw inputs go by these names already, and may be fewer; else they go by order.

    Raises:
        ExporterRefused: inputs or outputs are of another number.
    """
    _clean(model)
    names = _Renamer(model)
    _name_inputs(model.graph, inputs, by_name=by_name, names=names)
    _name_outputs(model.graph, output_names, names)


def doubt_shapes(model: Model, varying: Mapping[str, Collection[int]]) -> None:
    """Forget what an exporter says of shapes where dynamic axes may make it untrue.

    Exporters write sizes of the example beside values whose sizes follow a dynamic axis: of inner values all
    is forgotten (it is inferred when the model is read), of outputs the axes that were seen to vary.
    """
    for graph in model.all_graphs():
        for node in graph.nodes:
            for value in node.outputs:
                if value is not None and not (graph.is_main and value.is_output):
                    value.declared = None
    for info in model.graph.output_infos:
        for axis in varying.get(info.name, ()):
            dim = info.type.tensor_type.shape.dim[axis]
            if dim.WhichOneof("value") == "dim_value":
                dim.Clear()


class _Renamer:
    """Renames values; who bore the name before gets a fresh one."""

    def __init__(self, model: Model) -> None:
        self._names = model.names
        self._holders = {value.name: value for graph in model.all_graphs() for value in _defined(graph)}

    def rename(self, value: Value, name: str) -> None:
        if value.name == name:
            return
        holder = self._holders.pop(name, None)
        if holder is not None:
            self._set(holder, self._names.fresh(name))
        self._names.take(name)
        self._set(value, name)

    def _set(self, value: Value, name: str) -> None:
        self._holders.pop(value.name, None)
        value.name = name
        self._holders[name] = value
        if value.declared is not None:
            info = onnx.ValueInfoProto()
            info.CopyFrom(value.declared)
            info.name = name
            value.declared = info


def _defined(graph: Graph) -> Iterable[Value]:
    yield from graph.inputs
    yield from graph.initializers
    for node in graph.nodes:
        yield from (value for value in node.outputs if value is not None)


def _name_inputs(graph: Graph, specs: Sequence[TensorSpec], *, by_name: bool, names: _Renamer) -> None:
    if not by_name and len(graph.inputs) != len(specs):
        raise ExporterRefused(f"its model has {len(graph.inputs)} inputs, and the call {len(specs)} tensors")
    present = {value.name: value for value in graph.inputs}
    ordered: list[Value] = []
    for place, spec in enumerate(specs):
        value = present.get(spec.name) if by_name else graph.inputs[place]
        if value is None:
            value = _unread_input(graph, spec)
        names.rename(value, spec.name)
        ordered.append(value)
    if len(set(ordered)) != len(specs) or not set(present.values()) <= set(ordered):
        raise ExporterRefused(f"its model has the inputs {', '.join(present)}")
    graph.inputs = ordered


def _unread_input(graph: Graph, spec: TensorSpec) -> Value:
    value = Value(spec.name, graph, spec.dtype, spec.shape)
    value.is_input = True
    assert spec.dtype is not None
    value.declared = onnx.helper.make_tensor_value_info(spec.name, int(spec.dtype), spec.shape)
    return value


def _name_outputs(graph: Graph, wanted: Sequence[str], names: _Renamer) -> None:
    if len(graph.outputs) != len(wanted):
        raise ExporterRefused(f"its model has {len(graph.outputs)} outputs, and the module {len(wanted)}")
    seen: set[Value] = set()
    for place, value in enumerate(graph.outputs):
        # An input, a weight, or the same value twice cannot bear the output's name: a copy of it does.
        if value.producer is None or value in seen:
            copy = graph.new_value(wanted[place], value.dtype, value.shape)
            graph.add_node(Node("Identity", [value], [copy], name=graph.model.names.fresh(f"Identity_{wanted[place]}")))
            graph.set_output(place, copy)
        seen.add(graph.outputs[place])
    for value, info, name in zip(graph.outputs, graph.output_infos, wanted, strict=True):
        names.rename(value, name)
        info.name = name


def _clean(model: Model) -> None:
    header = model.header
    header.doc_string = ""
    del header.metadata_props[:]
    for function in header.functions:
        function.doc_string = ""
        _keep_some(function.metadata_props)
        for node in function.node:
            node.doc_string = ""
            _keep_some(node.metadata_props)
    for graph in model.all_graphs():
        _clean_graph(graph)


def _clean_graph(graph: Graph) -> None:
    graph.doc_string = ""
    graph.metadata = {}
    for node in graph.nodes:
        node.doc_string = ""
        node.metadata = {key: text for key, text in node.metadata.items() if key in KEPT_METADATA}
    for value in _defined(graph):
        if value.declared is not None:
            value.declared = _bare(value.declared)
    graph.output_infos = [_bare(info) for info in graph.output_infos]


def _bare(info: onnx.ValueInfoProto) -> onnx.ValueInfoProto:
    return onnx.ValueInfoProto(name=info.name, type=info.type)


def _keep_some(properties: Any) -> None:
    kept = [onnx.StringStringEntryProto(key=p.key, value=p.value) for p in properties if p.key in KEPT_METADATA]
    del properties[:]
    properties.extend(kept)
