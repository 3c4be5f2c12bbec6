"""A histogram whose range is a power of two, so that all histograms of a tensor are nested: merging them is exact."""

from __future__ import annotations

from math import frexp, ldexp
from typing import Any

import numpy as np

BINS = 4096
"""Of each sign."""

_BITS = 12
"""2^12 = BINS."""

LOWEST = -100
"""The smallest exponent of a range: a tensor that never exceeds 2^-100 has all of it in few bins, and no use for more.
It keeps the factor that takes values to bins within float32."""

FLOAT32_EXACT = _BITS
"""Up to this exponent the factor is at least 1, and taking a float32 to its bin cannot lose bits by underflow."""

Counts = np.ndarray[Any, np.dtype[np.int64]]


class Histogram:
    """Counts of values by magnitude and sign.

    Attributes:
        exponent: magnitudes lie below 2^exponent; None while only zeros were counted.
        counts: int64[8192], from the lowest bin to the highest. Bin 4096 + i counts values in [i, i + 1) * width, bin
            4095 - i those in [-(i + 1), -i) * width, where zero, of either sign, counts as positive.
    """

    def __init__(self, exponent: int | None = None, counts: Counts | None = None) -> None:
        self.exponent = exponent
        self.counts: Counts = np.zeros(2 * BINS, np.int64) if counts is None else counts

    @property
    def width(self) -> float:
        """Of one bin; 0.0 while only zeros were counted."""
        return 0.0 if self.exponent is None else ldexp(1.0, self.exponent - _BITS)

    @property
    def positive(self) -> Counts:
        """int64[4096]: bin i counts values in [i, i + 1) * width, zeros among them."""
        return self.counts[BINS:]

    @property
    def negative(self) -> Counts:
        """int64[4096]: bin i counts values in [-(i + 1), -i) * width, without zero."""
        return self.counts[BINS - 1 :: -1]

    @property
    def magnitudes(self) -> Counts:
        """int64[4096]: both signs together, by magnitude."""
        return self.positive + self.negative

    @property
    def factor(self) -> float:
        """What takes a value to its bin, counted from zero: a power of two."""
        return 1.0 if self.exponent is None else ldexp(1.0, _BITS - self.exponent)

    def grow(self, exponent: int | None) -> None:
        """Widen the range to 2^exponent at least; a smaller one changes nothing."""
        if exponent is None or (self.exponent is not None and exponent <= self.exponent):
            return
        if self.exponent is not None:
            fold = 1 << min(exponent - self.exponent, _BITS)
            kept = self.counts.reshape(-1, fold).sum(axis=1)
            self.counts = np.zeros(2 * BINS, np.int64)
            half = BINS // fold
            self.counts[BINS - half : BINS + half] = kept
        self.exponent = exponent

    def merge(self, other: Histogram) -> None:
        """Add what another histogram counted."""
        self.grow(other.exponent)
        widened = Histogram(other.exponent, other.counts)
        widened.grow(self.exponent)
        self.counts = self.counts + widened.counts

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Histogram):
            return NotImplemented
        return self.exponent == other.exponent and np.array_equal(self.counts, other.counts)

    __hash__ = None  # pyright: ignore[reportAssignmentType]


def exponent_of(magnitude: float) -> int | None:
    """The smallest exponent of a range that holds values up to `magnitude`; None for zero."""
    return max(frexp(magnitude)[1], LOWEST) if magnitude else None
