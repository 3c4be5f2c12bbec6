"""What calibration knows of a model's tensors. Every figure is the same however the samples were ordered or sharded."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from graphopt.calibration.channels import Channels
from graphopt.calibration.histogram import Histogram
from graphopt.errors import DataError


@dataclass
class TensorStatistics:
    """One tensor over all samples.

    Attributes:
        name: of the tensor.
        count: finite values.
        zeros: how many of them are zero.
        minimum, maximum: of the finite values; inf and -inf while there was none.
        histogram: of the finite values.
        channels: along the axis that the tensor's readers take for channels; None where there is no such axis, or
            where its size varies from sample to sample.
        not_finite: how many values were NaN or infinite.
        not_finite_in: the sample that held some, the first by name.
    """

    name: str
    count: int = 0
    zeros: int = 0
    minimum: float = float("inf")
    maximum: float = float("-inf")
    histogram: Histogram = field(default_factory=Histogram)
    channels: Channels | None = None
    not_finite: int = 0
    not_finite_in: str | None = None

    @property
    def absmax(self) -> float:
        """The largest magnitude; 0.0 where nothing was counted."""
        return max(abs(self.minimum), abs(self.maximum)) if self.count else 0.0

    def figures(self) -> dict[str, Any]:
        """What is one number, or one name, by its attribute; JSON-able."""
        return {
            "name": self.name,
            "count": self.count,
            "zeros": self.zeros,
            "minimum": self.minimum if self.count else None,
            "maximum": self.maximum if self.count else None,
            "not_finite": self.not_finite,
            "not_finite_in": self.not_finite_in,
        }

    def merge(self, other: TensorStatistics) -> None:
        """Add what other samples held."""
        self.channels = merged_channels(self, other)
        self.count += other.count
        self.zeros += other.zeros
        self.minimum = min(self.minimum, other.minimum)
        self.maximum = max(self.maximum, other.maximum)
        self.histogram.merge(other.histogram)
        self.not_finite += other.not_finite
        self.not_finite_in = first_name(self.not_finite_in, other.not_finite_in)

    def refuse_not_finite(self) -> None:
        """
        Raises:
            DataError: some values were NaN or infinite, so that no scale can be told.
        """
        if self.not_finite:
            values = "value that is" if self.not_finite == 1 else "values that are"
            raise DataError(
                f"tensor {self.name!r} holds {self.not_finite} {values} NaN or infinite",
                where=self.not_finite_in,
                help="leave the sample out, or keep what computes the tensor in floating point",
            )


class Statistics(Mapping[str, TensorStatistics]):
    """Statistics of tensors by name.

    Attributes:
        samples: how many samples were counted.
        model: digest of the graph that they ran through, see `graphopt.calibration.digest`.
    """

    def __init__(self, model: str, tensors: Mapping[str, TensorStatistics] | None = None, samples: int = 0) -> None:
        self.model = model
        self.samples = samples
        self._tensors: dict[str, TensorStatistics] = dict(tensors or {})

    def __getitem__(self, name: str) -> TensorStatistics:
        return self._tensors[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._tensors)

    def __len__(self) -> int:
        return len(self._tensors)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Statistics):
            return NotImplemented
        return (self.model, self.samples, self._tensors) == (other.model, other.samples, other._tensors)

    __hash__ = None  # pyright: ignore[reportAssignmentType]

    @staticmethod
    def load(path: Path) -> Statistics:
        """
        Raises:
            DataError: the file cannot be read, or is no file of statistics.
        """
        from graphopt.calibration.file import load_statistics

        return load_statistics(path)

    def save(self, path: Path) -> None:
        """Write a file, whole or not at all; equal statistics give equal bytes.

        Raises:
            OutputError: the file cannot be written.
        """
        from graphopt.calibration.file import save_statistics

        save_statistics(self, path)

    def merge(self, other: Statistics) -> None:
        """Add the statistics of other samples of the same model.

        Raises:
            DataError: they are of another model, or of other tensors.
        """
        if other.model != self.model:
            raise DataError(
                "these statistics are of different models", help="merge only what was collected on one and the same"
            )
        if other.keys() != self.keys():
            name = min(other.keys() ^ self.keys())
            raise DataError(
                f"these statistics are of different tensors: {name!r} is in one only",
                help="collect both with the same choice of tensors",
            )
        for name, tensor in self._tensors.items():
            tensor.merge(other[name])
        self.samples += other.samples


def merged_channels(one: TensorStatistics, two: TensorStatistics) -> Channels | None:
    """The channels of both; those of one where the other saw no value at all."""
    first, second = one.channels, two.channels
    if _is_fresh(one) or _is_fresh(two):
        return second if _is_fresh(one) else first
    if first is None or second is None or (first.axis, first.size) != (second.axis, second.size):
        return None
    first.merge(second)
    return first


def _is_fresh(tensor: TensorStatistics) -> bool:
    return tensor.count == 0 and tensor.not_finite == 0


def first_name(one: str | None, two: str | None) -> str | None:
    """The first by the alphabet of two names that may be lacking."""
    return min((name for name in (one, two) if name is not None), default=None)
