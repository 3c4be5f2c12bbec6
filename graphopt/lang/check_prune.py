"""`prune` declarations: where they begin must be a declared axis, and their words must be known."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from graphopt.errors import did_you_mean
from graphopt.lang import tree as t
from graphopt.lang.axis_facts import tensor
from graphopt.lang.diagnostics import Diagnostics
from graphopt.lang.infer_sorts import Inference
from graphopt.lang.names import walk
from graphopt.lang.pruning import CONSUMERS, KEEPS, REPAIRS, SCORES
from graphopt.lang.registry import Function
from graphopt.lang.sort_rules import Facts
from graphopt.lang.sorts import BOOL, CONST, TENSOR, Sort, fits
from graphopt.lang.source import Span


def check_prunes(prunes: Sequence[t.Prune], declared: Sequence[t.Axes], found: Diagnostics) -> None:
    """Each declaration by itself, and no two of one name."""
    first: dict[str, t.Prune] = {}
    for prune in prunes:
        twin = first.setdefault(prune.name, prune)
        if twin is not prune:
            message = f"there are two prunings named {prune.name}"
            other = twin.name_span, "the other one is here"
            found.add("GR002", message, prune.name_span, "give one of them another name", other)
        _check_one(prune, declared, found)


def _check_one(prune: t.Prune, declared: Sequence[t.Axes], found: Diagnostics) -> None:
    if not prune.doc:
        found.add("GR005", f"{prune.name} says nothing of itself", prune.name_span, 'begin with "a sentence."')
    for name, part in (("from:", prune.sources), ("score:", prune.score)):
        if not part:
            found.add("GR003", f"the pruning {prune.name} has no {name}", prune.name_span)
    declarations = [[a for a in declared if a.operator == source.operator] for source in prune.sources]
    for source, axes in zip(prune.sources, declarations, strict=True):
        _check_source(source, axes, found)
    if prune.score is not None and prune.sources and all(declarations):
        _check_score(prune.score, declarations, found)
    _check_words(prune, found)


def _check_score(score: t.Expression, declarations: list[list[t.Axes]], found: Diagnostics) -> None:
    """A score reads the tensors that all operators of `from:` have, by the names of their axes."""
    names = [{o.name for a in axes for o in (*a.inputs, *a.outputs)} for axes in declarations]
    sorts: dict[str, Sort] = {CONSUMERS: TENSOR}
    sorts.update((name, TENSOR) for name in names[0] if all(name in others for others in names))
    sort = _infer(score, sorts, SCORES, found)
    if not fits(sort, CONST):
        found.add("GR029", f"a score is numbers, and this is {sort}", score.span)


def _check_words(prune: t.Prune, found: Diagnostics) -> None:
    for keep in prune.keep:
        if not fits(_infer(keep, {}, KEEPS, found), BOOL):
            found.add("GR076", "this does not say how much is kept", keep.span, _known(KEEPS))
    for repair in prune.repair:
        if repair.name not in REPAIRS:
            help_line = did_you_mean(repair.name, REPAIRS) or _known(REPAIRS)
            found.add("GR076", f"there is no repair {repair.name}", repair.span, help_line)


def _known(words: Mapping[str, object]) -> str:
    return f"there is {', '.join(sorted(words))}"


def _check_source(source: t.AxisSource, axes: list[t.Axes], found: Diagnostics) -> None:
    if not axes:
        help_line = f"declare them: axes {source.operator}(...) -> ...:"
        found.add("GR075", f"nothing is known of the axes of {source.operator}", source.span, help_line)
        return
    if all(tensor(a, source.axis.tensor) is None for a in axes):
        names = [o.name for o in (*axes[0].inputs, *axes[0].outputs)]
        message = f"{source.axis.tensor} is no tensor in the axes of {source.operator}"
        found.add("GR071", message, source.axis.span, did_you_mean(source.axis.tensor, names))
    elif not any(_is_told(source.axis, a) for a in axes):
        message = f"the axes of {source.operator} say nothing of this one"
        other = axes[0].operator_span, "they are declared here"
        found.add("GR075", message, source.axis.span, "cut an axis that a fact ties to others", other)


def _is_told(axis: t.Axis, axes: t.Axes) -> bool:
    told = [a.index for f in axes.facts for a in f.axes if a.tensor == axis.tensor]
    return any(index == axis.index or index.kind == "name" for index in told)


def _infer(
    expression: t.Expression, sorts: dict[str, Sort], functions: dict[str, Function], found: Diagnostics
) -> Sort:
    for part in walk(expression):
        if isinstance(part, t.Name) and part.name not in sorts:
            found.add("GR020", f"{part.name} is not bound", part.span, did_you_mean(part.name, sorts))
        if isinstance(part, t.Call) and part.function not in functions:
            _unknown(part.function, part.span, functions, found)
    return Inference(sorts, found, functions).infer(expression, Facts())


def _unknown(name: str, span: Span, functions: dict[str, Function], found: Diagnostics) -> None:
    found.add("GR076", f"pruning has no {name} here", span, did_you_mean(name, functions) or _known(functions))
