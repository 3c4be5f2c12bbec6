"""The pass `compare-outputs`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from graphopt import Context, Model, Pass, PassResult, compare_precision


@dataclass(frozen=True)
class CompareOutputs(Pass):
    """Tell how near the outputs are to those of the graph that was calibrated, on some of the samples: signal over
    noise in dB, cosine, and the share of positions whose largest entry stays. Where that misses what the run asks for
    (`--min-sqnr` and its kin), it is an error.

    Contract: exact. The graph stays as it is.
    """

    name: ClassVar[str] = "compare-outputs"

    def apply(self, model: Model, context: Context) -> PassResult:
        found = context.calibration
        if found is None or found.original is None or found.samples is None:
            return PassResult(False, details={"left out": "there are no samples"})
        return PassResult(False, details=compare_precision(model, found.original, found.samples, found.least))
