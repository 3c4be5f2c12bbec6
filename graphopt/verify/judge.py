"""Whether two models compute the same, as far as a contract promises it, on one set of inputs.

Two oracles: ONNX Runtime with its optimizations off, and float64. What differs in float64 is a wrong rewrite; what
differs in the model's own types alone is rounding. docs/proof.md derives the bounds.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import onnx

from graphopt.graph.interface import interface_of
from graphopt.verify.float64 import Fails, NotComputable, evaluate
from graphopt.verify.judge_bounds import ROUNDOFF, Judged, Sides
from graphopt.verify.judge_oracle import disagreement
from graphopt.verify.judge_run import NoKernel, Refused, run, run_reference
from graphopt.verify.judge_values import Array, bits_difference, distance, largest, structure_difference

Kind = Literal["same", "rounding", "wrong", "refused", "oracle"]


@dataclass(frozen=True)
class Contract:
    """What a rule promises; as `graphopt.parity.contract.Contract`, with `error` None where there is none."""

    equal: Literal["exact", "real", "approx", "quant"]
    error: float | None = None


@dataclass(frozen=True)
class Outcome:
    """What came of one comparison.

    Attributes:
        kind: `same`: bit by bit; `rounding`: as the contract allows; `wrong`; `refused`: the original does not run, so
            that nothing is known; `oracle`: the two oracles disagree about one and the same model.
        output: the name of the output that decided, or "".
        error: the largest difference there, absolute; 0 where there is no such number.
        allowed: what was allowed there.
        note: in a sentence.
    """

    kind: Kind
    output: str = ""
    error: float = 0.0
    allowed: float = 0.0
    note: str = ""


def judge(before: onnx.ModelProto, after: onnx.ModelProto, feeds: Mapping[str, Array], contract: Contract) -> Outcome:
    """Compare a model and what was made of it on one set of inputs, by name."""
    if interface_of(before) != interface_of(after):
        return Outcome("wrong", note="the inputs and outputs are declared otherwise than they were")
    try:
        pair = _run_both(before, after, feeds)
    except _Decided as decided:
        return decided.outcome
    if contract.equal == "exact":
        return _judge_exact(before, after, feeds, pair)
    return _judge_numbers(before, after, feeds, contract, pair)


Pair = tuple[dict[str, Array], dict[str, Array]]


class _Decided(Exception):
    def __init__(self, outcome: Outcome) -> None:
        super().__init__(outcome.note)
        self.outcome = outcome


def _run_both(before: onnx.ModelProto, after: onnx.ModelProto, feeds: Mapping[str, Array]) -> Pair | None:
    """The outputs of both in their own types; None where ONNX Runtime lacks a kernel for one of them."""
    try:
        first = run(before, feeds)
    except NoKernel:
        return None
    except Refused as refused:
        raise _Decided(Outcome("refused", note=f"ONNX Runtime refuses the original: {refused}")) from None
    try:
        second = run(after, feeds)
    except NoKernel:
        return None
    except Refused as refused:
        raise _Decided(Outcome("wrong", note=f"ONNX Runtime refuses the rewritten model: {refused}")) from None
    differs = structure_difference(first, second)
    if differs is not None:
        raise _Decided(Outcome("wrong", differs[0], note=differs[1]))
    return first, second


# --- exact ---


def _judge_exact(
    before: onnx.ModelProto, after: onnx.ModelProto, feeds: Mapping[str, Array], pair: Pair | None
) -> Outcome:
    where = "in ONNX Runtime"
    if pair is None:
        where = "in the reference evaluator"
        try:
            pair = run_reference(before, feeds), run_reference(after, feeds)
        except Refused as refused:
            return Outcome("refused", note=f"neither ONNX Runtime nor the reference evaluator runs it: {refused}")
        differs = structure_difference(*pair)
        if differs is not None:
            return Outcome("wrong", differs[0], note=differs[1])
    name = bits_difference(*pair)
    if name is None:
        return Outcome("same")
    error = float(distance(pair[0][name], pair[1][name]).max(initial=0.0))
    return Outcome("wrong", name, error, 0.0, f"{where} it is not the same bit by bit")


# --- the other contracts ---


def _judge_numbers(
    before: onnx.ModelProto, after: onnx.ModelProto, feeds: Mapping[str, Array], contract: Contract, pair: Pair | None
) -> Outcome:
    try:
        sides = Sides(before, after, feeds)
    except NotComputable as reason:
        if pair is None and isinstance(reason, Fails) and _is_computable(before, feeds):
            return Outcome("wrong", note=f"in float64 the rewritten model fails: {reason}")
        return _without_float64(pair, contract, str(reason))
    differs = structure_difference(sides.before, sides.after)
    if differs is not None and pair is not None:  # which in ONNX Runtime are of one shape
        return Outcome("oracle", differs[0], note="ONNX Runtime and float64 disagree")
    if differs is not None:
        return Outcome("wrong", differs[0], note=f"in float64, {differs[1]}")
    if pair is not None:
        apart = disagreement(before, feeds, sides.before, pair[0]) or disagreement(after, feeds, sides.after, pair[1])
        if apart is not None:
            return Outcome("oracle", apart.output, apart.error, apart.allowed, "ONNX Runtime and float64 disagree")
    judged = sides.step_excess() if contract.equal == "quant" else sides.excess(_share(contract))
    if not judged.fits:
        return Outcome("wrong", judged.output, judged.error, judged.allowed, "in float64 it is another number")
    if pair is None:
        return _within(judged, "ONNX Runtime has no kernel: float64 alone")
    return Outcome("same") if bits_difference(*pair) is None else _within(judged, "")


def _is_computable(model: onnx.ModelProto, feeds: Mapping[str, Array]) -> bool:
    try:
        evaluate(model, feeds)
    except NotComputable:
        return False
    return True


def _share(contract: Contract) -> float:
    return (contract.error or 0.0) if contract.equal == "approx" else 0.0


def _within(judged: Judged, note: str) -> Outcome:
    return Outcome("rounding", judged.output, judged.error, judged.allowed, note)


ALONE = 64.0
"""Roundoffs, of an output's largest magnitude, that are taken for rounding where float64 cannot tell."""


def _without_float64(pair: Pair | None, contract: Contract, reason: str) -> Outcome:
    if pair is None or contract.equal == "quant":  # how far a step reaches is known in float64 alone
        return Outcome("refused", note=f"no oracle computes it: {reason}")
    if bits_difference(*pair) is None:
        return Outcome("same")
    for name, wanted in pair[0].items():
        error = float(distance(wanted, pair[1][name]).max(initial=0.0))
        allowed = (ALONE * ROUNDOFF.get(wanted.dtype.name, 0.0) + _share(contract)) * largest(wanted)
        if error > allowed:
            return Outcome("wrong", name, error, allowed, f"in ONNX Runtime alone, since {reason}")
    return Outcome("rounding", note=f"in ONNX Runtime alone, since {reason}")
