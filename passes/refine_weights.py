"""The pass `refine-weights`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

from graphopt import Context, Model, Pass, PassResult, refine_quantized


@dataclass(frozen=True)
class RefineWeights(Pass):
    """Make a model with Q/DQ pairs do what the float model does, as far as int8 can. It goes after rules that quantize.

    1. The thresholds of each method are put in and judged at the outputs, unless the run asks for one method.
    2. Unless the effort is "fast", one walk through the graph: what is rounded is centred and scaled channel by
       channel, weights are fitted to the float outputs and rounded together, biases follow from the rounded weights.
    3. Of all that, what is nearest to the float outputs on samples kept apart is taken.
    4. Where that misses what `min-sqnr`, `min-cosine` or `min-agreement` ask for, the layers that cost most go back to
       float: as few as a search by halves finds.

    Contract: quant.

    What the run itself asks for goes before the options.

    Options:
        effort: "fast" leaves out the walk through the graph.
        min_sqnr: dB of signal over noise at the worst output.
        min_cosine: cosine of the worst output, mean over the samples.
        min_agreement: share of positions at which the largest entry is the same.
    """

    name: ClassVar[str] = "refine-weights"
    effort: Literal["fast", "default"] = "default"
    min_sqnr: float | None = None
    min_cosine: float | None = None
    min_agreement: float | None = None

    def apply(self, model: Model, context: Context) -> PassResult:
        calibration = context.calibration
        if calibration is None or calibration.original is None or calibration.samples is None:
            return PassResult(False, "quant", details={"left out": "there are no samples"})
        own = {"sqnr": self.min_sqnr, "cosine": self.min_cosine, "agreement": self.min_agreement}
        modified, details = refine_quantized(
            model,
            calibration.original,
            calibration.samples,
            statistics=calibration.statistics if calibration.method == "auto" else None,
            effort=calibration.effort or self.effort,
            least={**own, **calibration.least},
            progress=context.progress,
        )
        return PassResult(modified, "quant", details=details)
