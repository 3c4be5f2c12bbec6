"""Verifying one rule: instances of its left side, the engine on each of them, and a verdict."""

from __future__ import annotations

import time
import zlib
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from math import prod
from random import Random

from graphopt.graph.dtypes import DType
from graphopt.lang import tree as t
from graphopt.verify.shrink import Found, shrink
from graphopt.verify.steer import Place, Search
from graphopt.verify.subject import Subject
from graphopt.verify.surroundings import KINDS, variant
from graphopt.verify.symbolic import prove_rule
from graphopt.verify.trial import Trial
from graphopt.verify.verdict import ConditionVerdict, Counterexample, Kind, Verdict

INSTANCES = 60
"""How many instances of a rule are judged if nothing else is said."""

AT_LEAST = 50
"""With fewer judged instances a rule counts as not exercised (or with fewer than were asked for)."""

ATTEMPTS = 60
"""Models to try for one instance, before a rule counts as one that cannot be exercised."""

WITHOUT = 40
"""How many instances are judged at which one condition does not hold, before the condition counts as redundant."""

REFUSALS = 3
"""An element type that no runtime took so often, and never took, is not tried again."""

SHRINKING = 150
SHRINKING_CONDITIONS = 30
"""Attempts to make a counterexample smaller."""

PROOFS = 3
PROOF_ELEMENTS = 150
"""How many instances are proved over the reals, and of how many elements at most."""


def verify_rule(rule: t.Rule, *, instances: int = INSTANCES, seed: int = 0, conditions: bool = True) -> Verdict:
    """Verify one checked rule.

    Args:
        instances: how many to judge, each on two sets of inputs and in other surroundings.
        seed: other seeds give other instances; the same one gives the same verdict.
        conditions: whether to drop each `where` line in turn.
    """
    return _Verification(rule, instances, seed).run(conditions=conditions)


@dataclass
class _Tally:
    """What came of one stream of instances."""

    judged: int = 0
    declined: int = 0
    oracle: int = 0
    found: Found | None = None
    provable: list[Place] = field(default_factory=lambda: [])
    coverage: Counter[str] = field(default_factory=Counter[str])


