"""Calls of model-local functions, in place of which their bodies stand."""

from __future__ import annotations

import onnx

from graphopt.graph.adopt import fits, transform
from graphopt.graph.bodies import nodes_below
from graphopt.graph.model import Model
from graphopt.graph.schemas import standard_domain


def inline_functions(model: Model) -> tuple[int, str]:
    """Put the bodies of model-local functions where they are called, and drop the functions.

    Returns:
        How many calls there were, and why they stay, where they do.

    Raises:
        ModelError: a body contradicts the standard.
    """
    local = {(standard_domain(f.domain), f.name) for f in model.header.functions}
    calls = sum(1 for n in model.all_nodes() if (n.domain, n.op_type) in local)
    if not local:
        return 0, ""
    if not fits(model):
        return 0, "the model has more than 1 GB of weights"
    from onnx import inliner

    transform(model, lambda proto: inliner.inline_local_functions(_with_defaults(proto)))
    return calls, ""


def _with_defaults(proto: onnx.ModelProto) -> onnx.ModelProto:
    """Write into every call the attributes that it leaves to the function's defaults, which onnx's inliner forgets."""
    functions = {(standard_domain(f.domain), f.name, f.overload): f for f in proto.functions}
    for nodes in (proto.graph.node, *(f.node for f in proto.functions)):
        for node in nodes_below(nodes):
            called = functions.get((standard_domain(node.domain), node.op_type, node.overload))
            if called is not None:
                said = {a.name for a in node.attribute}
                node.attribute.extend(a for a in called.attribute_proto if a.name not in said)
    return proto
