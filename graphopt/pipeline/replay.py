"""Running a recipe again, up to a point: the same model and the same rules fire the same way, so that every graph on
the way can be had once more."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import NoReturn

from graphopt.graph.model import Model
from graphopt.parity.contract import EXACT, Contract
from graphopt.pipeline.manager import Manager
from graphopt.pipeline.passes import Context, Pass, PassResult
from graphopt.pipeline.recipe import Recipe
from graphopt.progress import SILENT
from graphopt.rewrite.journal import Firing, Journal

RULES_ALONE = "apply-rules"
"""The pass that changes nothing but by firings; others may do more after their last one."""


@dataclass(frozen=True)
class Event:
    """Something that changed the graph: one firing of a rule, or the end of a pass that changed it otherwise.

    Attributes:
        number: counts the events of a run from 1.
        step: the pass.
        application: counts the passes as they ran, from 0.
        firing: None for a pass written in Python.
    """

    number: int
    step: Pass
    application: int
    firing: Firing | None

    def __str__(self) -> str:
        return self.step.name if self.firing is None else self.firing.rule


class Replay:
    """A recipe over fresh copies of one model.

    Args:
        load: gives the model as it was in the beginning.
        context: what the passes are given; its journal stays as it is.
        recipe: the passes.
    """

    def __init__(self, load: Callable[[], Model], context: Context, recipe: Recipe) -> None:
        self._load = load
        self._context = context
        self._recipe = recipe

    def events(self) -> list[Event]:
        """All that happens.

        Raises:
            RewriteError: a pass could not go on.
        """
        return self._whole.events

    @property
    def promised(self) -> Contract:
        """The loosest contract of its passes."""
        return self._whole.promised

    @cached_property
    def _whole(self) -> _Counted:
        return self._run(None)[1]

    def until(self, number: int) -> Model:
        """The graph right after so many events; 0 gives the original."""
        return self._load() if number == 0 else self._run(number)[0]

    def _run(self, until: int | None) -> tuple[Model, _Counted]:
        model = self._load()
        run = _Counted(until)
        context = replace(self._context, journal=Journal(), trace=run.fired, tallies=None, progress=SILENT)
        manager = _StoppingManager(model, context, run)
        try:
            manager.run(self._recipe)
        except _Reached:
            model.sort()
        return model, run


class _Reached(BaseException):
    """The point is reached: no error, and nothing that a pass may catch."""


@dataclass
class _Counted:
    until: int | None
    events: list[Event] = field(default_factory=list[Event])
    step: Pass = field(default_factory=Pass)
    applied: int = 0
    promised: Contract = EXACT

    def fired(self, firing: Firing) -> None:
        self._count(firing)

    def ended(self) -> None:
        self._count(None)

    def _count(self, firing: Firing | None) -> None:
        self.events.append(Event(len(self.events) + 1, self.step, self.applied, firing))
        if len(self.events) == self.until:
            _stop()


def _stop() -> NoReturn:
    raise _Reached


class _StoppingManager(Manager):
    """Counts, and compares nothing."""

    def __init__(self, model: Model, context: Context, run: _Counted) -> None:
        super().__init__(model, context, None, "none")
        self._counted = run

    def apply(self, step: Pass) -> PassResult:
        self._counted.step = step
        fired = len(self._counted.events)
        result = super().apply(step)
        self._counted.promised = self._counted.promised.loosened(Contract(result.contract, result.error))
        if result.modified and (len(self._counted.events) == fired or step.name != RULES_ALONE):
            self._counted.ended()
        self._counted.applied += 1
        return result
