"""What becomes of one mutant."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal
from unittest.mock import patch

from graphopt.lang import tree as t
from graphopt.verify import verify
from graphopt.verify.steer import Search
from graphopt.verify.subject import Subject, rewrite
from tests.mutants.mutant import Mutant

Fate = Literal["rejected", "killed", "narrower", "survives"]
"""
- rejected: `graphopt rules check` refuses it
- killed: verification says that it is wrong, or that it is never exercised, which no shipped rule may be
- narrower: wherever it applied, it made the very model, byte for byte, that the original makes there: it is no wrong
  rule, but one that applies more rarely
- survives: it makes other models, and none was found to be wrong
"""

PROBES = 60
"""Firings on which a mutant is held against the original."""

FEW = 15
"""With fewer firings nothing is known."""

ATTEMPTS = 40
"""Models to try for each of them."""


@dataclass(frozen=True)
class Trial:
    """The fate of a mutant, and why, in a few words."""

    mutant: Mutant
    fate: Fate
    note: str


THOROUGH = 400
"""Instances for a mutant that the given number leaves alive: as many as `make verify-rules` judges."""


def put_on_trial(mutant: Mutant, *, instances: int, seed: int) -> Trial:
    """Check and verify a mutant; hold it against the original if both find nothing; verify it thoroughly if that does
    not excuse it."""
    rule, refusal = mutant.build()
    if rule is None:
        return Trial(mutant, "rejected", refusal)
    note = _killed(rule, instances, seed)
    if note is None and _is_narrower(rule, mutant.rule, seed):
        return Trial(mutant, "narrower", "")
    if note is None and instances < THOROUGH:
        note = _killed(rule, THOROUGH, seed)
        note = None if note is None else f"by {THOROUGH} instances alone: {note}"
    return Trial(mutant, "survives", "") if note is None else Trial(mutant, "killed", note)


def _killed(rule: t.Rule, instances: int, seed: int) -> str | None:
    """Why verification does not trust a rule; None if it does."""
    with patch.multiple(verify, SHRINKING=0, PROOF_SECONDS=0.0):  # nobody looks at the counterexample
        verdict = verify.verify_rule(rule, instances=instances, seed=seed, conditions=False)
    if verdict.is_trusted:
        return None
    found = verdict.counterexample
    return f"{verdict.kind}: {found.note if found is not None else '; '.join(verdict.notes)}"


def _is_narrower(changed: t.Rule, original: t.Rule, seed: int) -> bool:
    """Whether all that the changed rule does is what the original does at the same place."""
    search = Search(Subject(changed), [True] * len(changed.where), seed, feeds=1)
    fired = 0
    for place in search.run(PROBES * ATTEMPTS):
        mine = rewrite(changed, place.instance.model)
        if not mine.firings:
            continue
        theirs = rewrite(original, place.instance.model)
        if mine.model is None or theirs.model is None or mine.firings != theirs.firings:
            return False
        if mine.model.SerializeToString(deterministic=True) != theirs.model.SerializeToString(deterministic=True):
            return False
        fired += 1
        if fired == PROBES:
            return True
    return fired >= FEW
