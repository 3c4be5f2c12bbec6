"""Legalization for one target by its name: what the passes call."""

from __future__ import annotations

from functools import partial

from graphopt.errors import RecipeError, did_you_mean
from graphopt.graph.dtypes import DType
from graphopt.graph.model import Model
from graphopt.lang.target import TargetFacts
from graphopt.legalize.bodies import inline_bodies
from graphopt.legalize.shifts import spell_shifts
from graphopt.legalize.taken import is_taken
from graphopt.legalize.widen import Widened, widen_types
from graphopt.rewrite.library import known_targets
from graphopt.targets import load, names

LEVELS = 8
"""Most levels of definitions in each other; the standard has three."""


def facts_of(target: str) -> TargetFacts:
    """What rules may ask of a target.

    Raises:
        RecipeError: there is no such target.
    """
    for facts in known_targets():
        if facts.name == target:
            return facts
    raise RecipeError(f"there is no target {target!r}", help=did_you_mean(target, names()))


def inline_refused(model: Model, target: str) -> int:
    """Put the standard's own definition in the place of nodes that a target does not take; returns how many."""
    found = load(target)
    if not found.lacks_operators:
        return 0
    total = 0
    for _ in range(LEVELS):
        inlined = inline_bodies(model, partial(is_taken, target=found))
        total += inlined
        if not inlined:
            break
    return total


def widen_lacking(model: Model, target: str, *, allow_narrowing: bool = False) -> Widened:
    """Compute what has an element type that a target does not compute in in another one."""
    found = load(target)
    lacking = frozenset(DType[name] for name in found.lacks_arithmetic)
    widened = widen_types(model, lacking, allow_narrowing=allow_narrowing) if lacking else Widened()
    if "BitShift" in found.lacks_operators:
        widened.values += spell_shifts(model)
    return widened
