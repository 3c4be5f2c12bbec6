"""The pass `lower-operators`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from graphopt import Context, Model, PassResult, TargetPass, facts_of


@dataclass(frozen=True)
class LowerOperators(TargetPass):
    """Apply the rules of the phase legalize: operators and forms that the target lacks, written with those it has.

    Contract: the loosest of the rules that fired.

    Options:
        target: what is compiled for.
    """

    name: ClassVar[str] = "lower-operators"

    def apply(self, model: Model, context: Context) -> PassResult:
        known = {"target": facts_of(self.target)}
        return context.apply_rules(model, self.name, [context.rules_of("legalize")], known)
