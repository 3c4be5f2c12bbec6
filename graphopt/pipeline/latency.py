"""How long one run of the original and of the compiled model takes in ONNX Runtime, so that the ratio means something.

The two are run in turn, in pairs, after a warm-up: what slows the machine down slows both. The ratio is the median of
the ratios of the pairs, not the ratio of the medians, and the order within a pair alternates. One thread computes: with
more, the noise of their scheduling exceeds most of what a rewrite saves.
"""

from __future__ import annotations

import time
from pathlib import Path
from statistics import median
from typing import Any, Literal

from graphopt.data.sample import Sample
from graphopt.graph.session import new_session
from graphopt.parity.refusals import load_refusal, run_refusal
from graphopt.parity.unique_names import with_unique_names
from graphopt.pipeline.result import Latency

Settings = Literal["default", "off"]
"""Whether ONNX Runtime's own graph optimizations are on, as they are by default, or off."""

BUDGET = 2.0
"""Seconds for the pairs of one setting; `FEWEST` pairs are measured whatever they take."""

WARM_UP = 0.2
"""Seconds of runs before, and one pair at least: the first run allocates memory."""

FEWEST, MOST = 3, 1000


class _Contender:
    def __init__(self, model: Path, label: str, sample: Sample, settings: Settings) -> None:
        self._label = label
        self._sample = sample
        self._session = _session(model, label, settings)

    def run(self) -> float:
        """Seconds of one run."""
        start = time.perf_counter()
        try:
            self._session.run(None, self._sample.arrays)
        except Exception as error:  # onnxruntime's exceptions share no base class of their own
            raise run_refusal(error, self._label, self._sample.name) from None
        return time.perf_counter() - start


def measure(
    original: Path, compiled: Path, sample: Sample, settings: Settings = "default", *, budget: float = BUDGET
) -> Latency:
    """Latency of both models on one sample.

    Raises:
        BackendError: ONNX Runtime lacks something that one of them needs.
        ModelError, DataError: it refuses one of them, or the sample.
    """
    first = _Contender(original, "the original model", sample, settings)
    second = _Contender(compiled, "the compiled model", sample, settings)
    _pairs(first, second, WARM_UP, fewest=1)
    pairs = _pairs(first, second, budget, fewest=FEWEST)
    return Latency(
        settings=settings,
        original=median(before for before, _ in pairs),
        compiled=median(after for _, after in pairs),
        ratio=median(after / before for before, after in pairs),
        runs=len(pairs),
        shapes=", ".join(f"{name}: {'x'.join(map(str, shape)) or 'scalar'}" for name, shape in sample.shapes.items()),
    )


def _pairs(first: _Contender, second: _Contender, budget: float, fewest: int) -> list[tuple[float, float]]:
    pairs: list[tuple[float, float]] = []
    end = time.perf_counter() + budget
    while len(pairs) < fewest or (len(pairs) < MOST and time.perf_counter() < end):
        if len(pairs) % 2:
            after = second.run()
            pairs.append((first.run(), after))
        else:
            before = first.run()
            pairs.append((before, second.run()))
    return pairs


def _session(model: Path, label: str, settings: Settings) -> Any:
    try:
        renamed, folder = with_unique_names(model)
        return new_session(renamed, optimized=settings == "default", threads=1, folder=folder)
    except Exception as error:  # onnxruntime's exceptions share no base class of their own
        raise load_refusal(error, label) from None
