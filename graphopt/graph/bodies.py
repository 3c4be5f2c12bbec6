"""The graphs inside the nodes of a file: bodies of If, Loop, Scan, and of whatever else holds some."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import onnx


def bodies_of(node: onnx.NodeProto) -> Iterator[onnx.GraphProto]:
    """The bodies that a node holds itself, in the order of its attributes."""
    for attribute in node.attribute:
        if attribute.HasField("g"):
            yield attribute.g
        yield from attribute.graphs


def nodes_below(nodes: Iterable[onnx.NodeProto]) -> Iterator[onnx.NodeProto]:
    """Nodes, each followed by those of its bodies and of theirs."""
    for node in nodes:
        yield node
        for body in bodies_of(node):
            yield from nodes_below(body.node)
