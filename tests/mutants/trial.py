"""What becomes of one mutant."""

from __future__ import annotations

import time
from collections.abc import Container, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Literal
from unittest.mock import patch

import onnx

from graphopt.graph.dtypes import DType
from graphopt.lang import tree as t
from graphopt.processes import Say
from graphopt.verify import verify
from graphopt.verify.build import Feed
from graphopt.verify.environment import environment
from graphopt.verify.subject import Rewritten, Subject, rewrite
from graphopt.verify.trial import Result
from graphopt.verify.trial import Trial as Hearing
from graphopt.verify.verdict import Counterexample
from tests.mutants.mutant import Mutant

Fate = Literal["rejected", "killed", "narrower", "survives"]
"""
- rejected: `graphopt rules check` refuses it
- killed: verification says that it is wrong, or that it is never exercised, which no shipped rule may be
- narrower: wherever it applied, it made the very model, byte for byte, that the original makes there: it is no wrong
  rule, but one that applies more rarely
- survives: it makes other models, and none was found to be wrong
"""

THOROUGH = 400
"""Instances for a mutant that the given number leaves alive."""


@dataclass(frozen=True)
class Trial:
    """The fate of a mutant, why in a few words, and how many seconds that took."""

    mutant: Mutant
    fate: Fate
    note: str
    seconds: float = 0.0


def put_on_trial(mutant: Mutant, *, instances: int, seed: int, excused: Container[str] = ()) -> Trial:
    """Check and verify a mutant; thoroughly, if it lives, does otherwise than the original anywhere, and is not one of
    those that are known to be as right (by id)."""
    started = time.perf_counter()
    rule, refusal = mutant.build()
    done = partial(_trial, mutant, started)
    if rule is None:
        return done("rejected", refusal)
    note, differs = verified(rule, mutant.rule, instances, seed)
    if note is not None:
        return done("killed", note)
    if differs and instances < THOROUGH and mutant.id not in excused:
        note, _ = verified(rule, mutant.rule, THOROUGH, seed)
    if note is not None:
        return done("killed", f"by {THOROUGH} instances alone: {note}")
    return done("survives" if differs else "narrower", "")


def tried(instances: int, seed: int, excused: Container[str], mutant: Mutant, _say: Say) -> Trial:
    """The same, as worker processes call it, which import it by its name."""
    return put_on_trial(mutant, instances=instances, seed=seed, excused=excused)


def _trial(mutant: Mutant, started: float, fate: Fate, note: str) -> Trial:
    return Trial(mutant, fate, note, time.perf_counter() - started)


class Comparison(Hearing):
    """Judges what a changed rule makes, but for what the original makes as well: that is right, and known to be.

    Attributes:
        differs: how often it was something else, on a model that runs.
    """

    def __init__(
        self, original: t.Rule, rule: t.Rule, *, may_do_nothing: bool = False, activations: DType | None = None
    ) -> None:
        super().__init__(rule, may_do_nothing=may_do_nothing, activations=activations)
        self.original = Subject(original)
        self.differs = 0

    def compare(
        self, model: onnx.ModelProto, rewritten: Rewritten, feeds: Sequence[Feed], surroundings: str
    ) -> tuple[Result, Counterexample | None]:
        subject = self.original
        known = environment(subject.rule, subject.activations, model, feeds)
        theirs = rewrite(subject.rule, model, may_do_nothing=True, known=known)
        if theirs.firings == rewritten.firings and _bytes(theirs) == _bytes(rewritten) is not None:
            return "judged", None
        result, wrong = super().compare(model, rewritten, feeds, surroundings)
        self.differs += result == "judged"
        return result, wrong


def _bytes(rewritten: Rewritten) -> bytes | None:
    return rewritten.model.SerializeToString(deterministic=True) if rewritten.model is not None else None


def verified(rule: t.Rule, original: t.Rule, instances: int, seed: int) -> tuple[str | None, bool]:
    """Why verification does not trust a rule, None if it does; and whether the rule did otherwise than the original."""
    hearings: list[Comparison] = []

    def hearing(changed: t.Rule, *, may_do_nothing: bool, activations: DType) -> Hearing:
        hearings.append(Comparison(original, changed, may_do_nothing=may_do_nothing, activations=activations))
        return hearings[-1]

    # nobody looks at the counterexample, or for more than a verdict
    with patch.multiple(verify, Trial=hearing, SHRINKING=0, PROOF_ELEMENTS=-1):
        verdict = verify.verify_rule(rule, instances=instances, seed=seed, conditions=False)
    differs = any(h.differs for h in hearings)
    if verdict.is_trusted:
        return None, differs
    found = verdict.counterexample
    return f"{verdict.kind}: {found.note if found is not None else '; '.join(verdict.notes)}", differs
