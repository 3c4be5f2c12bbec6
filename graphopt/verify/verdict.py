"""What verification says of a rule, as data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    import onnx

    from graphopt.graph.tensor import Array

Kind = Literal["proved", "holds", "wrong", "not exercised", "oracle disagrees"]
"""
- proved: equal over the reals at the shapes of the proof, and no instance is otherwise
- holds: on every instance, but for rounding
- wrong: there is a counterexample
- not exercised: too few instances at which the conditions hold, so that nothing is known
- oracle disagrees: ONNX Runtime and float64 disagree about the originals themselves, so that nothing is known
"""

ConditionKind = Literal["load-bearing", "guarded", "redundant", "not exercised"]
"""
- load-bearing: without it the rule is wrong
- guarded: where it does not hold, the engine declines by itself, since a type or a shape would change
- redundant: no instance at which it does not hold makes the rule wrong
- not exercised: too few instances at which it does not hold, and the others do
"""

TRUSTED: tuple[Kind, ...] = ("proved", "holds")


@dataclass(frozen=True)
class Counterexample:
    """A model that a rule gets wrong.

    Attributes:
        before, after: the model, and what became of it; `after` is None where the result is no model.
        feed: the inputs that show it.
        surroundings: what is special about the place of the match, or "".
        output: the output that differs, or "".
        error, allowed: the largest difference there and what the contract allows; both 0 where there are no numbers.
        note: what is wrong, in a sentence.
    """

    before: onnx.ModelProto
    after: onnx.ModelProto | None
    feed: Mapping[str, Array]
    surroundings: str
    output: str
    error: float
    allowed: float
    note: str


@dataclass(frozen=True)
class ConditionVerdict:
    """What becomes of a rule without one of its conditions.

    Attributes:
        text: the condition as it is written.
        place: file:line.
        instances: how many were judged at which it does not hold and all others do.
        note: why it was not exercised, or "".
    """

    text: str
    place: str
    kind: ConditionKind
    instances: int
    counterexample: Counterexample | None = None
    note: str = ""


@dataclass(frozen=True)
class Verdict:
    """What verification says of one rule.

    Attributes:
        rule: its name.
        place: rule@file:line.
        contract: what it promises, as in the rule: "exact", "real", "approx(0.001)", "quant".
        instances: how many were judged, each on several inputs and in several surroundings.
        comparisons: by what came of them: "same" bit by bit, "rounding", "refused" by the runtime, "oracle".
        coverage: how often which element types and opsets were judged, as text.
        conditions: what each line of `where` is there for; empty where that was not asked.
        proof: what the symbolic proof says, or "" where there was none.
        notes: what the author should know.
        cached: whether it was kept from before.
        is_lost: whether verification did not come back, so that nothing is known, and nothing is kept.
    """

    rule: str
    place: str
    kind: Kind
    contract: str
    instances: int
    comparisons: Mapping[str, int] = field(default_factory=dict[str, int])
    coverage: Mapping[str, int] = field(default_factory=dict[str, int])
    conditions: tuple[ConditionVerdict, ...] = ()
    counterexample: Counterexample | None = None
    proof: str = ""
    notes: tuple[str, ...] = ()
    seconds: float = 0.0
    cached: bool = False
    is_lost: bool = False

    @property
    def is_trusted(self) -> bool:
        """Whether a compile may use the rule."""
        return self.kind in TRUSTED

    @property
    def is_complete(self) -> bool:
        """Whether the rule is trusted and every condition of it was exercised."""
        return self.is_trusted and all(c.kind != "not exercised" for c in self.conditions)

    def to_json(self) -> dict[str, Any]:
        """The verdict as a JSON document, without models."""
        return {
            "rule": self.rule,
            "place": self.place,
            "verdict": self.kind,
            "contract": self.contract,
            "instances": self.instances,
            "comparisons": dict(self.comparisons),
            "coverage": dict(self.coverage),
            "conditions": [_condition_json(c) for c in self.conditions],
            "counterexample": _counterexample_json(self.counterexample),
            "proof": self.proof,
            "notes": list(self.notes),
            "seconds": round(self.seconds, 3),
            "cached": self.cached,
        }


def _condition_json(condition: ConditionVerdict) -> dict[str, Any]:
    return {
        "condition": condition.text,
        "place": condition.place,
        "verdict": condition.kind,
        "instances": condition.instances,
        "counterexample": _counterexample_json(condition.counterexample),
        "note": condition.note,
    }


def _counterexample_json(found: Counterexample | None) -> dict[str, Any] | None:
    if found is None:
        return None
    return {
        "surroundings": found.surroundings,
        "output": found.output,
        "error": _finite(found.error),
        "allowed": _finite(found.allowed),
        "note": found.note,
        "inputs": {name: f"{a.dtype.name}{list(a.shape)}" for name, a in found.feed.items()},
    }


def _finite(number: float) -> float | None:
    return number if abs(number) < float("inf") else None
