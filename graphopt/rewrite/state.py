"""One attempt to match one rule at one node: what it has bound, and what it has taken."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from graphopt.graph.graph import Graph, Node, Value
from graphopt.graph.model import Model
from graphopt.lang.source import Span
from graphopt.lang.values import UNKNOWN, equal
from graphopt.rewrite.watch import Kind, Watch

Continue = Callable[[], bool]


class State:
    """One attempt to match one rule at one node.

    Attributes:
        bindings: names of the rule and what they stand for.
        nodes: matched nodes that the rewrite takes out, in the order in which they matched.
        shared: matched nodes that stay.
        interior: values that must have no use outside `nodes`.
        watch: who wants to know where attempts stop, if anyone.
    """

    __slots__ = ("bindings", "graph", "interior", "model", "nodes", "plan", "shared", "watch")

    def __init__(self, model: Model, graph: Graph, bindings: dict[str, Any], watch: Watch | None = None) -> None:
        self.model = model
        self.graph = graph
        self.bindings = bindings
        self.nodes: dict[Node, None] = {}
        self.shared: dict[Node, None] = {}
        self.interior: list[Value] = []
        self.watch = watch
        self.plan: Any = None

    def stop(self, kind: Kind, span: Span, text: str, *details: Any) -> bool:
        """Say where this attempt stops, to whoever watches; always False, to be returned by matchers."""
        if self.watch is not None:
            self.watch.note(self, kind, span, text.format(*details))
        return False

    def bind(self, name: str, value: Any, span: Span, proceed: Continue) -> bool:
        """Bind a name for as long as `proceed` runs; a name that is bound must stand for the same thing."""
        if name in self.bindings:
            return self.same(self.bindings[name], value, span, name) and proceed()
        self.bindings[name] = value
        if proceed():
            return True
        del self.bindings[name]
        return False

    def same(self, left: Any, right: Any, span: Span, name: str) -> bool:
        """Provably equal; two tensors are equal when they are one value."""
        if isinstance(left, Value) or isinstance(right, Value):
            return left is right or self.stop("structure", span, "{} is {!r} and {!r} at once", name, left, right)
        truth = equal(left, right)
        if truth is UNKNOWN:
            return self.stop("unknown", span, "whether {} is {} or {} is not known", name, left, right)
        return bool(truth) or self.stop("structure", span, "{} is {} and {} at once", name, left, right)
