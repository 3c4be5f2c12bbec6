"""The pass `calibrate`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from graphopt import Context, Model, Pass, PassResult, RecipeError


@dataclass(frozen=True)
class Calibrate(Pass):
    """Run the graph, as it is now, on the samples, and note what its tensors hold: rules that quantize take the ranges
    from there. Statistics that were kept in a file of an earlier run are used again, if they are of this graph.

    Contract: exact. The graph stays as it is.

    Options:
        needed: whether a run without samples and statistics is refused; else it goes on without ranges.
    """

    name: ClassVar[str] = "calibrate"
    needed: bool = True

    def check(self, context: Context) -> None:
        if context.calibration is None and self.needed:
            raise RecipeError(
                "the recipe quantizes, and there is nothing to calibrate with",
                help="give samples of real inputs with --data, or statistics of an earlier run with --stats; "
                "--synthetic-calibration makes inputs up, and the result is as good as they are",
            )

    def apply(self, model: Model, context: Context) -> PassResult:
        if context.calibration is None:
            return PassResult(False, details={"left out": "there are neither samples nor statistics"})
        return PassResult(False, details=context.calibration.collect(model, context.progress))
