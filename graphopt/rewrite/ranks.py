"""Ranks that values must have: what reads them has no result for any other, and then the model has none.

torch scripts decide by a rank or a size whether an axis is squeezed, so that the outputs of an If have one of two
ranks, and inference knows neither. Where an LSTM reads the result, only one of the two ever gave a result.
"""

from __future__ import annotations

from graphopt.graph.graph import Graph, Node, Value

DEPTH = 16
"""Nodes that are looked through; beyond, any rank is possible."""

RECURRENT = ("LSTM", "GRU", "RNN")
KEEP_RANK = frozenset({"Identity", "Cast", "Relu", "Sigmoid", "Tanh"})


def possible_ranks(value: Value, depth: int = DEPTH) -> frozenset[int] | None:
    """The ranks that a value can have, None where it can have any.

    What a body declares for an If is not believed: exporters note the shapes of the branch that they have seen taken.
    """
    node = value.producer
    if node is not None and not node.domain and depth:
        if node.op_type == "If":
            return _of_branches(node, node.outputs.index(value), depth)
        if node.op_type in KEEP_RANK:
            return _of_input(node, 0, depth)
        added = _axes_added(node)
        if added is not None:
            return _of_input(node, added, depth)
    return None if value.rank is None else frozenset({value.rank})


def _of_branches(node: Node, index: int, depth: int) -> frozenset[int] | None:
    found = [possible_ranks(body.outputs[index], depth - 1) for body in node.bodies]
    known = [ranks for ranks in found if ranks is not None]
    return frozenset[int]().union(*known) if len(known) == len(found) else None


def _of_input(node: Node, added: int, depth: int) -> frozenset[int] | None:
    source = node.input(0)
    found = possible_ranks(source, depth - 1) if source is not None else None
    return None if found is None else frozenset(rank + added for rank in found if rank + added >= 0)


def demanded_rank(value: Value, graph: Graph, depth: int = DEPTH) -> int | None:
    """The rank that some reader of a value asks for; None where none of them does.

    Args:
        graph: readers in this graph count. Those in bodies do not: they need not run.
    """
    for reader in value.uses:
        if reader.graph is not graph or reader.domain:
            continue
        rank = _asked_for(reader, value, graph, depth)
        if rank is not None:
            return rank
    return None


def _asked_for(reader: Node, value: Value, graph: Graph, depth: int) -> int | None:
    places = [i for i, v in enumerate(reader.inputs) if v is value]
    if reader.op_type in RECURRENT:
        return 3 if any(i in (0, 5, 6) for i in places) else None
    if reader.op_type in ("Conv", "ConvTranspose"):
        weight = reader.input(1)
        return weight.rank if places == [0] and weight is not None and weight.constant is not None else None
    added = 0 if reader.op_type in KEEP_RANK else _axes_added(reader)
    output = reader.output()
    if added is None or places != [0] or output is None or not depth:
        return None
    rank = demanded_rank(output, graph, depth - 1)
    return None if rank is None else rank - added


def _axes_added(node: Node) -> int | None:
    """How many axes a node adds (fewer than 0: takes away), None where it does something else or that is unknown."""
    sign = {"Unsqueeze": 1, "Squeeze": -1}.get(node.op_type)
    if sign is None:
        return None
    axes = node.attribute("axes")
    if axes is not None:
        return sign * len(axes)
    listed = node.input(1)
    return sign * listed.constant.size if listed is not None and listed.constant is not None else None
