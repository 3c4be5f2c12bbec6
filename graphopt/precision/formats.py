"""The two short floating-point types, and what a tensor must be like to be held in one."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from graphopt.calibration.statistics import TensorStatistics
from graphopt.graph.dtypes import DType
from graphopt.graph.tensor import Array

HEADROOM = 2.0
"""Magnitudes seen in calibration must stay below the largest number of the type by this: other inputs go further."""

BITS_LOST = 2
"""Significant bits that numbers too small for the type may cost a tensor as a whole."""

BLOCK = 1 << 20
"""Elements of a constant at a time, so that a large one is not held in float64 as a whole."""

SUBNORMAL_LOSS = 6.02 * BITS_LOST


@dataclass(frozen=True)
class Format:
    """A short floating-point type.

    Attributes:
        dtype: float16 or bfloat16.
        largest: the largest finite number.
        smallest_normal: the smallest positive number that has all significant bits.
        roundoff: the largest relative error of rounding a number in between.
    """

    dtype: DType
    largest: float
    smallest_normal: float
    roundoff: float

    @property
    def sqnr(self) -> float:
        """dB of signal over rounding, at worst, of numbers that are within the range of the type: errors of up to
        `roundoff`, evenly distributed, have a mean square of a third of its square."""
        return -10 * math.log10(self.roundoff**2 / 3)

    @property
    def least_sqnr(self) -> float:
        """dB that rounding must leave a tensor."""
        return self.sqnr - SUBNORMAL_LOSS

    def refuses(self, seen: TensorStatistics) -> str | None:
        """Why a tensor that was calibrated is not to be held in the type; None where it is."""
        if seen.not_finite:
            return "held NaN or infinite values"
        if seen.absmax * HEADROOM > self.largest:
            return f"reaches {seen.absmax:.4g}, and the largest {self.dtype.name} is {self.largest:.5g}"
        return self._too_small(_rounded_histogram(seen, self))

    def refuses_constant(self, array: Array) -> str | None:
        """Why a constant is not to be held in the type; None where it is."""
        signal = noise = 0.0
        flat = array.reshape(-1)
        for start in range(0, flat.size, BLOCK):
            values = flat[start : start + BLOCK].astype(np.float64)
            values = values[np.isfinite(values)]  # an infinite mask stays infinite
            with np.errstate(over="ignore"):
                rounded = values.astype(self.dtype.numpy).astype(np.float64)
            if not np.isfinite(rounded).all():
                return f"holds {np.abs(values).max():.4g}, and the largest {self.dtype.name} is {self.largest:.5g}"
            noise += float(np.square(values - rounded).sum())
            signal += float(np.square(values).sum())
        return self._too_small(_decibels(signal, noise))

    def is_normal(self, seen: TensorStatistics) -> bool:
        """Whether all values of a tensor lie on one side of zero, none of them below the smallest normal number."""
        nearest = max(seen.minimum, -seen.maximum)
        return seen.count == 0 or nearest >= self.smallest_normal

    def _too_small(self, sqnr: float) -> str | None:
        if sqnr >= self.least_sqnr:
            return None
        return f"is so small that {self.dtype.name} leaves it {sqnr:.0f} dB of {self.sqnr:.0f}"


FORMATS = {
    DType.float16: Format(DType.float16, 65504.0, 2.0**-14, 2.0**-11),
    DType.bfloat16: Format(DType.bfloat16, float.fromhex("0x1.fep127"), 2.0**-126, 2.0**-8),
}


def _rounded_histogram(seen: TensorStatistics, kind: Format) -> float:
    """dB of signal over rounding, told from a histogram; values are taken for the middle of their bin."""
    histogram = seen.histogram
    counts = histogram.magnitudes.astype(np.float64)
    counts[0] -= seen.zeros
    middles = (np.arange(counts.size) + 0.5) * histogram.width
    steps = np.maximum(middles, kind.smallest_normal) * kind.roundoff
    return _decibels(float(counts @ middles**2), float(counts @ steps**2) / 3)


def _decibels(signal: float, noise: float) -> float:
    return math.inf if noise == 0 else -math.inf if signal == 0 else 10 * math.log10(signal / noise)
