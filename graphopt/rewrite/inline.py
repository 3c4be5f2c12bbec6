"""Bodies that always run, in the place of the node that holds them."""

from __future__ import annotations

from collections import Counter, deque

from graphopt.graph.graph import Graph, Node, Value
from graphopt.graph.model import Model
from graphopt.graph.refine import refine_from
from graphopt.rewrite.ranks import demanded_rank, possible_ranks


def inline_decided(model: Model) -> int:
    """Replace every If that always takes the same branch by that branch; returns how many there were.

    That is so where the condition is constant, and where a reader takes only what one of the branches gives."""
    inlined = 0
    while True:
        pending = deque(n for n in model.all_nodes() if _taken(n) is not None)
        if not pending:
            return inlined
        inlined += _inline_all(pending, model)
        model.sort()


def _inline_all(pending: deque[Node], model: Model) -> int:
    inlined = 0
    bearers = _bearers(model)
    while pending:
        node = pending.popleft()
        body = _taken(node)
        if body is None:
            continue  # it was in a branch that is not taken
        _tell_apart(body, bearers)
        _inline(node, body)
        inlined += 1
    return inlined


def _taken(node: Node) -> Graph | None:
    if node.op_type != "If" or node.domain or node.graph is None:
        return None
    return _by_condition(node) or _by_rank(node)


def _by_rank(node: Node) -> Graph | None:
    """The one branch whose outputs have the ranks that their readers take."""
    assert node.graph is not None
    for index, output in enumerate(node.outputs):
        rank = demanded_rank(output, node.graph) if output is not None else None
        if rank is None:
            continue
        found = {body: possible_ranks(body.outputs[index]) for body in node.bodies}
        left = [body for body, ranks in found.items() if ranks is None or rank in ranks]
        if len(left) == 1:
            return left[0]
    return None


def _by_condition(node: Node) -> Graph | None:
    condition = node.inputs[0]
    if condition is None or condition.constant is None or condition.constant.size != 1:
        return None
    name = "then_branch" if condition.constant.numpy().reshape(-1)[0] else "else_branch"
    branch = node.attributes.get(name)
    return branch.value if branch is not None and branch.is_graph else None


def _bearers(model: Model) -> Counter[str]:
    """How many values or nodes of the model bear a name: bodies may use the names of others."""
    counted = Counter[str]()
    for graph in model.all_graphs():
        made = (o for n in graph.nodes for o in n.outputs if o is not None)
        counted.update(v.name for v in {*graph.inputs, *graph.initializers, *made})
        counted.update(n.name for n in graph.nodes if n.name)
    return counted


def _tell_apart(body: Graph, bearers: Counter[str]) -> None:
    """Give new names to what bears the name of something else, which it may meet outside its body."""
    made = [o for n in body.nodes for o in n.outputs if o is not None]
    for item in (*body.initializers, *made, *body.nodes):
        if item.name and bearers[item.name] > 1:
            item.name = body.model.names.fresh(item.name)


def _inline(node: Node, body: Graph) -> None:
    graph = node.graph
    assert graph is not None
    results = list(body.outputs)
    for value in results:
        value.output_slots -= 1
    body.outputs = []
    moved = list(body.nodes)
    weights = list(body.initializers)
    for inner in moved:
        body.detach_node(inner)
    outputs = list(node.outputs)
    order = node.order
    graph.remove_node(node)
    for value in weights:
        value.graph = graph
        graph.initializers[value] = None
    for inner in moved:
        graph.add_node(inner, order)
    for outer, result in zip(outputs, results, strict=True):
        if outer is not None and outer.is_used:
            _hand_on(graph, outer, result, order)
    refine_from(results, graph.model)


def _hand_on(graph: Graph, outer: Value, result: Value, order: int) -> None:
    if outer.is_output:
        graph.add_node(Node("Identity", [result], [outer], name=graph.model.names.fresh(f"{outer.name}.taken")), order)
        return
    graph.redirect(outer, result)
