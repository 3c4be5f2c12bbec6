"""The pass `apply-rules`."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import ClassVar, Literal

from graphopt import Context, Model, Pass, PassResult, RecipeError


@dataclass(frozen=True)
class ApplyRules(Pass):
    """Apply the rules of some phases, phase by phase, each until none of its rules applies any more.

    Contract: the loosest of the rules that fired.

    Options:
        phases: names of phases, in the order in which they run.
        rules: names of rules to apply; empty for all rules of the phases.
        keep: nodes that no rule takes out (in the phase quantize, those to which the recipe gives another precision
            besides), as `name:GLOB`, `operator:OPERATOR`, `depth:FIRST..LAST` (layers, counted
            as they execute) or `pattern:RULE`; one that matches nothing is an error.
        codes: what rules of the phase quantize make of weights and activations: "float8e4m3fn", or what the target
            wants of 8 bits.
        weights: "int8" or "int4", for rules that quantize weights alone, to that element type; none otherwise.
    """

    name: ClassVar[str] = "apply-rules"
    phases: tuple[str, ...] = ("simplify", "fold")
    rules: tuple[str, ...] = ()
    keep: tuple[str, ...] = ()
    codes: Literal["float8e4m3fn"] | None = None
    weights: Literal["int8", "int4"] | None = None

    @property
    def idempotent(self) -> bool:
        """Rules of one phase are applied until none fires; those of a later phase can wake those of an earlier one."""
        return len(self.phases) <= 1

    @property
    def gives(self) -> Collection[str]:
        return (self.codes or "int8",) if "quantize" in self.phases else ()

    def check(self, context: Context) -> None:
        for phase in self.phases:
            context.rules_of(phase, self.rules)
        context.check_selectors(self.keep)
        if self.codes is not None:
            context.refuse_lacking(self.codes)
        if "quantize" in self.phases and context.target is None and self.weights is None:
            raise RecipeError(
                "the recipe quantizes, and it is not known where the target wants its codes",
                help="compile for one target at a time: onnxruntime, tensorrt-rtx or tensorrt",
            )

    def apply(self, model: Model, context: Context) -> PassResult:
        known = context.environment
        if self.weights is not None:
            known = context.environment_of_weights(self.weights)
        elif self.codes is not None:
            known = context.environment_of_codes(self.codes)
        kept = context.select(model, self.keep)
        if self.gives:
            kept |= context.assigned_elsewhere(model, self.gives)
        groups = [context.rules_of(phase, self.rules) for phase in self.phases]
        return context.apply_rules(model, self.name, groups, known, kept)
