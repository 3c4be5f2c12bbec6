"""What came of every rule on models: how often it was tried, matched, fired, and which condition stopped it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from graphopt.errors import GraphoptError, ModelError, RecipeError
from graphopt.graph.load import load
from graphopt.lang import tree
from graphopt.pipeline.recipe import Recipe
from graphopt.pipeline.unchecked import rewrite_unchecked
from graphopt.progress import SILENT, Progress
from graphopt.rewrite.watch import Tally


@dataclass
class RuleCoverage:
    """What came of one rule.

    Attributes:
        rule: the rule.
        tally: its attempts, on all models.
        models: on how many of them it fired.
        is_used: whether a pass of the recipe had it, for a model of an opset that it is meant for.
    """

    rule: tree.Rule
    tally: Tally = field(default_factory=Tally)
    models: int = 0
    is_used: bool = False


@dataclass
class Coverage:
    """What came of all rules.

    Attributes:
        models: those that were rewritten; what follows is of them.
        rules: those that fired, most often first; then those that did not, those that came nearest first.
        failures: models that are left out, and why.
    """

    models: list[Path] = field(default_factory=list[Path])
    rules: list[RuleCoverage] = field(default_factory=list[RuleCoverage])
    failures: list[tuple[Path, GraphoptError]] = field(default_factory=list[tuple[Path, GraphoptError]])


def cover(
    models: Sequence[Path],
    rules: Sequence[tree.Rule],
    recipe: Recipe,
    *,
    skipped: Sequence[str] = (),
    progress: Progress = SILENT,
) -> Coverage:
    """Rewrite models by a recipe and count. A model that cannot be read or rewritten is left out, and noted.

    Raises:
        RecipeError: the recipe asks for what there is not.
    """
    found = Coverage()
    by_place = {rule.place: RuleCoverage(rule) for rule in rules}
    with progress.task("models", len(models)) as task:
        for number, path in enumerate(models):
            task.update(number, note=str(path))
            tallies: dict[str, Tally] = {}
            try:
                rewrite_unchecked(load(path), rules, recipe, skipped=skipped, tallies=tallies)
            except RecipeError:
                raise
            except (GraphoptError, MemoryError) as error:
                found.failures.append((path, _told(error)))
                continue
            found.models.append(path)
            for place, tally in tallies.items():
                by_place[place].tally.add(tally)
                by_place[place].models += tally.fired > 0
                by_place[place].is_used = True
    found.rules = sorted(by_place.values(), key=lambda c: (-c.tally.fired, -c.tally.matched, -c.tally.tried))
    return found


def _told(error: GraphoptError | MemoryError) -> GraphoptError:
    return error if isinstance(error, GraphoptError) else ModelError("there is not enough memory for it")
