"""The error that rounding to a few levels makes, told from a histogram."""

from __future__ import annotations

import numpy as np

from graphopt.calibration.exact import Floats
from graphopt.calibration.histogram import Histogram

LEVELS = 127
"""Steps from zero to the threshold of a symmetric int8 scale."""


class Magnitudes:
    """A histogram of magnitudes, summed up so that the error of any scale follows from a few look-ups.

    Attributes:
        width: of a bin.
        counts: float64[bins], up to the last one that is not empty.
        energy: the sum of squares, each value taken for the middle of its bin.
    """

    def __init__(self, histogram: Histogram) -> None:
        magnitudes = histogram.magnitudes
        used = np.flatnonzero(magnitudes)
        end = int(used[-1]) + 1 if used.size else 0
        self.width = histogram.width
        self.counts: Floats = magnitudes[:end].astype(np.float64)
        middles = (np.arange(end) + 0.5) * self.width
        self._moments = np.zeros((3, end + 1))
        for power, row in enumerate(self._moments):
            np.cumsum(self.counts * middles**power, out=row[1:])

    @property
    def energy(self) -> float:
        return float(self._moments[2, -1])

    def squared_error(self, thresholds: Floats, levels: int = LEVELS) -> Floats:
        """The sum of squared errors when magnitudes are rounded to multiples of T / levels, and cut off at T.

        `thresholds`: float64[n], positive. Returns float64[n].
        """
        steps = thresholds[:, None] / levels
        numbers = np.arange(levels + 1)
        edges = np.full((len(thresholds), levels + 2), len(self.counts), np.intp)
        edges[:, 0] = 0
        between = np.rint((numbers[:-1] + 0.5) * steps / self.width)
        edges[:, 1:-1] = np.minimum(between, len(self.counts)).astype(np.intp)
        count, total, squares = np.diff(self._moments[:, edges], axis=-1)
        values = numbers * steps
        return np.maximum((squares - 2 * values * total + values**2 * count).sum(axis=1), 0.0)

    def sqnr(self, threshold: float, levels: int = LEVELS) -> float:
        """Signal to quantization noise in dB; inf where the histogram shows no error."""
        error = float(self.squared_error(np.array([threshold]), levels)[0])
        return float(10 * np.log10(self.energy / error)) if error > 0 else float("inf")
