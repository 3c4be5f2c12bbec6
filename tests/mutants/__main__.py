"""`python -m tests.mutants [RULE]...`: mutants of the shipped rules, and how many of them verification kills."""

from __future__ import annotations

import os
import sys
import tomllib
from argparse import ArgumentParser
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context
from pathlib import Path

from graphopt.rewrite.library import load_rules
from tests.mutants.mutant import Mutant
from tests.mutants.operators import mutants_of
from tests.mutants.trial import Trial, put_on_trial

REVIEWED = Path(__file__).parent / "equivalent.toml"
"""By id of the mutant: why it is as right as the original."""

AT_LEAST = 0.97
"""Of the mutants that are neither rejected by the check nor narrower than the original, so many must be killed."""


def reviewed() -> Mapping[str, str]:
    return tomllib.loads(REVIEWED.read_text("utf-8"))


def shipped_mutants(names: Sequence[str] = ()) -> Iterator[Mutant]:
    for rule in load_rules():
        if not names or rule.name in names:
            yield from mutants_of(rule)


def rate(trials: Sequence[Trial]) -> float:
    """The share of killed mutants among those that say something else than the original, and pass the check."""
    counts = Counter(t.fate for t in trials)
    return counts["killed"] / max(1, counts["killed"] + counts["survives"])


def report(trials: Sequence[Trial], reasons: Mapping[str, str]) -> list[str]:
    """The lines of the report; survivors last."""
    counts = Counter(t.fate for t in trials)
    by_operator: dict[str, Counter[str]] = {}
    for trial in trials:
        by_operator.setdefault(trial.mutant.operator, Counter())[trial.fate] += 1
    lines = ["| operator | mutants | rejected | narrower | killed | survive |", "|---|---|---|---|---|---|"]
    for operator, found in (*by_operator.items(), ("all", counts)):
        numbers = [sum(found.values()), found["rejected"], found["narrower"], found["killed"], found["survives"]]
        lines.append(f"| {operator} | {' | '.join(str(n) for n in numbers)} |")
    lines += ["", f"killed: {rate(trials):.1%} of those that are neither rejected nor narrower", ""]
    survivors = [t.mutant.id for t in trials if t.fate == "survives"]
    return [*lines, *(f"survives: {i}\n  {reasons.get(i, 'NO REASON IS KNOWN')}" for i in survivors)]


def main() -> int:
    parser = ArgumentParser(prog="python -m tests.mutants", description=__doc__)
    parser.add_argument("rules", nargs="*", metavar="RULE", help="names of rules; all that ship if none is given")
    parser.add_argument("--instances", type=int, default=60, help="how many instances to judge of each mutant")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="mutants to try at once")
    options = parser.parse_args()
    trial = partial(put_on_trial, instances=options.instances, seed=options.seed)
    trials: list[Trial] = []
    with ProcessPoolExecutor(options.jobs, mp_context=get_context("spawn")) as pool:
        for last in pool.map(trial, shipped_mutants(options.rules)):
            trials.append(last)
            sys.stderr.write(f"{last.fate:9} {last.mutant.id}: {last.note[:150]}\n")
    reasons = reviewed()
    print("\n".join(report(trials, reasons)))
    unexplained = [t for t in trials if t.fate == "survives" and t.mutant.id not in reasons]
    return int(rate(trials) < AT_LEAST or bool(unexplained))


if __name__ == "__main__":
    sys.exit(main())
