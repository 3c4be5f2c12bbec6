"""What becomes of a compile whose model departs from the original: it ends and names the change that broke it, goes on
without that change, or goes on with a warning."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from graphopt.errors import ParityError
from graphopt.graph.model import Model
from graphopt.graph.save import save
from graphopt.parity.comparison import Comparison
from graphopt.pipeline.gate import Departure, Gate
from graphopt.pipeline.manager import Manager, When
from graphopt.pipeline.passes import Context, Pass
from graphopt.pipeline.recipe import Recipe
from graphopt.pipeline.result import PassRecord
from graphopt.rewrite.journal import Journal

if TYPE_CHECKING:
    from graphopt.pipeline.bisect import Culprit
    from graphopt.pipeline.replay import Event

OnFailure = Literal["stop", "rollback", "warn"]

MOST_OF_A_RULE = 4
"""Firings of one rule that are undone one by one; at the next the rule as a whole is left out."""


@dataclass
class Rewriting:
    """A model on its way through a recipe, held to the original, and written to a file.

    Attributes:
        load: gives the model as it came in, afresh.
        context: what passes are given; after a run its journal tells what fired.
        recipe: the passes.
        gate: None where nothing is compared.
        when: when the graph is compared.
        on_failure: what a departure leads to.
        path: where the model is written.
        records: of the passes that ran.
        comparison: of the written model.
        notes: what was undone or let through, and why.
    """

    load: Callable[[], Model]
    context: Context
    recipe: Recipe
    gate: Gate | None
    when: When
    on_failure: OnFailure
    path: Path
    records: list[PassRecord] = field(default_factory=list[PassRecord])
    comparison: Comparison | None = None
    notes: list[str] = field(default_factory=list[str])
    _undone: Counter[str] = field(default_factory=Counter[str])

    def run(self, model: Model) -> Model:
        """Rewrite this copy of the model or, where something has to be undone, others; gives the one that was written.

        Raises:
            ParityError: the model departs, and that is not to be mended, or cannot be.
        """
        while True:
            try:
                self._attempt(model)
                break
            except Departure as departure:
                culprit = self._culprit(departure)
                if self.on_failure != "rollback" or culprit is None:
                    raise _named(departure, culprit) from None
                self._undo(culprit)
                model = self._restart()
        departed = None if self.gate is None else self.gate.departed
        if departed is not None:
            culprit = self._culprit(departed)
            lines = [departed.message, *(culprit.lines() if culprit is not None else ())]
            self.notes.append("\n  ".join(lines))
        return model

    def _attempt(self, model: Model) -> None:
        manager = Manager(model, self.context, self.gate, self.when)
        self.records = manager.records
        manager.run(self.recipe)
        save(model, self.path)
        if self.gate is not None:
            self.comparison = self.gate.check_file(self.path, "as written")

    def _culprit(self, departure: Departure) -> Culprit | None:
        from graphopt.pipeline.bisect import find_culprit
        from graphopt.pipeline.replay import Replay

        gate = self.gate
        assert gate is not None
        contract = departure.contract
        return find_culprit(
            Replay(self.load, self.context, self.recipe),
            lambda graph: gate.compare(graph, contract, "the model on its way"),
            gate.samples,
            passes=self._known_good(),
            progress=self.context.progress,
        )

    def _known_good(self) -> int:
        """How many passes, in the order in which they ran, left the model as it should be."""
        if self.when != "each":
            return 0
        return next((i for i, r in enumerate(self.records) if r.parity and not r.parity.ok), len(self.records))

    def _undo(self, culprit: Culprit) -> None:
        """Bar the culprit; where it cannot be told from changes before it, these as well."""
        undone = [*culprit.unsure, culprit.event]
        for event in undone:
            self._bar(event)
        self.notes.append("\n  ".join([f"undone: {', '.join(map(str, undone))}", *culprit.lines()]))

    def _bar(self, event: Event) -> None:
        firing = event.firing
        if firing is None:
            self.recipe = without(self.recipe, event.step)
            return
        self._undone[firing.rule] += 1
        if self._undone[firing.rule] <= MOST_OF_A_RULE and firing.site not in self.context.barred:
            self.context = replace(self.context, barred=self.context.barred | {firing.site})
            return
        name = firing.rule.split("@")[0]
        kept = [rule for rule in self.context.rules if rule.place != firing.rule]
        self.context = replace(self.context, rules=kept, skipped=[*self.context.skipped, name])
        self.notes.append(f"{firing.rule} is left out: {MOST_OF_A_RULE} of its firings were undone already")

    def _restart(self) -> Model:
        self.context = replace(self.context, journal=Journal())
        self.path.unlink(missing_ok=True)
        self.path.with_name(f"{self.path.name}.data").unlink(missing_ok=True)
        if self.gate is not None:
            self.gate = self.gate.restarted()
        return self.load()


def without(recipe: Recipe, step: Pass) -> Recipe:
    """The recipe, and those that go before it, without a pass."""
    before = None if recipe.before is None else without(recipe.before, step)
    return replace(recipe, passes=tuple(p for p in recipe.passes if p != step), before=before)


def _named(departure: Departure, culprit: Culprit | None) -> ParityError:
    """The error for the user, with the change that broke it."""
    if culprit is None:
        return ParityError(departure.message, help=departure.help)
    firing, step = culprit.event.firing, culprit.event.step
    leave = f"leave out the pass {step.name}"
    if firing is not None:
        leave = f"--skip {firing.rule.split('@')[0]} leaves the rule out"
    return ParityError(
        "\n  ".join([departure.message, *culprit.lines()]),
        help=f"nothing was written; --on-parity-failure rollback undoes this one change, {leave}",
    )
