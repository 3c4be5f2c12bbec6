"""Constant folding: what can be evaluated, what is worth keeping under a byte budget, and putting it in place."""

from __future__ import annotations

from collections.abc import Iterable
from math import prod

from onnx.shape_inference import InferenceError

from graphopt.graph.attributes import Attribute
from graphopt.graph.constant_node import can_hold, constant_node_attributes
from graphopt.graph.dead import sweep
from graphopt.graph.graph import Node, Value
from graphopt.graph.model import Model
from graphopt.graph.refine import refine
from graphopt.graph.schemas import STANDARD_DOMAINS, is_pure
from graphopt.graph.tensor import Tensor
from graphopt.graph.types import infer_node
from graphopt.rewrite.evaluate_nodes import evaluate
from graphopt.rewrite.settle import known_elements, settle_shapes

EVALUATION_LIMIT = 64 << 20
"""Bytes of one value beyond which it is not even evaluated, unless the allowance itself is larger."""

AT_ONCE = 1000
"""Nodes whose outputs one session evaluates: the cost of opening a session grows faster than its graph."""

NEVER_FOLDED = frozenset({"DequantizeLinear", "Constant", "Dropout"})
"""Integers behind DequantizeLinear are what a quantized model is for; Dropout may draw random numbers."""

BOUNDED_BY_INPUT = frozenset({"NonZero", "Unique", "Compress", "NonMaxSuppression"})
"""Operators whose output size depends on values, and cannot outgrow their inputs by much."""


def fold_graph(model: Model, allowance: int) -> tuple[int, list[tuple[str, int]]]:
    """Fold what fits.

    Args:
        allowance: most bytes that all weights of the model may take afterwards (or as many as they take now).

    Returns:
        How many nodes went, and the values that were left computed for their size, with their bytes.
    """
    nodes_before = _computing(model)
    refused: set[Node] = set()
    too_large: dict[Node, int] = {}
    while True:
        model.sort()
        settle_shapes(model)
        settled = _settle_sizes(model)
        constant = _constant_nodes(model, refused, max(EVALUATION_LIMIT, allowance))
        budget = allowance - model.weight_bytes()
        chosen, too_large = _choose(constant, budget)
        if not chosen and not settled:
            break
        failed = _materialize(chosen, constant, model)
        refused |= failed
        if not settled and len(failed) == len(chosen):
            break
    left = [(n.outputs[0].name, size) for n, size in too_large.items() if n.outputs and n.outputs[0] is not None]
    return nodes_before - _computing(model), left


def hold_as_weights(model: Model) -> int:
    """Let initializers stand where Constant nodes are, which take more bytes; returns how many did.

    An output of the graph stays a node's, and so does what is no plain tensor.
    """
    held = 0
    for node in [n for n in model.all_nodes() if n.op_type == "Constant" and n.domain in STANDARD_DOMAINS]:
        value, graph = node.output(), node.graph
        if value is None or value.constant is None or value.is_output or graph is None:
            continue
        tensor = value.constant
        graph.remove_node(node)
        value.constant = value.initializer = tensor
        value.declared = None
        graph.initializers[value] = None
        held += 1
    return held


def _computing(model: Model) -> int:
    return sum(1 for n in model.all_nodes() if n.op_type != "Constant" or n.domain)


# --- shapes ---


def _settle_sizes(model: Model) -> int:
    """What is computed from static dims needs no evaluation: replace it at once."""
    settled = 0
    for node in list(model.all_nodes()):
        output = node.output()
        if node.graph is None or output is None or len(node.outputs) > 1 or not output.is_used or not _may_fold(node):
            continue
        held = known_elements(output)
        if held is not None and _can_be_constant(node, model):
            _replace(node, {output: held}, model)
            settled += 1
    return settled


# --- what is constant ---


def _constant_nodes(model: Model, refused: set[Node], limit: int) -> dict[Node, int]:
    """Nodes that can be evaluated, in execution order, with the bytes of their outputs."""
    found: dict[Node, int] = {}
    made: set[Value] = set()
    for node in model.all_nodes():
        if node in refused or not _may_fold(node):
            continue
        if not all(v is None or v.constant is not None or v in made for v in node.inputs):
            continue
        size = _output_bytes(node, model)
        if size is not None and size <= limit and _can_be_constant(node, model):
            found[node] = size
            made.update(v for v in node.outputs if v is not None)
    return found


def _may_fold(node: Node) -> bool:
    if node.domain not in STANDARD_DOMAINS or node.op_type in NEVER_FOLDED or not is_pure(node.op_type, node.domain):
        return False
    return not node.has_bodies and not any(a.reference for a in node.attributes.values())


def _can_be_constant(node: Node, model: Model) -> bool:
    """Whether the outputs of the graph among a node's outputs, which stay outputs of nodes, have types for that."""
    shown = [v for v in node.outputs if v is not None and v.is_output]
    return all(v.dtype is not None and can_hold(v.dtype, model.opset) for v in shown)


def _output_bytes(node: Node, model: Model) -> int | None:
    sizes = [_value_bytes(v) for v in node.outputs if v is not None]
    if None in sizes:
        try:
            infer_node(node, model)
        except InferenceError:
            return None
        sizes = [_value_bytes(v) for v in node.outputs if v is not None]
    if None in sizes and node.op_type in BOUNDED_BY_INPUT:
        return sum(8 * 8 * v.constant.size for v in node.inputs if v is not None and v.constant is not None)
    known = [s for s in sizes if s is not None]
    return sum(known) if len(known) == len(sizes) else None


