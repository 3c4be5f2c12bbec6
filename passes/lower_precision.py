"""The pass `lower-precision`."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import ClassVar, Literal

from graphopt import Context, Model, Pass, PassResult, lower_precision

UNSEEN = "float16 was placed without having seen the model's numbers: give samples with --data"


@dataclass(frozen=True)
class LowerPrecision(Pass):
    """Compute in float16 or bfloat16 what can be, in a typed graph with Casts where types meet.

    A node stays in float32 if the recipe keeps it, if it adds up within itself in no wider type, or if one of its
    tensors does not fit: in calibration it reached half of the type's largest number, or its numbers are so small that
    rounding them costs it two significant bits as a whole. Without calibration, constants are held to that, and float16
    is refused to what makes large numbers of small ones. What stands between nodes in float32, or would multiply no
    matrices in the type between two Casts, stays, too. Inputs and outputs of the model keep their types.

    Contract: quant.

    Options:
        type: "float16" or "bfloat16".
        keep: nodes that stay in float32, as `name:GLOB`, `operator:OPERATOR`, `depth:FIRST..LAST` (layers, counted as
            they execute) or `pattern:RULE`; one that matches nothing is an error.
    """

    name: ClassVar[str] = "lower-precision"
    type: Literal["float16", "bfloat16"] = "float16"
    keep: tuple[str, ...] = ()

    @property
    def gives(self) -> Collection[str]:
        return (self.type,)

    @property
    def idempotent(self) -> bool:
        return True

    def check(self, context: Context) -> None:
        context.check_selectors(self.keep)
        context.refuse_lacking(self.type)

    def apply(self, model: Model, context: Context) -> PassResult:
        calibration = context.calibration
        seen = calibration.statistics if calibration is not None else None
        found = lower_precision(
            model,
            self.type,
            seen=seen,
            kept=context.select(model, self.keep) | context.assigned(model, ("float32",)),
            lacking=context.lacks_kernels(self.type),
        )
        details = found.to_json()
        if not found.nodes:
            return PassResult(False, details=details)
        if self.type == "float16" and seen is None:
            details["warnings"] = [UNSEEN]
        return PassResult(True, "quant", details=details)
