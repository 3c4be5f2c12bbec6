"""The pass `remove-dead-code`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from graphopt import Context, Model, Pass, PassResult, sweep_graph


@dataclass(frozen=True)
class RemoveDeadCode(Pass):
    """Take out nodes and initializers that nothing reads.

    Contract: exact. Graph inputs stay, used or not, and so do initializers that a caller can override.
    """

    name: ClassVar[str] = "remove-dead-code"

    @property
    def idempotent(self) -> bool:
        return True

    def apply(self, model: Model, context: Context) -> PassResult:
        before = sum(len(g.initializers) for g in model.all_graphs())
        removed = sweep_graph(model.graph)
        after = sum(len(g.initializers) for g in model.all_graphs())
        return PassResult(
            bool(removed) or before != after, details={"nodes": len(removed), "initializers": before - after}
        )
