"""Multiply-accumulates of a whole model: every node, as often as its body runs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

from graphopt.graph.bodies import nodes_below
from graphopt.graph.graph import Graph, Node
from graphopt.graph.macs import COUNTS, node_macs
from graphopt.graph.model import Model
from graphopt.graph.schemas import STANDARD_DOMAINS, standard_domain
from graphopt.graph.sizes import SizedShapes

UNBOUNDED = 2**31 - 1
"""Trip counts from here on mean "until the condition fails" (exporters write the largest int32 or int64)."""


@dataclass
class Work:
    """Multiply-accumulates by operator, what was assumed to count them, and the nodes that could not be counted."""

    by_operator: Counter[str] = field(default_factory=Counter[str])
    assumed: dict[str, int] = field(default_factory=dict[str, int])
    unknown: list[str] = field(default_factory=list[str])

    @property
    def total(self) -> int:
        return self.by_operator.total()

    def add(self, other: Work, times: int = 1) -> None:
        for operator, macs in other.by_operator.items():
            self.by_operator[operator] += macs * times
        self.assumed |= other.assumed
        self.unknown += other.unknown


def count_work(model: Model, shapes: SizedShapes) -> Work:
    """Count one run of the model.

    1. The body of a Loop or Scan counts once for each trip where a constant or a shape tells the trips, else once.
    2. An If counts as its costlier branch.
    3. Custom operators are unknown; so are calls of functions that multiply matrices.
    """
    walk = _Walk(model, shapes)
    work = walk.graph(model.graph)
    if (work.unknown or work.assumed) and shapes.refine():
        work = walk.graph(model.graph)
    work.assumed = {**shapes.assumed, **work.assumed}
    return work


def operator_name(node: Node) -> str:
    """`Operator`, or `domain::Operator` outside the default domain."""
    return f"{node.domain}::{node.op_type}" if node.domain else node.op_type


class _Walk:
    def __init__(self, model: Model, shapes: SizedShapes) -> None:
        self._opset = model.opset
        self._shapes = shapes
        self._functions = {(standard_domain(f.domain), f.name): f for f in model.header.functions}
        self._heavy = set(self._heavy_functions())

    def graph(self, graph: Graph) -> Work:
        work = Work()
        for node in graph.nodes:
            self._node(node, work)
        return work

    def _node(self, node: Node, work: Work) -> None:
        macs = None if self._is_opaque(node.domain, node.op_type) else node_macs(node, self._shapes)
        if macs is None:
            work.unknown.append(f"{operator_name(node)} {node.name}" if node.name else node.label)
        elif macs:
            work.by_operator[operator_name(node)] += macs
        if not node.has_bodies:
            return
        bodies = [self.graph(body) for body in node.bodies]
        if node.op_type == "If":
            work.add(max(bodies, key=lambda body: body.total))
            return
        trips = self._trips(node)
        for body in bodies:
            work.add(body, 1 if trips is None else trips)
            if trips is None and body.total:
                work.assumed[f"trips of {node.label}"] = 1

    def _trips(self, node: Node) -> int | None:
        """How often the body of a node runs, None where only a run can tell."""
        if node.op_type == "Loop":
            limit = node.input(0)
            if limit is None or limit.constant is None or limit.constant.size != 1:
                return None
            trips = int(limit.constant.numpy().reshape(()))
            return max(trips, 0) if trips < UNBOUNDED else None
        if node.op_type == "Scan" and self._opset > 8:
            count = node.attribute("num_scan_inputs", 0)
            axis = (node.attribute("scan_input_axes") or (0,))[0]
            shape = self._shapes.of(node.input(len(node.inputs) - count)) if count else None
            return shape[axis] if shape is not None and -len(shape) <= axis < len(shape) else None
        return None

    def _is_opaque(self, domain: str, op_type: str) -> bool:
        key = (domain, op_type)
        if key in self._functions:
            return key in self._heavy
        return domain not in STANDARD_DOMAINS and key not in COUNTS

    def _heavy_functions(self) -> Iterator[tuple[str, str]]:
        """The functions that multiply matrices, themselves or through others that they call."""
        callers: dict[tuple[str, str], list[tuple[str, str]]] = {}
        heavy: list[tuple[str, str]] = []
        for key, function in self._functions.items():
            for callee in {(standard_domain(node.domain), node.op_type) for node in nodes_below(function.node)}:
                callers.setdefault(callee, []).append(key)
        for callee in callers:
            custom = callee not in self._functions and callee[0] not in STANDARD_DOMAINS
            if callee in COUNTS or custom:
                heavy += callers[callee]
        seen: set[tuple[str, str]] = set()
        while heavy:
            key = heavy.pop()
            if key not in seen:
                seen.add(key)
                yield key
                heavy += callers.get(key, [])
