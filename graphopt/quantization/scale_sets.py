"""Whole sets of scales out of one pass of calibration, for something to choose among."""

from __future__ import annotations

from collections.abc import Sequence

from graphopt.calibration.ranges import Ranges
from graphopt.calibration.statistics import Statistics

SETS = (
    ("mse", "mse", 99.99),
    ("percentile 99.9", "percentile", 99.9),
    ("percentile 99.99", "percentile", 99.99),
    ("percentile 99.999", "percentile", 99.999),
    ("percentile 99.9999", "percentile", 99.9999),
    ("entropy", "entropy", 99.99),
    ("max", "max", 99.99),
)
"""What a set is called, its method, and the percentile where that is the method."""


def scale_sets(statistics: Statistics, names: Sequence[str]) -> dict[str, dict[str, float]]:
    """Scales of symmetric int8 for these tensors, as far as they were counted, by the name of the set.

    Raises:
        DataError: one of the tensors held NaN or infinite values.
    """
    found: dict[str, dict[str, float]] = {}
    for name, method, percentile in SETS:
        ranges = Ranges(statistics, method, percentile=percentile)
        scales = {tensor: ranges.scale(tensor) for tensor in names}
        found[name] = {tensor: scale for tensor, scale in scales.items() if scale is not None}
    return found
