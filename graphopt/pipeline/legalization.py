"""The passes that bring a model to what its targets take. They follow those of the recipe."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from graphopt.pipeline.passes import Pass
from graphopt.pipeline.recipe import Recipe, make_pass
from graphopt.targets import load, names

TURNS = 2
"""What is lowered or widened last may leave something for a second turn, which is short where it does not."""


def legalized(recipe: Recipe, targets: Sequence[str], *, allow_narrowing: bool = False) -> Recipe:
    """A recipe with the passes for what its targets lack behind its own; the recipe itself where they lack nothing."""
    lacking = [t for t in dict.fromkeys(targets) if t in names() and _lacks(t)]
    added = tuple(step for target in lacking for step in _passes(target, allow_narrowing) * TURNS)
    return replace(recipe, passes=(*recipe.passes, *added)) if added else recipe


def _lacks(target: str) -> bool:
    found = load(target)
    return bool(found.lacks_operators or found.lacks_arithmetic or found.refuses)


def _passes(target: str, allow_narrowing: bool) -> tuple[Pass, ...]:
    steps = (
        {"use": "inline-bodies", "target": target},
        {"use": "fold-constants"},
        {"use": "inline-branches"},
        {"use": "lower-operators", "target": target},
        {"use": "widen-types", "target": target, "allow-narrowing": allow_narrowing},
        {"use": "fold-constants"},
        {"use": "remove-dead-code"},
    )
    return tuple(make_pass(step, f"legalization for {target}") for step in steps)
