"""Samples in numpy's own files: .npy and .npz. Pickled objects are never loaded."""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from graphopt.data.attempts import strict
from graphopt.data.fit import try_fit
from graphopt.data.folder import SampleFolder
from graphopt.data.sample import Array, Attempts, Sample
from graphopt.errors import DataError
from graphopt.graph.interface import Interface

SUFFIXES = (".npz", ".npy")

UNREADABLE = (
    OSError,
    EOFError,
    ValueError,
    KeyError,
    SyntaxError,
    MemoryError,
    NotImplementedError,
    RuntimeError,
    zipfile.BadZipFile,
    zlib.error,
)
"""What numpy and zipfile raise for a file that is cut short, garbled, encrypted, or of another kind."""


@dataclass(frozen=True)
class ArrayFile:
    """A .npz (arrays by input name) or a .npy (for a model with one input): one sample, or a stack of them.

    It is a stack when every array has exactly one dimension more than the model's input has, and all have the same
    length there.
    """

    path: Path
    interface: Interface

    @property
    def name(self) -> str:
        return str(self.path)

    @property
    def len_hint(self) -> int | None:
        return None

    def __iter__(self) -> Iterator[Sample]:
        return strict(self.attempts())

    def attempts(self) -> Attempts:
        arrays = read_arrays(self.path, self.interface)
        length = _stack_length(arrays, self.interface)
        if length is None:
            yield try_fit(self.name, arrays, self.interface)
            return
        if length == 0:
            raise DataError("the file holds a stack of no samples", where=self.name)
        for row in range(length):
            rows = {key: array[row] for key, array in arrays.items()}
            yield try_fit(f"{self.name}[{row}]", rows, self.interface)


def has_arrays(folder: Path) -> bool:
    """Whether there is a .npz or .npy file in a folder; not where it cannot be listed."""
    try:
        return any(f.suffix.lower() in SUFFIXES for f in folder.iterdir())
    except OSError:
        return False


def open_folder(path: Path, interface: Interface) -> SampleFolder:
    """The .npz and .npy files of a folder, one sample each, in the order of their names.

    Raises:
        DataError: the folder cannot be listed, or holds no sample.
    """
    try:
        files = sorted((f for f in path.iterdir() if f.suffix.lower() in SUFFIXES), key=lambda f: f.name)
    except OSError as error:
        raise DataError(f"cannot list the folder {path}: {error.strerror}") from None
    if not files:
        raise DataError(
            f"there is no .npz or .npy file in the folder {path}, and no picture",
            help="put one file a sample into it",
        )
    return SampleFolder(path, interface, tuple(files), partial(read_arrays, interface=interface))


def read_arrays(path: Path, interface: Interface) -> dict[str, Array]:
    """The arrays of a file by input name.

    Raises:
        DataError: the file cannot be read, holds Python objects, or is a .npy and the model has several inputs.
    """
    try:
        if path.suffix.lower() == ".npy":
            return {_only_input(path, interface): np.load(path, mmap_mode="r", allow_pickle=False)}
        with path.open("rb") as stream:
            loaded = np.load(stream, allow_pickle=False)
            if isinstance(loaded, np.ndarray):
                return {_only_input(path, interface): loaded}
            return {key: loaded[key] for key in loaded.files}
    except UNREADABLE as error:
        raise _refusal(path, error) from None


def _refusal(path: Path, error: BaseException) -> DataError:
    if "allow_pickle" in str(error) or "Python objects" in str(error):
        return DataError(
            "the file holds Python objects, which are never loaded, or is no numpy file",
            where=str(path),
            help="write plain arrays with numpy.save or numpy.savez; text as an array of type 'U'",
        )
    reason = error.strerror if isinstance(error, OSError) and error.strerror else "it is cut short or garbled"
    return DataError(f"the sample cannot be read: {reason}", where=str(path), help="write the file again")


def _only_input(path: Path, interface: Interface) -> str:
    if len(interface.inputs) != 1:
        names = ", ".join(repr(i.name) for i in interface.inputs) or "none"
        raise DataError(
            f"a .npy file feeds a model with one input, and this one has {len(interface.inputs)}",
            where=str(path),
            help=f"write .npz files with an array for each input: {names}",
        )
    return interface.inputs[0].name


def _stack_length(arrays: Mapping[str, Array], interface: Interface) -> int | None:
    ranks = {s.name: len(s.shape) for s in (*interface.inputs, *interface.optional) if s.shape is not None}
    if not arrays or any(array.ndim - ranks.get(name, array.ndim) != 1 for name, array in arrays.items()):
        return None
    lengths = {array.shape[0] for array in arrays.values()}
    return lengths.pop() if len(lengths) == 1 else None
