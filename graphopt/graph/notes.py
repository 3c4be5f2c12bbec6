"""What exporters leave in a model for those who debug the export: it says nothing of what the model computes, and can
take more room than the model."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Any

import onnx

from graphopt.graph.bodies import bodies_of

KEPT_BY = "pkg."
"""Keys begin with it where a package keeps what it knows of a node: stack traces, scopes, classes, its own rules."""

SCOPE = "namespace"
"""The key under which torch names the module that a node comes from."""

TRACE = re.compile(r"[^\n]+\(\d+\): [^\n]+(\n[^\n]+\(\d+\): [^\n]+)*\n?")
"""Documentation of a node that is a stack trace: lines like `net.py(12): forward`, as torch's older exporter writes."""


def drop_notes(model: onnx.ModelProto) -> None:
    """Take the metadata of exporters out of a file, in place: that of graphs, functions, nodes, values and weights; and
    documentation of nodes that is a stack trace.

    What stands at the model itself stays, and so do metadata under other keys and other documentation.
    """
    for function in model.functions:
        _strip((function, *function.value_info))
        _nodes(function.node)
    _graph(model.graph)


def _graph(graph: onnx.GraphProto) -> None:
    _strip((graph, *graph.input, *graph.output, *graph.value_info, *graph.initializer))
    _nodes(graph.node)


def _nodes(nodes: Iterable[onnx.NodeProto]) -> None:
    _strip(nodes)
    for node in nodes:
        if node.doc_string and TRACE.fullmatch(node.doc_string):
            node.ClearField("doc_string")
        if node.attribute:
            _strip(_tensors(node))
            for body in bodies_of(node):
                _graph(body)


def _tensors(node: onnx.NodeProto) -> Iterator[onnx.TensorProto]:
    return (attribute.t for attribute in node.attribute if attribute.HasField("t"))


def _strip(holders: Iterable[Any]) -> None:
    for holder in holders:
        if holder.metadata_props:
            others = [p for p in holder.metadata_props if p.key != SCOPE and not p.key.startswith(KEPT_BY)]
            del holder.metadata_props[:]
            holder.metadata_props.extend(others)
