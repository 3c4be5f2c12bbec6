"""One rule put to the test on models: the engine rewrites, the judge compares."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Literal, cast

import onnx

from graphopt.graph.dtypes import DType
from graphopt.graph.model import Model
from graphopt.lang import tree as t
from graphopt.verify.believed import false_belief
from graphopt.verify.build import Feed
from graphopt.verify.environment import activations_of, environment
from graphopt.verify.judge import Contract, Outcome, judge
from graphopt.verify.judge_run import NoKernel, Refused, run
from graphopt.verify.subject import Rewritten, rewrite
from graphopt.verify.surroundings import laid_open
from graphopt.verify.verdict import Counterexample

Result = Literal["judged", "declined", "refused", "oracle"]
"""Judged: compared, and found right or wrong. Declined: the rule did not fire. Refused: no runtime runs the original.
Oracle: the oracles disagree."""


class Trial:
    """Tests one rule, as it is or without a condition.

    Attributes:
        comparisons: what came of every comparison.
    """

    def __init__(self, rule: t.Rule, *, may_do_nothing: bool = False, activations: DType | None = None) -> None:
        self.rule = rule
        self._activations = activations or activations_of(rule)
        self._may_do_nothing = may_do_nothing
        self.contract = Contract(cast('Literal["exact", "real", "approx", "quant"]', rule.equal), rule.error)
        self.comparisons: Counter[str] = Counter()

    def run(
        self, model: onnx.ModelProto, feeds: Sequence[Feed], surroundings: str = "", loaded: Model | None = None
    ) -> tuple[Result, Counterexample | None]:
        """Rewrite a model and compare on every set of inputs; a counterexample if the rule gets it wrong.
        `loaded` is the model as our graph, if it is there already; it is used up."""
        known = environment(self.rule, self._activations, model, feeds)
        rewritten = rewrite(self.rule, model, loaded, may_do_nothing=self._may_do_nothing, known=known)
        if not rewritten.firings:
            return "declined", None
        return self.compare(model, rewritten, feeds, surroundings)

    def compare(
        self, model: onnx.ModelProto, rewritten: Rewritten, feeds: Sequence[Feed], surroundings: str
    ) -> tuple[Result, Counterexample | None]:
        """Compare a model with what became of it, on every set of inputs; a counterexample if they differ."""
        results: list[Result] = []
        for feed in feeds:
            outcome = self._outcome(model, rewritten, feed)
            self.comparisons[outcome.kind] += 1
            if outcome.kind == "wrong":
                return "judged", _counterexample(model, rewritten, feed, surroundings, outcome)
            results.append("judged" if outcome.kind in ("same", "rounding") else _open(outcome))
            if outcome.kind == "refused":
                break
        return ("judged" if "judged" in results else results[0] if results else "declined"), None

    def _outcome(self, model: onnx.ModelProto, rewritten: Rewritten, feed: Feed) -> Outcome:
        if rewritten.model is None:
            return _complaint(model, rewritten.complaint, feed)
        original = laid_open(model)
        outcome = judge(original, laid_open(rewritten.model), feed, self.contract)
        lie = false_belief(original, feed) if outcome.kind == "wrong" else None
        return outcome if lie is None else Outcome("refused", note=lie)


def _complaint(model: onnx.ModelProto, complaint: str, feed: Feed) -> Outcome:
    """A complaint counts where the original is a model that runs."""
    original = laid_open(model)
    try:
        run(original, feed)
    except NoKernel:
        pass
    except Refused as reason:
        return Outcome("refused", note=str(reason))
    lie = false_belief(original, feed)
    return Outcome("wrong", note=complaint) if lie is None else Outcome("refused", note=lie)


def _open(outcome: Outcome) -> Result:
    return "refused" if outcome.kind == "refused" else "oracle"


def _counterexample(
    model: onnx.ModelProto, rewritten: Rewritten, feed: Feed, surroundings: str, outcome: Outcome
) -> Counterexample:
    return Counterexample(
        model,
        rewritten.model,
        feed,
        surroundings,
        outcome.output,
        outcome.error,
        outcome.allowed,
        outcome.note or "the outputs differ",
    )
