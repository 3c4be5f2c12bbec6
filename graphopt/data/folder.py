"""Folders of files with one sample each."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from graphopt.data.attempts import strict
from graphopt.data.fit import try_fit
from graphopt.data.sample import Array, Attempts, Sample
from graphopt.errors import DataError
from graphopt.graph.interface import Interface


@dataclass(frozen=True)
class SampleFolder:
    """
    Attributes:
        files: below the folder, in the order of the samples.
        read: the arrays of a file by input name; raises DataError for one that cannot be read.
    """

    path: Path
    interface: Interface
    files: tuple[Path, ...]
    read: Callable[[Path], Mapping[str, Array]]

    @property
    def name(self) -> str:
        return str(self.path)

    @property
    def len_hint(self) -> int | None:
        return len(self.files)

    def __iter__(self) -> Iterator[Sample]:
        return strict(self.attempts())

    def attempts(self) -> Attempts:
        for file in self.files:
            try:
                arrays = self.read(file)
            except DataError as error:
                yield error
                continue
            yield try_fit(str(file), arrays, self.interface)
