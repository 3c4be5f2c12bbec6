"""Topological order: stable, linear in nodes and edges, aware of captures."""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator

from graphopt.errors import RewriteError
from graphopt.graph.graph import Graph, Node, Value


def topological(graph: Graph) -> list[Node]:
    """The nodes of one graph, each after what it reads; ties by `Node.order`, then by place in the graph.

    Raises:
        RewriteError: the nodes form a cycle; the message lists it.
    """
    wanted = sorted(graph.nodes, key=lambda n: n.order)
    done: dict[Node, None] = {}
    for start in wanted:
        if start in done:
            continue
        path: dict[Node, Iterator[Node]] = {start: iter(dependencies(start, graph))}
        while path:
            node, pending = next(reversed(path.items()))
            step = next((d for d in pending if d not in done), None)
            if step is None:
                done[node] = None
                del path[node]
            elif step in path:
                names = list(path)
                raise RewriteError(f"the graph has a cycle: {cycle_text(names[names.index(step) :])}")
            else:
                path[step] = iter(dependencies(step, graph))
    return list(done)


def cycle_text(nodes: list[Node]) -> str:
    """A cycle in words, cut in the middle when long."""
    labels = [n.label for n in nodes]
    if len(labels) > 6:
        labels = [*labels[:3], "…", *labels[-2:]]
    return " -> ".join([*labels, labels[0]])


def dependencies(node: Node, graph: Graph) -> Iterator[Node]:
    """The nodes of `graph` that make what this node, or a body inside it, reads."""
    for value in reads(node):
        producer = value.producer
        if producer is not None and producer.graph is graph:
            yield producer


def reads(node: Node) -> Iterable[Value]:
    """The values that a node reads, the captures of its bodies included."""
    for value in node.inputs:
        if value is not None:
            yield value
    if node.has_bodies:
        for body in node.bodies:
            for inner in body.nodes:
                yield from reads(inner)
            yield from body.outputs


def depends_on(values: Iterable[Value], nodes: Container[Node], graph: Graph) -> bool:
    """Whether some of the values depend on what one of these nodes makes. Costs a walk over all that is above them."""
    pending = [v.producer for v in values if v.producer is not None]
    seen: set[Node] = set()
    while pending:
        node = pending.pop()
        if node in nodes:
            return True
        if node not in seen:
            seen.add(node)
            pending.extend(dependencies(node, graph))
    return False
