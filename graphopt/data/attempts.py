"""Samples that cannot be read: an error where all are needed, and left out by name and number where they are not."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from graphopt.data.sample import Attempts, DataSource, Sample
from graphopt.errors import DataError


def strict(attempts: Attempts) -> Iterator[Sample]:
    """
    Raises:
        DataError: a sample could not be read; the first one that could not.
    """
    for attempt in attempts:
        if isinstance(attempt, DataError):
            raise attempt
        yield attempt


@dataclass
class Unreadable:
    """A sample that was left out. `name` says which file, and which row of it; `reason` why."""

    name: str
    reason: str


class ReadableSamples:
    """The samples of a source that can be read, the first `most` of them.

    Attributes:
        left_out: the others, of the last time that the samples were iterated.
    """

    def __init__(self, source: DataSource, most: int | None = None) -> None:
        self._source = source
        self._most = most
        self.left_out: list[Unreadable] = []

    @property
    def name(self) -> str:
        return self._source.name

    @property
    def len_hint(self) -> int | None:
        known = self._source.len_hint
        return known if known is None or self._most is None else min(known, self._most)

    def attempts(self) -> Attempts:
        return self._source.attempts()

    def __iter__(self) -> Iterator[Sample]:
        """
        Raises:
            DataError: not one sample can be read; the reason of the first. Or the source cannot go on.
        """
        self.left_out = []
        first: DataError | None = None
        good = 0
        for attempt in self._source.attempts():
            if isinstance(attempt, DataError):
                first = first or attempt
                self.left_out.append(Unreadable(attempt.where or self.name, attempt.message))
            else:
                good += 1
                yield attempt
                if good == self._most:
                    return
        if first is not None and not good:
            raise first
