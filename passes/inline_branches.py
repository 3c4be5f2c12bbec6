"""The pass `inline-branches`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from graphopt import Context, Model, Pass, PassResult, inline_decided


@dataclass(frozen=True)
class InlineBranches(Pass):
    """Put the branch that an If always takes in its place.

    1. The condition is constant.
    2. What reads the result, such as an LSTM, takes tensors of one rank alone, and one branch alone can give that rank.
       With the other one the model has no result.

    Contract: exact. An If that makes an output of the graph keeps that output's name.
    """

    name: ClassVar[str] = "inline-branches"

    @property
    def idempotent(self) -> bool:
        return True

    def apply(self, model: Model, context: Context) -> PassResult:
        inlined = inline_decided(model)
        return PassResult(inlined > 0, details={"branches": inlined})
