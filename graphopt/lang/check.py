"""Static checks of rule files: everything that can be known before a model is there. All errors at once."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from graphopt.errors import did_you_mean
from graphopt.graph.dtypes import DType
from graphopt.lang import tree as t
from graphopt.lang.check_axes import check_axes
from graphopt.lang.check_names import check_names
from graphopt.lang.check_operators import check_operators
from graphopt.lang.check_opsets import check_opsets
from graphopt.lang.check_outputs import check_outputs
from graphopt.lang.check_prune import check_prunes
from graphopt.lang.check_quantize import check_quantize
from graphopt.lang.check_sorts import check_sorts
from graphopt.lang.check_targets import check_targets
from graphopt.lang.check_termination import check_termination
from graphopt.lang.check_together import check_together
from graphopt.lang.check_types import check_types
from graphopt.lang.diagnostics import Diagnostic, Diagnostics, RuleError
from graphopt.lang.target import TargetFacts
from graphopt.lang.words import CONTRACTS, ORDERS, PHASES


def check(files: Iterable[t.RuleFile]) -> None:
    """Check rule files together.

    Raises:
        RuleError: every error of every file.
    """
    errors = find_errors(files)
    if errors:
        raise RuleError(errors)


def find_errors(files: Iterable[t.RuleFile], targets: Sequence[TargetFacts] = ()) -> list[Diagnostic]:
    """Every error of every file, in no particular order; `targets` are those that a legalizing rule may be for."""
    found = Diagnostics()
    files = tuple(files)
    axes = [a for file in files for a in file.axes]
    check_axes(axes, found)
    check_prunes([p for file in files for p in file.prunes], axes, found)
    sound: list[t.Rule] = []
    first: dict[str, t.Rule] = {}
    for rule in (rule for file in files for rule in file.rules):
        before = len(found.found)
        twin = first.setdefault(rule.name, rule)
        if twin is not rule:
            found.add(
                "GR002",
                f"there are two rules named {rule.name}",
                rule.name_span,
                "give one of them another name",
                (twin.name_span, "the other one is here"),
            )
        _check_rule(rule, targets, found)
        if len(found.found) == before:
            sound.append(rule)
    shipped = {id(rule) for file in files if file.is_shipped for rule in file.rules}
    check_together(sound, found, shipped)
    return found.found


def _check_rule(rule: t.Rule, targets: Sequence[TargetFacts], found: Diagnostics) -> None:
    before = len(found.found)
    for generic in rule.generics:
        _check_generic(generic, found)
    makes_sense = len(found.found) == before
    _check_words(rule, found)
    for name, parts in (("match:", rule.matches), ("rewrite:", rule.rewrites)):
        if not parts:
            found.add("GR003", f"the rule {rule.name} has no {name} section", rule.name_span)
    if not rule.matches or not rule.rewrites or not makes_sense:
        return
    before = len(found.found)
    for look in (check_names, check_outputs, check_operators, check_sorts):
        look(rule, found)
    if len(found.found) > before:
        return  # what follows reads the rule as if it made sense
    for look in (check_types, check_opsets, check_termination, check_quantize):
        look(rule, found)
    check_targets(rule, targets, found)


def _check_words(rule: t.Rule, found: Diagnostics) -> None:
    lines = {part.kind: part.span for part in rule.parts if isinstance(part, t.Line)}
    for kind, what, word, known in (
        ("phase", "phase", rule.phase, PHASES),
        ("equal", "contract", rule.equal, CONTRACTS),
        ("order", "order", rule.order, ORDERS),
    ):
        if word not in known:
            help_line = did_you_mean(word, known) or f"one of {', '.join(known)}"
            found.add("GR004", f"there is no {what} {word}", lines.get(kind, rule.name_span), help_line)
    if (rule.equal == "approx") != (rule.error is not None):
        span = lines.get("equal", rule.name_span)
        found.add("GR004", "approx needs an error bound, and nothing else has one", span, "approx(1e-3)")
    if not rule.doc:
        found.add("GR005", f"the rule {rule.name} says nothing of itself", rule.name_span, 'begin with "a sentence."')


def _check_generic(generic: t.Generic, found: Diagnostics) -> None:
    operators = [o for o in generic.options if o[0].isupper() or "::" in o]
    if operators and len(operators) != len(generic.options):
        found.add("GR006", f"{generic.name} mixes operators and dtypes", generic.span)
    for option in generic.options:
        if option not in operators and option not in DType.__members__:
            found.add("GR007", f"there is no dtype {option}", generic.span, did_you_mean(option, DType.__members__))
