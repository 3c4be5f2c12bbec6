"""The pass `eliminate-common-subexpressions`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from graphopt import Context, Model, Pass, PassResult, merge_equal


@dataclass(frozen=True)
class EliminateCommonSubexpressions(Pass):
    """Compute once what is computed several times, and keep once what is kept several times.

    1. Nodes with equal operators, attributes and inputs, those of a body and of the graphs around it included.
    2. Weights with equal contents.

    Never merged: random operators and Dropout, operators with bodies, operators of other domains than the
    standard's, outputs of the graph, and initializers that a caller can override.

    Contract: exact.
    """

    name: ClassVar[str] = "eliminate-common-subexpressions"

    @property
    def idempotent(self) -> bool:
        return True

    def apply(self, model: Model, context: Context) -> PassResult:
        nodes, weights = merge_equal(model)
        return PassResult(nodes + weights > 0, details={"nodes": nodes, "initializers": weights})
