"""Rewriting as a compile would, without comparing and without writing: for those who look at what the rules do."""

from __future__ import annotations

from collections.abc import Sequence

from graphopt.graph.accounting import account
from graphopt.graph.model import Model
from graphopt.lang import tree
from graphopt.pipeline.manager import Manager
from graphopt.pipeline.passes import Context
from graphopt.pipeline.recipe import Recipe
from graphopt.rewrite.journal import Journal
from graphopt.rewrite.watch import Tally


def rewrite_unchecked(
    model: Model,
    rules: Sequence[tree.Rule],
    recipe: Recipe,
    *,
    skipped: Sequence[str] = (),
    tallies: dict[str, Tally] | None = None,
) -> Journal:
    """Run a recipe over a model, in place; `tallies`, if given, collects by rule what came of every attempt.

    Raises:
        RecipeError: a pass has options that ask for what there is not.
        RewriteError: a pass could not go on.
    """
    context = Context(rules, source_bytes=account(model).weight_bytes, tallies=tallies, skipped=skipped)
    Manager(model, context, None, "none").run(recipe)
    return context.journal