class _Verification:
    def __init__(self, rule: t.Rule, instances: int, seed: int) -> None:
        self.started = time.perf_counter()
        self.instances = instances
        self.subject = Subject(rule)
        self.rule = self.subject.rule
        self.seed = zlib.crc32(f"{rule.name} {seed}".encode())
        self.avoid: set[tuple[str, DType]] = set()
        self._runs: Counter[tuple[str, DType]] = Counter()
        self._refusals: Counter[tuple[str, DType]] = Counter()
        self._kinds = list(KINDS)

    def run(self, *, conditions: bool) -> Verdict:
        if not self.subject.opsets:
            return self._verdict(
                "not exercised", _Tally(), {}, (), "no opset that ONNX Runtime takes has its operators"
            )
        trial = self._trial(self.rule)
        search = Search(self.subject, [True] * len(self.rule.where), self.seed, avoid=self.avoid)
        tally = self._stream(search, trial, self.instances, surrounded=True)
        if tally.found is not None:
            counterexample = shrink(tally.found, trial, attempts=SHRINKING)
            return self._verdict("wrong", tally, trial.comparisons, (), counterexample=counterexample)
        kind: Kind = "holds"
        note = ""
        if tally.judged < min(AT_LEAST, self.instances):
            kind, note = "not exercised", _why(search, tally)
            if tally.oracle > tally.judged:
                kind, note = "oracle disagrees", "ONNX Runtime and float64 disagree about the original models"
        found = tuple(self._condition(i) for i in range(len(self.rule.where))) if conditions else ()
        verdict = self._verdict(kind, tally, trial.comparisons, found, note)
        return self._proved(verdict, tally) if kind == "holds" else verdict

    def _proved(self, verdict: Verdict, tally: _Tally) -> Verdict:
        """The verdict, with what can be proved over the reals at the smallest instances."""
        if self.rule.equal != "real":  # what is equal over the reals can differ in its bits
            return verdict
        telling = sorted(tally.provable, key=_weight)[-PROOFS:]
        proofs = [prove_rule(self.rule, p.instance.model) for p in telling]
        seconds = time.perf_counter() - self.started
        proved = [proof for proof in proofs if proof.kind == "proved"]
        if not proved or any(proof.kind == "disproved" for proof in proofs):
            return replace(verdict, seconds=seconds)
        text = f"over the reals at {len(proved)} of {len(proofs)} sets of shapes, such as {proved[-1].note}"
        return replace(verdict, kind="proved", proof=text, seconds=seconds)

    def _verdict(
        self,
        kind: Kind,
        tally: _Tally,
        comparisons: dict[str, int] | Counter[str],
        conditions: tuple[ConditionVerdict, ...],
        note: str = "",
        counterexample: Counterexample | None = None,
    ) -> Verdict:
        rule = self.rule
        return Verdict(
            rule.name,
            rule.place,
            kind,
            rule.equal if rule.error is None else f"{rule.equal}({rule.error:g})",
            tally.judged,
            dict(sorted(comparisons.items())),
            dict(sorted(tally.coverage.items())),
            conditions,
            counterexample,
            notes=(note,) if note else (),
            seconds=time.perf_counter() - self.started,
        )

    def _trial(self, rule: t.Rule) -> Trial:
        subject = self.subject
        return Trial(rule, may_do_nothing=subject.may_do_nothing, activations=subject.activations)

    # --- instances ---

    def _stream(self, search: Search, trial: Trial, wanted: int, *, surrounded: bool) -> _Tally:
        """Judge so many instances, or until one is wrong."""
        tally = _Tally()
        random = Random(self.seed)
        for place in search.run(wanted * ATTEMPTS):
            instance = place.instance
            result, wrong = trial.run(instance.model, instance.feeds, loaded=place.loaded)
            self._note(place, result)
            if wrong is not None:
                tally.found = Found(wrong, place, self.seed)
            elif result == "judged" and surrounded:
                tally.found = self._surround(place, trial, tally.judged, random)
            if result == "judged":
                tally.judged += 1
                tally.coverage.update(_coverage(place))
                tally.provable += [place] if surrounded and _is_provable(place) else []
            tally.declined += result == "declined"
            tally.oracle += result == "oracle"
            if tally.found is not None or tally.judged >= wanted or tally.declined > wanted * 4:
                break
        return tally

    def _surround(self, place: Place, trial: Trial, number: int, random: Random) -> Found | None:
        """The instance in the surroundings whose turn it is."""
        kind = self._kinds[number % len(self._kinds)]
        seed = random.getrandbits(30)
        changed = variant(place.instance, kind, Random(seed))
        if changed is None:
            return None
        model, feeds = changed
        _, wrong = trial.run(model, feeds[:1], kind)
        return None if wrong is None else Found(wrong, place, seed)

    def _note(self, place: Place, result: str) -> None:
        """Remember which element types no runtime takes."""
        draft = place.draft
        for name in draft.sketch.leaves:
            key = (str(draft.types.address(name)[1]), draft.tensors[name].dtype)
            self._runs[key] += result == "judged"
            self._refusals[key] += result == "refused"
            if self._refusals[key] >= REFUSALS and not self._runs[key]:
                self.avoid.add(key)

    # --- conditions ---

    def _condition(self, number: int) -> ConditionVerdict:
        """What becomes of the rule without one condition, where it does not hold and the others do."""
        condition = self.rule.where[number]
        wanted = [i != number for i in range(len(self.rule.where))]
        trial = self._trial(self.subject.without(frozenset({number})))
        search = Search(self.subject, wanted, self.seed + number + 1, avoid=self.avoid)
        tally = self._stream(search, trial, WITHOUT, surrounded=False)
        text = _text(condition)
        place = condition.span.line_place
        if tally.found is not None:
            counterexample = shrink(tally.found, trial, attempts=SHRINKING_CONDITIONS)
            return ConditionVerdict(text, place, "load-bearing", tally.judged + 1, counterexample)
        if tally.judged >= WITHOUT // 2:
            return ConditionVerdict(text, place, "redundant", tally.judged)
        if tally.judged + tally.declined + search.declined >= WITHOUT:
            return ConditionVerdict(text, place, "guarded", tally.judged)
        return ConditionVerdict(text, place, "not exercised", tally.judged, note=_why(search, tally))


def _is_provable(place: Place) -> bool:
    """Whether the shapes of an instance are known, none is empty, and all are small."""
    sizes = [prod(k.shape or ()) for k in place.draft.tensors.values()]
    return place.made[("dims",)] == "static" and all(sizes) and sum(sizes) <= PROOF_ELEMENTS


def _weight(place: Place) -> int:
    """How much a proof at these shapes says: how many axes are of more than one element."""
    return sum(d > 1 for k in place.draft.tensors.values() for d in k.shape or ())


def _coverage(place: Place) -> Iterator[str]:
    draft = place.draft
    yield f"opset {draft.sketch.opset}"
    yield from {draft.tensors[name].dtype.name for name in draft.sketch.leaves}
    yield f"dims {place.made[('dims',)]}"


def _text(condition: t.Expression) -> str:
    span = condition.span
    return " ".join(span.source.text[span.start : span.end].split())


def _why(search: Search, tally: _Tally) -> str:
    declined = tally.declined + search.declined
    reasons = [f"{search.attempts} models were tried, {tally.judged} were judged, {declined} were declined"]
    reasons += [f"{count} times: {text}" for text, count in search.failures.most_common(3)]
    return "; ".join(reasons)
