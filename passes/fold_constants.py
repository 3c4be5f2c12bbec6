"""The pass `fold-constants`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from graphopt import Context, Model, Pass, PassResult, fold_graph, hold_as_weights


@dataclass(frozen=True)
class FoldConstants(Pass):
    """Evaluate what does not depend on any input, and put the results in its place.

    1. A node whose inputs are all constant, weights in Constant nodes included.
    2. What Constant nodes hold becomes initializers.
    3. Shape and Size of a tensor whose dims in question are static.

    Never folded: random operators, operators of other domains than the standard's, nodes with bodies, and
    DequantizeLinear, whose integers are what a quantized model is for. Values that would make the weights
    outgrow the budget stay computed; the details say which and what they would cost.

    Contract: exact. The values come from ONNX Runtime's own kernels, its optimizations off.
    """

    name: ClassVar[str] = "fold-constants"

    @property
    def idempotent(self) -> bool:
        return True

    def apply(self, model: Model, context: Context) -> PassResult:
        allowance = context.source_bytes + context.fold_budget
        held = hold_as_weights(model)
        folded, left = fold_graph(model, allowance)
        details = {
            "values": folded,
            "left": [{"value": name, "bytes": size} for name, size in left],
        }
        return PassResult(folded + held > 0, details=details)
