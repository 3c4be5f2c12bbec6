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


def verify_declarations(declared: Sequence[Axes], *, seed: int, quiet: bool) -> list[FactVerdict]:
    """Verify every fact of the declarations; says what does not hold as soon as it is there, unless it is `quiet`."""
    from graphopt.cli.console import progress
    from graphopt.verify.axis_facts import verify_axes

    done: list[FactVerdict] = []
    with progress().task("verifying axes", len(declared)) as task:
        for number, axes in enumerate(declared, 1):
            found = verify_axes(axes, seed=seed)
            done += found
            for verdict in found:
                if verdict.kind != "holds" and not quiet:
                    print(f"{verdict.place}: {verdict.kind}: {verdict.operator}: {verdict.text}\n    {verdict.note}")
            task.update(number, note=axes.operator)
    return done


def summary(verdicts: Sequence[FactVerdict]) -> str:
    """How many facts there are of each kind."""
    counts = Counter(v.kind for v in verdicts)
    parts = ", ".join(f"{count} {kind}" for kind, count in sorted(counts.items()))
    return f"{len(verdicts)} axis facts: {parts}"
