"""`python -m tests.mutants [RULE]...`: mutants of the shipped rules, and how many of them verification kills."""

from __future__ import annotations

import os
import sys
import tomllib
from argparse import ArgumentParser
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import chain
from pathlib import Path

from graphopt.caches import cache_root
from graphopt.processes import Lost, in_processes
from graphopt.rewrite.library import load_rules
from tests.mutants.kept import KeptTrials
from tests.mutants.mutant import Mutant
from tests.mutants.operators import mutants_of
from tests.mutants.trial import Fate, Trial, tried

REVIEWED = Path(__file__).parent / "equivalent.toml"
"""By id of the mutant: why it is as right as the original."""

AT_LEAST = 0.97
"""Of the mutants that are neither rejected by the check nor narrower than the original, so many must be killed."""

LIMIT = 600.0
"""Seconds after which a mutant is given up, as one that lives."""


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
    others = [t for t in trials if t.mutant.id not in reasons]
    lines += ["", f"killed: {rate(trials):.1%} of those that are neither rejected nor narrower"]
    lines += [f"        {rate(others):.1%} of these without those that are known to be equivalent", ""]
    survivors = [t.mutant.id for t in trials if t.fate == "survives"]
    return [*lines, *(f"survives: {i}\n  {reasons.get(i, 'NO REASON IS KNOWN')}" for i in survivors)]


@dataclass
class Session:
    """One run over mutants. `done` grows, in no certain order, and holds what there is when the run is interrupted."""

    kept: KeptTrials
    done: list[Trial]

    def run(self, mutants: Sequence[Mutant], *, jobs: int, again: bool) -> None:
        pending: dict[Fate | None, list[Mutant]] = {None: [], "survives": []}  # in this order: what may tell most first
        for mutant in mutants:
            found, before = self.kept.find(mutant)
            if found is not None and not again:
                self.done.append(found)
            else:
                pending.setdefault(before, []).append(mutant)
        trial = partial(tried, self.kept.instances, self.kept.seed, frozenset(reviewed()))
        for mutant, found in in_processes(list(chain(*pending.values())), trial, jobs=jobs, seconds=LIMIT):
            if isinstance(found, Lost):  # verification failed, and said nothing of the mutant: no kill, and not kept
                result = Trial(mutant, "survives", found.reason, found.seconds)
            else:
                result = found
                self.kept.put(result)
            self.done.append(result)
            note = f"[{len(self.done)}/{len(mutants)}] {result.fate:9} {result.seconds:5.1f} s {mutant.id}"
            sys.stderr.write(f"{note}: {result.note[:150]}\n" if result.note else f"{note}\n")


def main() -> int:
    parser = ArgumentParser(prog="python -m tests.mutants", description=__doc__)
    parser.add_argument("rules", nargs="*", metavar="RULE", help="names of rules; all that ship if none is given")
    parser.add_argument("--instances", type=int, default=60, help="how many instances to judge of each mutant")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="mutants to try at once")
    parser.add_argument("--again", action="store_true", help="try also those whose fate is known")
    options = parser.parse_args()
    mutants = list(shipped_mutants(options.rules))
    session = Session(KeptTrials(cache_root(), options.instances, options.seed), [])
    try:
        session.run(mutants, jobs=options.jobs, again=options.again)
    except KeyboardInterrupt:
        sys.stderr.write(f"interrupted: {len(session.done)} of {len(mutants)} are done, and kept\n")
    places = {mutant.id: number for number, mutant in enumerate(mutants)}
    trials = sorted(session.done, key=lambda t: places[t.mutant.id])
    reasons = reviewed()
    print("\n".join(report(trials, reasons)))
    if len(trials) < len(mutants):
        return 130
    unexplained = [t for t in trials if t.fate == "survives" and t.mutant.id not in reasons]
    return int(rate(trials) < AT_LEAST or bool(unexplained))


if __name__ == "__main__":
    sys.exit(main())