def _value_bytes(value: Value) -> int | None:
    if value.shape is None or value.dtype is None or value.type_proto is not None:
        return None
    dims = [d for d in value.shape if isinstance(d, int)]
    return (prod(dims) * max(value.dtype.bits, 8) + 7) // 8 if len(dims) == len(value.shape) else None


# --- what is worth it ---


def _choose(constant: dict[Node, int], budget: int) -> tuple[list[Node], dict[Node, int]]:
    """The nodes whose outputs become weights, cheapest growth first; and those that do not fit, with their bytes.

    Where a node does not fit, the nodes that feed it are considered instead.
    """
    frontier = {n for n in constant if _is_read_outside(n, constant) and not _is_second_copy(n, constant)}
    chosen: list[Node] = []
    too_large: dict[Node, int] = {}
    position = {n: i for i, n in enumerate(constant)}
    pending = sorted(frontier, key=lambda n: (constant[n] * _parts(n) - _freed(n, constant), position[n]))
    while pending:
        later: list[Node] = []
        for node in pending:
            growth = constant[node] * _parts(node) - _freed(node, constant)
            if growth <= max(budget, 0):
                budget -= growth
                chosen.append(node)
            else:
                too_large[node] = constant[node]
                later.extend(_feeding(node, constant, frontier))
        frontier.update(later)
        pending = list(dict.fromkeys(later))
    return chosen, too_large


PARTED = 4096
"""Bytes of a weight from which on it matters how many nodes read it."""


def _parts(node: Node) -> int:
    """How many weights may become of a node's output: rules give each reader of a weight its own, such as a Conv that
    takes in its BatchNormalization."""
    outputs = [v for v in node.outputs if v is not None]
    if all((_value_bytes(v) or 0) < PARTED for v in outputs):
        return 1
    return max((len(v.uses) for v in outputs), default=1) or 1


def _is_second_copy(node: Node, constant: dict[Node, int]) -> bool:
    """Whether the node only orders a weight anew that stays as it is for others, such as the embedding of words that
    the last layer of a language model reads transposed: folding would write that weight out twice."""
    weight = node.input(0) if node.op_type == "Transpose" else None
    if weight is None or weight.initializer is None or weight.initializer.nbytes < PARTED:
        return False
    return weight.is_output or any(user not in constant for user in weight.uses)


def _is_read_outside(node: Node, constant: dict[Node, int]) -> bool:
    outputs = [v for v in node.outputs if v is not None]
    return any(v.output_slots or any(user not in constant for user in v.uses) for v in outputs)


def _feeding(node: Node, constant: dict[Node, int], known: set[Node]) -> list[Node]:
    producers = [v.producer for v in node.inputs if v is not None]
    return [p for p in dict.fromkeys(producers) if p is not None and p in constant and p not in known]


def _freed(node: Node, constant: dict[Node, int]) -> int:
    """Bytes of weights that only this node, and nodes that only it reads, still need."""
    freed = 0
    cone = {node}
    pending = [node]
    while pending:
        for value in dict.fromkeys(v for v in pending.pop().inputs if v is not None):
            if value.output_slots or any(user not in cone for user in value.uses):
                continue
            if value.initializer is not None and not value.is_input:
                freed += value.initializer.nbytes
            elif value.producer is not None and value.producer in constant and value.producer not in cone:
                cone.add(value.producer)
                pending.append(value.producer)
    return freed


# --- putting it in place ---


def _materialize(chosen: list[Node], constant: dict[Node, int], model: Model) -> set[Node]:
    """Evaluate and replace; returns the nodes that ONNX Runtime could not evaluate."""
    failed: set[Node] = set()
    position = {n: i for i, n in enumerate(constant)}
    for start in range(0, len(chosen), AT_ONCE):
        some = [n for n in chosen[start : start + AT_ONCE] if n.graph is not None]
        wanted = [v for n in some for v in n.outputs if v is not None and v.is_used]
        results = evaluate(_needed(some, constant, position), wanted, model)
        for node in some:
            outputs = [v for v in node.outputs if v is not None and v.is_used]
            if all(v in results for v in outputs):
                _replace(node, {v: Tensor.of(results[v]) for v in outputs}, model)
            else:
                failed.add(node)
    return failed


def _needed(chosen: Iterable[Node], constant: dict[Node, int], position: dict[Node, int]) -> list[Node]:
    """The chosen nodes and the constant nodes behind them, in execution order."""
    needed: set[Node] = set()
    pending = list(chosen)
    while pending:
        node = pending.pop()
        if node in needed:
            continue
        needed.add(node)
        pending.extend(p for p in _feeding(node, constant, needed))
    return sorted(needed, key=lambda n: position[n])


def _replace(node: Node, results: dict[Value, Tensor], model: Model) -> None:
    """Let weights stand where a node's outputs were; an output of the graph stays a node's output."""
    graph = node.graph
    assert graph is not None
    order = node.order
    read = [v for v in node.inputs if v is not None]
    graph.remove_node(node)
    for value, tensor in results.items():
        value.dtype, value.shape = tensor.dtype, tensor.shape
        value.constant = tensor
        if value.is_output:
            attributes: dict[str, Attribute] = constant_node_attributes(tensor)
            name = node.name if len(results) == 1 else model.names.fresh(f"{value.name}.constant")
            graph.add_node(Node("Constant", [], [value], attributes, name=name), order)
            value.constant = tensor
        else:
            value.initializer = tensor
            value.declared = None
            graph.initializers[value] = None
    sweep(read)
    refine(results, model)
