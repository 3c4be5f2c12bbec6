"""Calls of model-local functions, in place of which their bodies stand."""

from __future__ import annotations

from graphopt.graph.adopt import fits, transform
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

    transform(model, inliner.inline_local_functions)
    return calls, ""
