"""The pass `apply-rules`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

from graphopt import Context, Engine, Model, Pass, PassResult, RecipeError, loosest


@dataclass(frozen=True)
class ApplyRules(Pass):
    """Apply the rules of some phases, phase by phase, each until none of its rules applies any more.

    Contract: the loosest of the rules that fired.

    Options:
        phases: names of phases, in the order in which they run.
        rules: names of rules to apply; empty for all rules of the phases.
        keep: nodes that no rule takes out, as `name:GLOB`, `operator:OPERATOR`, `depth:FIRST..LAST` (layers, counted
            as they execute) or `pattern:RULE`; one that matches nothing is an error.
        weights: "int8" or "int4", for rules that quantize weights alone, to that element type; none otherwise.
    """

    name: ClassVar[str] = "apply-rules"
    phases: tuple[str, ...] = ("simplify", "fold")
    rules: tuple[str, ...] = ()
    keep: tuple[str, ...] = ()
    weights: Literal["int8", "int4"] | None = None

    @property
    def idempotent(self) -> bool:
        """Rules of one phase are applied until none fires; those of a later phase can wake those of an earlier one."""
        return len(self.phases) <= 1

    def check(self, context: Context) -> None:
        for phase in self.phases:
            context.rules_of(phase, self.rules)
        context.check_selectors(self.keep)
        if "quantize" in self.phases and context.target is None and self.weights is None:
            raise RecipeError(
                "the recipe quantizes, and it is not known where the target wants its codes",
                help="compile for one target at a time: onnxruntime, tensorrt-rtx or tensorrt",
            )

    def apply(self, model: Model, context: Context) -> PassResult:
        first = len(context.journal.firings)
        known = context.environment if self.weights is None else context.environment_of_weights(self.weights)
        kept = context.select(model, self.keep)
        for phase in self.phases:
            rules = context.rules_of(phase, self.rules)
            engine = Engine(rules, model, known, context.tallies, context.barred, kept)
            engine.run(context.journal, self.name, context.trace)
        fired = context.journal.counts(first)
        by_place = {r.place: r for r in context.rules}
        contracts = [by_place[place].equal for place in fired]
        errors = [by_place[place].error or 0.0 for place in fired]
        return PassResult(bool(fired), loosest(contracts), max(errors, default=0.0))
