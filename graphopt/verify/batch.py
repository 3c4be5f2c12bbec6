"""Many rules and `axes` declarations verified at once, each in another process."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import cache, partial

from graphopt.lang import tree as t
from graphopt.processes import Lost, Say, in_processes
from graphopt.rewrite.library import installed_files
from graphopt.verify.axis_facts import FactVerdict, unverified, verify_axes
from graphopt.verify.kept import Settings
from graphopt.verify.verdict import Verdict
from graphopt.verify.verify import verify_rule


def verify_rules(rules: Sequence[t.Rule], settings: Settings, *, jobs: int = 1) -> Iterator[tuple[t.Rule, Verdict]]:
    """Verify rules in as many processes, and give each verdict as it is there. Ending the iteration ends them."""
    for rule, found in in_processes(rules, partial(_verify_rule, settings), jobs=jobs):
        if isinstance(found, Lost):
            verdict = Verdict(rule.name, rule.place, "not exercised", rule.equal, 0, notes=(_why(found),), is_lost=True)
            found = replace(verdict, seconds=found.seconds)
        yield rule, found


def verify_declarations(
    declared: Sequence[t.Axes], *, seed: int = 0, jobs: int = 1
) -> Iterator[tuple[t.Axes, list[FactVerdict]]]:
    """Verify the facts of `axes` declarations in as many processes, and give the verdicts of each as they are there."""
    for axes, found in in_processes(declared, partial(_verify_axes, seed), jobs=jobs):
        yield axes, unverified(axes, _why(found), is_lost=True) if isinstance(found, Lost) else found


def _why(lost: Lost) -> str:
    return f"verification did not end: {lost.reason}"


def _verify_rule(settings: Settings, rule: t.Rule, _say: Say) -> Verdict:
    _register_functions()
    return verify_rule(rule, instances=settings.instances, seed=settings.seed, conditions=settings.conditions)


def _verify_axes(seed: int, axes: t.Axes, _say: Say) -> list[FactVerdict]:
    return verify_axes(axes, seed=seed)


@cache
def _register_functions() -> None:
    """Importing the packages that bring rules registers the functions that their rules call."""
    installed_files()
