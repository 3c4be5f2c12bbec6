"""The part of `graphopt rules verify` that is about `axes` declarations."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from graphopt.lang.tree import Axes
    from graphopt.verify.axis_facts import FactVerdict


def chosen_axes(what: Sequence[str]) -> list[Axes]:
    """The declarations of the files and folders among what is named; all that ship where nothing is."""
    from graphopt.rewrite.library import load_files

    paths = [Path(w) for w in what if Path(w).exists()]
    files = load_files(paths)
    chosen = [file for path in paths for file in files.add_path(path)] if what else files.files
    return [axes for file in chosen for axes in file.axes]


def verify_chosen(declared: Sequence[Axes], *, seed: int, jobs: int, again: bool, quiet: bool) -> list[FactVerdict]:
    """Verify every fact of the declarations, in their order; says what does not hold as soon as it is known, unless it
    is `quiet`. `again`: also those that were verified before."""
    from graphopt.caches import cache_root
    from graphopt.cli.console import progress
    from graphopt.verify.batch import verify_declarations
    from graphopt.verify.kept_facts import KeptFacts

    kept = KeptFacts(cache_root(), seed)
    done: dict[str, list[FactVerdict]] = {}
    pending: list[Axes] = []
    for axes in declared:
        found = None if again else kept.find(axes)
        if found is None:
            pending.append(axes)
        else:
            done[_place(axes)] = found
            _show(found, quiet=quiet)
    with progress().task("verifying axes", len(declared)) as task:
        for axes, found in verify_declarations(pending, seed=seed, jobs=jobs):
            kept.put(axes, found)
            done[_place(axes)] = found
            _show(found, quiet=quiet)
            task.update(len(done), note=axes.operator)
    return [verdict for axes in declared for verdict in done[_place(axes)]]


def _place(axes: Axes) -> str:
    return axes.span.line_place


def _show(verdicts: Sequence[FactVerdict], *, quiet: bool) -> None:
    from graphopt.report.text import printable

    for verdict in verdicts:
        if verdict.kind != "holds" and not quiet:
            said = f"{verdict.place}: {verdict.kind}: {verdict.operator}: {verdict.text}\n    {verdict.note}"
            print(printable(said), flush=True)


def summary(verdicts: Sequence[FactVerdict]) -> str:
    """How many facts there are of each kind."""
    counts = Counter(v.kind for v in verdicts)
    parts = ", ".join(f"{count} {kind}" for kind, count in sorted(counts.items()))
    return f"{len(verdicts)} axis facts: {parts}"
