"""A model cut into pieces that run one after another, so that no more tensors are in memory at once than a budget has
room for.

A piece takes what earlier ones left for it and gives the tensors that are to be counted, and those that later pieces
read. Nothing is computed twice, and no weight is in two pieces unless nodes of both read it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from math import prod

import onnx

from graphopt.graph.dtypes import DType
from graphopt.graph.graph import Graph, Node, Value
from graphopt.graph.model import Model
from graphopt.graph.order import reads
from graphopt.graph.sizes import SizedShapes
from graphopt.graph.types import tensor_type

WEIGHTS = 1_500_000_000
"""Bytes of weights after which a piece ends: protobuf stops at 2 GiB, and nodes need room too."""


@dataclass
class Segment:
    """Nodes that run in one go.

    Attributes:
        nodes: in execution order; Constant nodes stand in each segment that reads them.
        feeds: what it reads from inputs of the model and from segments before it.
        counted: what it makes of the tensors to be counted.
        passed: what it makes and a later segment reads.
    """

    nodes: list[Node] = field(default_factory=list[Node])
    feeds: list[Value] = field(default_factory=list[Value])
    counted: list[Value] = field(default_factory=list[Value])
    passed: list[Value] = field(default_factory=list[Value])

    @property
    def weights(self) -> list[Value]:
        """The initializers of the main graph that its nodes read, in a fixed order."""
        found = {v for n in self.nodes for v in reads(n) if v.initializer is not None and v.graph is n.graph}
        return sorted(found, key=lambda v: v.name)


def cut(model: Model, counted: Collection[Value], shapes: SizedShapes, budget: int) -> list[Segment]:
    """Segments that make all of `counted`, values of the main graph, in execution order.

    `budget` is in bytes: what a segment makes to be counted or passed on, and what waits for later ones. A single node
    may need more, and so may nodes between which something passes that is no tensor of a known element type.
    """
    model.sort()
    graph = model.graph
    nodes = _needed(graph, counted)
    last_reader = {v: place for place, node in enumerate(nodes) for v in reads(node)}
    sizes = _sizes(nodes, shapes)
    segments: list[Segment] = []
    current, held, weights = Segment(), 0, 0
    waiting: dict[Value, int] = {}
    for place, node in enumerate(nodes):
        made = [v for v in node.outputs if v is not None]
        added = sum(sizes[v] for v in made if v in counted or last_reader.get(v, -1) > place)
        heavy = sum(v.initializer.nbytes for v in reads(node) if v.initializer is not None)
        waiting = {v: until for v, until in waiting.items() if until >= place}
        full = held + added > budget or weights + heavy > WEIGHTS
        if current.nodes and full and all(_may_pass(v) for v in waiting):
            segments.append(current)
            current, held, weights = Segment(), sum(sizes[v] for v in waiting), 0
        current.nodes.append(node)
        current.counted += [v for v in made if v in counted]
        held += added
        weights += heavy
        waiting |= {v: last_reader[v] for v in made if last_reader.get(v, -1) > place}
    segments.append(current)
    _connect(segments, graph)
    return [s for s in segments if s.nodes]


def _needed(graph: Graph, wanted: Iterable[Value]) -> list[Node]:
    """The nodes of the graph that make these values, in execution order, without Constant nodes."""
    pending, found = [v.producer for v in wanted if v.producer is not None], set[Node]()
    while pending:
        node = pending.pop()
        if node not in found and node.graph is graph:
            found.add(node)
            pending += [v.producer for v in reads(node) if v.producer is not None]
    return [n for n in graph.nodes if n in found and n.op_type != "Constant"]


def _sizes(nodes: Sequence[Node], shapes: SizedShapes) -> Mapping[Value, int]:
    """Bytes of what each node makes; where that is not known, those of the largest of the others."""
    made = [v for node in nodes for v in node.outputs if v is not None]
    known = {v: prod(shape) * _width(v) for v in made if (shape := shapes.of(v)) is not None}
    largest = max(known.values(), default=0)
    return {v: known.get(v, largest) for v in made}


def _width(value: Value) -> int:
    return max(value.dtype.bits // 8, 1) if value.dtype is not None else 4


def _may_pass(value: Value) -> bool:
    return value.dtype is not None and value.dtype is not DType.string and value.type_proto is None


def _connect(segments: Sequence[Segment], graph: Graph) -> None:
    """Note what each segment reads from the outside, and what others need from it."""
    made_by = {v: s for s in segments for n in s.nodes for v in n.outputs if v is not None}
    inputs = set(graph.inputs)
    for segment in segments:
        constants: dict[Node, None] = {}
        for value in dict.fromkeys(v for n in segment.nodes for v in reads(n)):
            maker = made_by.get(value)
            if maker is not None and maker is not segment:
                segment.feeds.append(value)
                if value not in maker.passed:
                    maker.passed.append(value)
            elif value in inputs:
                segment.feeds.append(value)
            elif maker is None and value.producer is not None and value.graph is graph:
                constants[value.producer] = None
        segment.nodes[:0] = constants


def declaration(value: Value) -> onnx.ValueInfoProto:
    """How a segment declares what it is fed: as the model does, or by its element type alone, since what a sample
    makes may have another shape than the one that inference tells."""
    if value.declared is not None and value.is_input:
        return value.declared
    info = onnx.ValueInfoProto(name=value.name)
    assert value.dtype is not None
    info.type.CopyFrom(tensor_type(value.dtype, None))
    return info
