"""The pass `widen-types`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from graphopt import Context, Model, PassResult, TargetPass, widen_lacking

NARROWING_ERROR = 1e-4
"""Relative error that is granted where float32 stands for float64: some hundred roundings of 2 ** -24 in a row."""


@dataclass(frozen=True)
class WidenTypes(TargetPass):
    """Compute in a wider type what has an element type that the target does not compute in.

    1. int8, uint8, int16 and uint16 in int32, uint32 in int64: exact, since results are wrapped around as in the narrow
       type. int8 between QuantizeLinear and DequantizeLinear stays.
    2. With `allow_narrowing`, uint64 in int64 and float64 in float32; the details name the values.
    3. BitShift, where the target lacks it, as products and quotients.

    Inputs and outputs of the graph keep their types.

    Contract: exact, but approx(1e-4) where something was narrowed.

    Options:
        target: what is compiled for.
        allow_narrowing: also what cannot be exact.
    """

    name: ClassVar[str] = "widen-types"
    allow_narrowing: bool = False

    def apply(self, model: Model, context: Context) -> PassResult:
        found = widen_lacking(model, self.target, allow_narrowing=self.allow_narrowing)
        details = {"values": found.values, "narrowed": found.inexact}
        if found.inexact:
            return PassResult(True, "approx", NARROWING_ERROR, details)
        return PassResult(found.values > 0, details=details)
