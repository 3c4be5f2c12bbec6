"""Taking out what nothing reads."""

from __future__ import annotations

from collections.abc import Iterable

from graphopt.graph.graph import Graph, Node, Value


def sweep(values: Iterable[Value]) -> list[Node]:
    """Remove the makers of unused values, and whatever becomes unused by that; returns the removed nodes.

    Inputs of a graph stay, and so does an initializer that a caller can override.
    """
    pending = list(values)
    removed: list[Node] = []
    while pending:
        value = pending.pop()
        if value.is_used:
            continue
        node = value.producer
        if node is None:
            _drop_initializer(value)
        elif node.graph is not None and not any(o is not None and o.is_used for o in node.outputs):
            pending.extend(_read_by(node))
            node.graph.remove_node(node)
            removed.append(node)
    return removed


def sweep_graph(graph: Graph) -> list[Node]:
    """Remove everything in a graph and its bodies that nothing reads."""
    removed: list[Node] = []
    for inner in list(graph.all_graphs()):
        outputs = [o for n in reversed(inner.nodes) for o in n.outputs if o is not None]
        removed.extend(sweep([*outputs, *inner.initializers]))
        removed.extend(_without_outputs(inner))
    return removed


def _without_outputs(graph: Graph) -> list[Node]:
    idle = [n for n in graph.nodes if not any(o is not None for o in n.outputs)]
    for node in idle:
        graph.remove_node(node)
    return idle


def _drop_initializer(value: Value) -> None:
    if value.initializer is not None and not value.is_input and value in value.graph.initializers:
        value.graph.remove_initializer(value)


def _read_by(node: Node) -> list[Value]:
    from graphopt.graph.order import reads

    return list(dict.fromkeys(reads(node)))
