"""From a histogram to the threshold T of a symmetric scale: what is larger is cut off, and the scale is T / 127."""

from __future__ import annotations

from fractions import Fraction
from math import ceil

import numpy as np

from graphopt.calibration.entropy import entropy_bins
from graphopt.calibration.levels import LEVELS, Magnitudes
from graphopt.calibration.statistics import TensorStatistics
from graphopt.errors import UsageError, did_you_mean

METHODS = ("max", "percentile", "entropy", "mse")

CANDIDATES = 512
"""Thresholds that the method mse tries, evenly spaced on a logarithmic scale: each is 1.1 % below the one before."""

CLOSER = 33
"""Thresholds that it tries then between the neighbours of the best."""

SMALLEST = 2.0**-8
"""The smallest of them, of the maximum: below, the rest of the histogram would have no more than 16 bins."""

GUARD = 3.0
"""Decibels that the choice by entropy may lie below the best by squared error, before it is not believed."""


def threshold(statistics: TensorStatistics, method: str, *, percentile: float = 99.99, levels: int = LEVELS) -> float:
    """The magnitude at which a tensor is cut off; 0.0 for a tensor that holds only zeros.

    Args:
        method: one of `METHODS`. max: nothing is cut off. percentile: so many percent of the values are kept.
            entropy: the least divergence between the values and their quantized form (after TensorRT's calibrator,
            over all bins), unless that costs more than 3 dB of SQNR against mse. mse: the least squared error.
        percentile: above 0, at most 100.
        levels: steps from zero to the threshold: 127 for int8, 255 for uint8 of a tensor without negatives.

    Raises:
        DataError: the tensor held NaN or infinite values.
        UsageError: there is no such method or percentile.
    """
    if method not in METHODS:
        known = ", ".join(METHODS)
        raise UsageError(f"there is no method {method!r}", help=did_you_mean(method, METHODS) or f"there are {known}")
    statistics.refuse_not_finite()
    largest = statistics.absmax
    if largest == 0 or method == "max":
        return largest
    if method == "percentile":
        return min(_percentile(statistics, percentile), largest)
    magnitudes = Magnitudes(statistics.histogram)
    best = _least_error(magnitudes, largest, levels)
    if method == "mse":
        return best
    found = min(entropy_bins(magnitudes.counts, levels + 1) * magnitudes.width, largest)
    trusted = magnitudes.sqnr(found, levels) >= magnitudes.sqnr(best, levels) - GUARD
    return found if trusted else best


def _percentile(statistics: TensorStatistics, percentile: float) -> float:
    if not 0 < percentile <= 100:
        raise UsageError(f"{percentile:g} is no percentile", help="give one above 0 and at most 100, such as 99.99")
    below = np.cumsum(statistics.histogram.magnitudes)
    wanted = ceil(Fraction(str(percentile)) * statistics.count / 100)
    return float(np.searchsorted(below, wanted) + 1) * statistics.histogram.width


def _least_error(magnitudes: Magnitudes, largest: float, levels: int) -> float:
    tried = largest * np.geomspace(1.0, SMALLEST, CANDIDATES)
    best = int(np.argmin(magnitudes.squared_error(tried, levels)))
    above, below = float(tried[max(best - 1, 0)]), float(tried[min(best + 1, CANDIDATES - 1)])
    closer = np.linspace(above, below, CLOSER)
    return float(closer[np.argmin(magnitudes.squared_error(closer, levels))])
