"""The scale of each tensor: made of its statistics when somebody asks for it, given, or shared by a group."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np

from graphopt.calibration.levels import LEVELS
from graphopt.calibration.statistics import Statistics, TensorStatistics
from graphopt.calibration.thresholds import threshold
from graphopt.errors import UsageError

SMALLEST_SCALE = 2.0**-126
"""The smallest normal float32: below, dividing by a scale loses bits, or gives infinity."""


@dataclass(frozen=True)
class Range:
    """How far one tensor reaches.

    Attributes:
        threshold: the magnitude beyond which it is cut off; 0.0 for a tensor of zeros.
        origin: where that came from, in a few words.
    """

    threshold: float
    origin: str

    @property
    def scale(self) -> float:
        """Of symmetric int8: exactly a float32. 1.0 for a tensor of zeros, which any scale represents."""
        return scale_of(self.threshold)


def scale_of(threshold: float, levels: int = LEVELS) -> float:
    """threshold / levels as a float32, no smaller than the least normal one; 1.0 for threshold 0.0."""
    return float(np.float32(max(threshold / levels, SMALLEST_SCALE))) if threshold else 1.0


class Ranges:
    """Ranges of tensors by name, from statistics and one method.

    Thresholds are computed when they are first asked for, so that only tensors that are quantized cost anything, or
    are refused for the NaN that they held.
    """

    def __init__(self, statistics: Statistics, method: str, *, percentile: float = 99.99) -> None:
        self.statistics = statistics
        self.method = method
        self.percentile = percentile
        self._found: dict[str, Range] = {}
        self._given: set[str] = set()
        self._groups: dict[str, tuple[str, ...]] = {}
        self._limits: dict[tuple[tuple[str, ...], int], float] = {}

    def __getitem__(self, name: str) -> Range:
        """
        Raises:
            KeyError: nothing is known of the tensor.
            DataError: it held NaN or infinite values.
        """
        if name not in self._found:
            group = self._groups.get(name, (name,))
            found = self._compute(group)
            self._found |= dict.fromkeys(group, found)
        return self._found[name]

    def has(self, name: str) -> bool:
        """Whether there is a scale for this tensor."""
        return name in self._found or name in self.statistics

    def scale(self, name: str) -> float | None:
        """The scale of symmetric int8 for a tensor, None where nothing is known of it.

        Raises:
            DataError: it held NaN or infinite values.
        """
        return self[name].scale if self.has(name) else None

    def bounds(self, name: str) -> tuple[float, float]:
        """The least and the largest value that 256 levels with a zero point keep; zero lies between them.

        The threshold is told anew, for the levels that the side with the larger values then has: 255 where the other
        one is empty, 127 where both are alike. A threshold that was given stays.

        Raises:
            KeyError: there are no statistics of the tensor.
            DataError: it held NaN or infinite values.
        """
        group = self._groups.get(name, (name,))
        subject = self._subject(group)
        low, high = min(subject.minimum, 0.0), max(subject.maximum, 0.0)
        if name in self._given:
            limit = self[name].threshold
        else:
            levels = int(255 * subject.absmax / (high - low)) if high > low else LEVELS
            limit = self._limits.get((group, levels))
            if limit is None:
                limit = threshold(subject, self.method, percentile=self.percentile, levels=levels)
                self._limits[group, levels] = limit
        return max(low, -limit), min(high, limit)

    def give(self, thresholds: Mapping[str, float], origin: str) -> None:
        """Set thresholds of tensors; `origin` says who did. What shared a scale with them keeps the one that it had.

        Raises:
            UsageError: one is negative, infinite or NaN.
        """
        for name, value in thresholds.items():
            if not 0 <= value < float("inf"):
                raise UsageError(f"{value} is no threshold", where=f"tensor {name!r}", help="give a positive number")
        self._found |= {name: Range(float(value), origin) for name, value in thresholds.items()}
        self._given |= thresholds.keys()

    def share(self, names: Iterable[str]) -> None:
        """Have these tensors share one scale, told from the values of all of them together.

        Groups that have a tensor in common become one.

        Raises:
            KeyError: there are no statistics of one of them.
        """
        joined = dict.fromkeys(names)
        for name in list(joined):
            joined |= dict.fromkeys(self._groups.get(name, ()))
        for name in joined:
            _ = self.statistics[name]
            self._groups[name] = tuple(joined)
            self._found.pop(name, None)
            self._given.discard(name)

    def _compute(self, group: tuple[str, ...]) -> Range:
        how = f"{self.method} {self.percentile:g}" if self.method == "percentile" else self.method
        origin = how if len(group) == 1 else f"{how} of {', '.join(group)}"
        return Range(threshold(self._subject(group), self.method, percentile=self.percentile), origin)

    def _subject(self, group: tuple[str, ...]) -> TensorStatistics:
        tensors = [self.statistics[name] for name in group]
        return tensors[0] if len(group) == 1 else _together(tensors)


def _together(tensors: Iterable[TensorStatistics]) -> TensorStatistics:
    """The values of several tensors as those of one; the name of the first that was not finite, if any."""
    whole = TensorStatistics("")
    for tensor in tensors:
        tensor.refuse_not_finite()
        part = TensorStatistics(
            tensor.name, tensor.count, tensor.zeros, tensor.minimum, tensor.maximum, tensor.histogram
        )
        whole.merge(part)
    return whole
