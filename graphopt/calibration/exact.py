"""Sums of floating-point numbers without rounding, so that order and grouping cannot be told from the result.

A sum is a row of limbs of 32 bits in fixed point, as in Kulisch's accumulator, kept only over the exponents that occur.
Each float64 is cut into three pieces that fit the limbs; carries wait until somebody looks.
"""

from __future__ import annotations

from typing import Any

import numpy as np

Floats = np.ndarray[Any, np.dtype[np.float64]]
Limbs = np.ndarray[Any, np.dtype[np.int64]]

LIMB = 32
_MASK = np.int64((1 << LIMB) - 1)
_FRACTION = 52
"""Bits of a float64 after the first of its mantissa."""

_CARRY_AFTER = 1 << 28
"""Additions after which carries must be settled: each adds less than 2^34 to a limb of 63 bits."""

TOGETHER = 16
"""Additions that wait for each other: one by one they would take ten times as long."""

WAITING = 1 << 18
"""Numbers that wait at most, so that many sums need no more memory than their own."""


class ExactSums:
    """One exact sum for each place of an array.

    Attributes:
        size: how many sums.
        low: the weight of the first limb is 2^(32 * low).
        limbs: int64[size, number of limbs], the least significant first; after `settle` all but the last lie in
            [0, 2^32), and no column at either end can be spared.
    """

    def __init__(self, size: int) -> None:
        self.size = size
        self.low = 0
        self.limbs: Limbs = np.zeros((size, 0), np.int64)
        self._additions = 0
        self._waiting: list[Floats] = []

    @staticmethod
    def of_limbs(low: int, limbs: Limbs) -> ExactSums:
        """Sums as `settle` left them."""
        sums = ExactSums(limbs.shape[0])
        sums.low, sums.limbs = low, limbs
        return sums

    def add(self, values: Floats) -> None:
        """Add a finite number to each sum. `values`: float64[size], which may not be written to any more."""
        self._waiting.append(values)
        if len(self._waiting) == TOGETHER or len(self._waiting) * self.size > WAITING:
            self._take_in()

    def merge(self, other: ExactSums) -> None:
        """Add the sums of another of the same size, place by place."""
        self._take_in()
        other.settle()
        width = other.limbs.shape[1]
        if not width:
            return
        self._make_room(other.low, other.low + width)
        start = other.low - self.low
        self.limbs[:, start : start + width] += other.limbs
        self._count(1)

    def values(self) -> Floats:
        """The sums as float64[size], right to about the last bit."""
        self.settle()
        total = np.zeros(self.size)
        for column in reversed(range(self.limbs.shape[1])):
            total += np.ldexp(self.limbs[:, column].astype(np.float64), LIMB * (self.low + column))
        return total

    def settle(self) -> None:
        """Bring the limbs into the one form that the sums have, however they came about."""
        self._take_in()
        self._carry()
        limbs = self.limbs
        used = np.flatnonzero(limbs.any(axis=0))
        first = int(used[0]) if used.size else limbs.shape[1]
        limbs = limbs[:, first:]
        while limbs.shape[1] > 1 and _spares_last(limbs):
            merged = limbs[:, -2] + (limbs[:, -1] << LIMB)
            limbs = np.concatenate((limbs[:, :-2], merged[:, None]), axis=1)
        self.low = self.low + first if limbs.shape[1] else 0
        self.limbs = np.ascontiguousarray(limbs)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, ExactSums):
            return NotImplemented
        self.settle()
        other.settle()
        return self.low == other.low and np.array_equal(self.limbs, other.limbs)

    __hash__ = None  # pyright: ignore[reportAssignmentType]

    def _take_in(self) -> None:
        """Add what waits to the limbs."""
        if not self._waiting:
            return
        whole, places = _parts(np.stack(self._waiting))
        self._waiting = []
        present = whole != 0
        if not present.any():
            return
        places = np.where(present, places, places[present].min())
        limb, shift = places >> 5, places & (LIMB - 1)
        first, last = int(limb.min()), int(limb.max())
        self._make_room(first, last + 3)
        lower, upper = (whole & _MASK) << shift, (whole >> LIMB) << shift
        pieces = (lower & _MASK, (lower >> LIMB) + (upper & _MASK), upper >> LIMB)
        for place in range(first, last + 1):
            here = limb == place
            for offset, piece in enumerate(pieces):
                self.limbs[:, place - self.low + offset] += np.where(here, piece, 0).sum(axis=0)
        self._count(len(whole))

    def _count(self, additions: int) -> None:
        self._additions += additions
        if self._additions >= _CARRY_AFTER:
            self._carry()

    def _carry(self) -> None:
        """Leave 32 bits in each limb; one column more than before where the last one would overflow."""
        self._additions = 0
        limbs = self.limbs
        for column in range(limbs.shape[1] - 1):
            limbs[:, column + 1] += limbs[:, column] >> LIMB
            limbs[:, column] &= _MASK
        while limbs.shape[1] and (limbs[:, -1] >> (LIMB - 1) != limbs[:, -1] >> 63).any():
            limbs = np.concatenate((limbs, (limbs[:, -1] >> LIMB)[:, None]), axis=1)
            limbs[:, -2] &= _MASK
        self.limbs = limbs

    def _make_room(self, low: int, end: int) -> None:
        """Have limbs from `low` up to `end`."""
        width = self.limbs.shape[1]
        if not width:
            self.low = low
        before, after = max(self.low - low, 0), max(end - self.low - width, 0)
        if before or after:
            self.limbs = np.pad(self.limbs, ((0, 0), (before, after)))
            self.low -= before


def _parts(values: Floats) -> tuple[Limbs, Limbs]:
    """Finite numbers as whole * 2^place, with |whole| < 2^53: their bits, taken apart."""
    bits = values.view(np.int64)
    exponents = (bits >> _FRACTION) & 0x7FF
    whole = (bits & ((1 << _FRACTION) - 1)) | (np.minimum(exponents, 1) << _FRACTION)
    return np.where(bits < 0, -whole, whole), np.maximum(exponents, 1) - (1023 + _FRACTION)


def _spares_last(limbs: Limbs) -> bool:
    """Whether the last limb only repeats the sign of the one before it, in every row."""
    last, previous = limbs[:, -1], limbs[:, -2]
    return bool(((last == 0) & (previous >> (LIMB - 1) == 0) | (last == -1) & (previous >> (LIMB - 1) == 1)).all())
