"""The pass `lower-operators`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from graphopt import Context, Engine, Model, Pass, PassResult, facts_of, loosest


@dataclass(frozen=True)
class LowerOperators(Pass):
    """Apply the rules of the phase legalize: operators and forms that the target lacks, written with those it has.

    Contract: the loosest of the rules that fired.

    Options:
        target: what is compiled for.
    """

    name: ClassVar[str] = "lower-operators"
    target: str = "tensorrt-rtx"

    @property
    def idempotent(self) -> bool:
        return True

    def check(self, context: Context) -> None:
        facts_of(self.target)

    def apply(self, model: Model, context: Context) -> PassResult:
        first = len(context.journal.firings)
        engine = Engine(context.rules_of("legalize"), model, {"target": facts_of(self.target)}, context.tallies)
        engine.run(context.journal, self.name, context.trace)
        fired = context.journal.counts(first)
        by_place = {r.place: r for r in context.rules}
        errors = [by_place[place].error or 0.0 for place in fired]
        return PassResult(bool(fired), loosest([by_place[p].equal for p in fired]), max(errors, default=0.0))
