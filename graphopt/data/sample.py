"""One set of inputs, under the names that the model gives them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from graphopt.errors import DataError

Array = np.ndarray[Any, np.dtype[Any]]

Feed = Array | list[Array] | None
"""A tensor, a sequence of tensors, or an optional that is absent."""

Feeds = dict[str, Feed]


@dataclass(frozen=True)
class Sample:
    """Inputs for one run. `name` says which file, and which row of it, they came from."""

    name: str
    arrays: Feeds

    @property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Shapes of the inputs that are tensors."""
        return {name: value.shape for name, value in self.arrays.items() if isinstance(value, np.ndarray)}


Attempts = Iterator[Sample | DataError]
"""Samples, and in the place of each that cannot be read, or does not fit the model, the reason."""


class DataSource(Protocol):
    """Samples that are read while they are iterated, as often as one likes."""

    @property
    def name(self) -> str:
        """What the user called it."""
        ...

    @property
    def len_hint(self) -> int | None:
        """How many samples there are, where that is known before reading them."""
        ...

    def __iter__(self) -> Iterator[Sample]:
        """
        Raises:
            DataError: a sample cannot be read, or does not fit the model's inputs.
        """
        ...

    def attempts(self) -> Attempts:
        """The same samples, but one that cannot be read does not end them.

        Raises:
            DataError: none can be told apart from another: the file that holds them cannot be read.
        """
        ...
