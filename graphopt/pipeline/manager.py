"""Running a recipe: pass after pass, round after round, each timed, noted and checked."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import TYPE_CHECKING, Literal

from graphopt.errors import RecipeError
from graphopt.graph.model import Model
from graphopt.pipeline.assignment import Assignment
from graphopt.pipeline.passes import Context, Pass, PassResult
from graphopt.pipeline.recipe import Recipe
from graphopt.pipeline.result import PassRecord
from graphopt.pipeline.witness import Witness, run_pass

if TYPE_CHECKING:
    from graphopt.parity.comparison import Comparison
    from graphopt.pipeline.gate import Gate

When = Literal["each", "end", "none"]
"""When the graph is compared with the original: after each pass that changed it, at the end, or never."""


class Manager:
    """Runs the passes of a recipe over one model."""

    def __init__(self, model: Model, context: Context, gate: Gate | None, when: When) -> None:
        self._model = model
        self._context = context
        self._gate = gate
        self._when = when
        self.records: list[PassRecord] = []
        self.last: Comparison | None = None
        self._nodes = _nodes(model)
        self._witness = None if when == "none" else Witness(model)

    def run(self, recipe: Recipe) -> None:
        """Run until a round changes nothing, or the recipe's rounds have run.

        Raises:
            ParityError: the graph is not as equal to the original as the passes promise.
            RecipeError: a pass has options that ask for what there is not.
            RewriteError: a pass could not go on, or does not do what it says.
        """
        self._assign(recipe)
        for stage in recipe.stages:
            for number, step in enumerate(stage.passes, 1):
                self._check(step, f"recipe {stage.name}, pass {number}, {step.name}")
        for stage in recipe.stages:
            self._run(stage)

    def _run(self, recipe: Recipe) -> None:
        with self._context.progress.task("rewriting", len(recipe.passes)) as task:
            changes = 0
            seen: dict[int, int] = {}
            for number in range(recipe.rounds):
                modified = False
                for done, step in enumerate(recipe.passes):
                    if step.idempotent and seen.get(done) == changes:
                        continue
                    task.update(done, note=f"{step.name}, round {number + 1}")
                    changed = self._step(step)
                    modified |= changed
                    changes += changed
                    seen[done] = changes
                if not modified:
                    break

    def apply(self, step: Pass) -> PassResult:
        """Apply one pass, and nothing more."""
        return run_pass(step, self._model, self._context)

    def _assign(self, recipe: Recipe) -> None:
        """Give the passes what the recipe says of precisions."""
        assignment = Assignment(recipe.precision)
        steps = [step for stage in recipe.stages for step in stage.passes]
        try:
            assignment.check({kind for step in steps for kind in step.gives})
            self._context.check_selectors(list(recipe.precision))
        except RecipeError as error:
            error.where = error.where or f"recipe {recipe.name}"
            raise
        self._context = replace(self._context, assignment=assignment)

    def _check(self, step: Pass, where: str) -> None:
        try:
            step.check(self._context)
        except RecipeError as error:
            error.where = error.where or where
            raise

    def _step(self, step: Pass) -> bool:
        before = self._nodes
        first = len(self._context.journal.firings)
        started = time.perf_counter()
        result = self.apply(step)
        seconds = time.perf_counter() - started
        if self._witness is not None:
            self._witness.hear(step, result)
        self._nodes = _nodes(self._model)
        comparison: Comparison | None = None
        if self._gate is not None and result.modified:
            self._gate.note(result)
            if self._when == "each":
                comparison = self.last = self._gate.check(self._model, f"after the pass {step.name}")
        self.records.append(
            PassRecord(
                name=step.name,
                seconds=seconds,
                modified=result.modified,
                nodes_before=before,
                nodes_after=self._nodes,
                firings=self._context.journal.counts(first),
                contract=result.contract,
                parity=comparison,
                details=result.details,
            )
        )
        return result.modified


def _nodes(model: Model) -> int:
    return sum(1 for n in model.all_nodes() if n.op_type != "Constant" or n.domain)
