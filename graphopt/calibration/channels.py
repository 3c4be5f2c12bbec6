"""What is known of each channel of a tensor."""

from __future__ import annotations

from typing import Any

import numpy as np

from graphopt.calibration.exact import ExactSums, Floats

Counts = np.ndarray[Any, np.dtype[np.int64]]


class Channels:
    """Statistics along one axis of a tensor. Arrays have one entry a channel.

    Attributes:
        axis: which axis holds the channels, counted from the first.
        counts: int64, how many values.
        sums, squares: of the values; within a sample in float64, over samples exactly.
        minimum, maximum: float64; inf and -inf while there was no value.
        products: of each pair of channels at the same position, summed like the others: the upper triangle of the
            matrix, row by row. None unless they were asked for.
    """

    def __init__(self, axis: int, size: int, *, products: bool = False) -> None:
        self.axis = axis
        self.products = ExactSums(size * (size + 1) // 2) if products else None
        self.counts: Counts = np.zeros(size, np.int64)
        self.sums = ExactSums(size)
        self.squares = ExactSums(size)
        self.minimum: Floats = np.full(size, np.inf)
        self.maximum: Floats = np.full(size, -np.inf)

    @property
    def size(self) -> int:
        return len(self.counts)

    @property
    def mean(self) -> Floats:
        """0.0 for a channel without values."""
        return self.sums.values() / np.maximum(self.counts, 1)

    @property
    def variance(self) -> Floats:
        """Of the population: the mean square less the squared mean."""
        return np.maximum(self.squares.values() / np.maximum(self.counts, 1) - self.mean**2, 0.0)

    @property
    def absmax(self) -> Floats:
        """The largest magnitude; 0.0 for a channel without values."""
        return np.where(self.counts > 0, np.maximum(np.abs(self.minimum), np.abs(self.maximum)), 0.0)

    @property
    def covariance(self) -> Floats | None:
        """float64[size, size], of the population; None where products were not asked for.

        Values that were not finite count as zero in it.
        """
        if self.products is None:
            return None
        rows, columns = np.triu_indices(self.size)
        moments = np.zeros((self.size, self.size))
        moments[rows, columns] = moments[columns, rows] = self.products.values()
        mean = self.mean
        return moments / max(int(self.counts.max(initial=0)), 1) - np.outer(mean, mean)

    def merge(self, other: Channels) -> None:
        """Add what other samples held in the same channels; products are kept where both have them."""
        if self.products is not None and other.products is not None:
            self.products.merge(other.products)
        else:
            self.products = None
        self.counts += other.counts
        self.sums.merge(other.sums)
        self.squares.merge(other.squares)
        np.minimum(self.minimum, other.minimum, out=self.minimum)
        np.maximum(self.maximum, other.maximum, out=self.maximum)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Channels):
            return NotImplemented
        return (
            self.axis == other.axis
            and np.array_equal(self.counts, other.counts)
            and self.sums == other.sums
            and self.squares == other.squares
            and np.array_equal(self.minimum, other.minimum)
            and np.array_equal(self.maximum, other.maximum)
            and self.products == other.products
        )

    __hash__ = None  # pyright: ignore[reportAssignmentType]
