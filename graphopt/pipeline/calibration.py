"""What a run calibrates with, and what it has found: statistics of the graph's tensors, and ranges that follow."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from graphopt.errors import DataError, UsageError, did_you_mean
from graphopt.progress import SILENT, Progress

if TYPE_CHECKING:
    from graphopt.calibration.ranges import Ranges
    from graphopt.calibration.statistics import Statistics
    from graphopt.data.sample import Sample
    from graphopt.graph.model import Model
    from graphopt.quantization.improve import Effort

AUTO = "auto"
FIRST_METHOD = "mse"
"""What `auto` begins with, before anything has scored the methods at the outputs."""


def check_method(method: str) -> str:
    """
    Raises:
        UsageError: there is no such method.
    """
    from graphopt.calibration.thresholds import METHODS

    known = (AUTO, *METHODS)
    if method not in known:
        raise UsageError(
            f"there is no method {method!r} to calibrate by",
            help=did_you_mean(method, known) or f"methods: {', '.join(known)}",
        )
    return method


@dataclass
class Calibration:
    """Samples, and the ranges of tensors that they have shown.

    Attributes:
        samples: to run the graph on, as often as one likes; None where statistics come from a file.
        method: how thresholds follow from statistics, as `graphopt.calibration.thresholds` has them, or "auto".
        stats: the file that statistics are kept in, if any.
        is_synthetic: whether the samples are made up.
        effort: how much to do for the outputs, "fast" or "default"; None leaves it to the recipe.
        least: what the outputs must reach at least: "sqnr" in dB, "cosine", "agreement"; beside what the recipe asks.
        ranges: of the tensors of the graph as it was when it was calibrated; None before.
        original: a copy of that graph, to compare with what becomes of it.
    """

    samples: Iterable[Sample] | None
    method: str = AUTO
    stats: Path | None = None
    is_synthetic: bool = False
    effort: Effort | None = None
    least: Mapping[str, float] = field(default_factory=dict[str, float])
    ranges: Ranges | None = None
    original: Model | None = None

    @property
    def statistics(self) -> Statistics | None:
        """What was counted; None before."""
        return self.ranges.statistics if self.ranges is not None else None

    @property
    def warnings(self) -> tuple[str, ...]:
        """What keeps a model from being used that was quantized by these ranges."""
        made_up = "the ranges come from inputs that were made up: this model is for trials alone"
        return (f"{made_up}; calibrate on real inputs with --data",) if self.is_synthetic and self.ranges else ()

    def collect(self, model: Model, progress: Progress = SILENT) -> Mapping[str, Any]:
        """Run the graph on the samples, or read what an earlier run has kept; returns figures for the report.

        Raises:
            DataError: there are no samples, one of them cannot be read, or the statistics are of another graph.
        """
        from graphopt.calibration.collect import collect
        from graphopt.calibration.statistics import Statistics
        from graphopt.quantization.contents import copied

        is_kept = self.stats is not None and self.stats.exists()
        if is_kept and self.stats is not None:
            found = Statistics.load(self.stats)
            _refuse_strange(found, model, self.stats)
        elif self.samples is None:
            raise DataError("there is nothing to calibrate with", help="give samples: --data SOURCE")
        else:
            found = collect(model, self.samples, progress=progress)
            if not found.samples:
                raise DataError("there are no samples to calibrate with", help="give samples: --data SOURCE")
            if self.stats is not None:
                found.save(self.stats)
        self.use(found)
        self.original = copied(model)
        return {
            "samples": found.samples,
            "tensors": len(found),
            "method": self.method,
            "synthetic": self.is_synthetic,
            **({"statistics": "reused"} if is_kept else {}),
        }

    def use(self, statistics: Statistics, method: str | None = None) -> None:
        """Take ranges from these statistics from now on, by the method of the run if none is given."""
        from graphopt.calibration.ranges import Ranges

        chosen = method or self.method
        self.ranges = Ranges(statistics, FIRST_METHOD if chosen == AUTO else chosen)

    def has(self, name: str) -> bool:
        """Whether the range of a tensor is known."""
        return self.ranges is not None and self.ranges.has(name)

    def scale(self, name: str) -> float | None:
        """The step of symmetric int8.

        Raises:
            DataError: the tensor held NaN or infinite values.
        """
        return None if self.ranges is None else self.ranges.scale(name)

    def range(self, name: str) -> tuple[float, float] | None:
        """The lowest and the highest value that are not clipped.

        Raises:
            DataError: the tensor held NaN or infinite values.
        """
        return self.ranges.bounds(name) if self.ranges is not None and self.ranges.has(name) else None


def _refuse_strange(found: Statistics, model: Model, file: Path) -> None:
    from graphopt.calibration.digest import digest

    if found.model != digest(model):
        raise DataError(
            f"the statistics in {file} are of another graph",
            help="collect them anew: take the file away, and give samples with --data",
        )
