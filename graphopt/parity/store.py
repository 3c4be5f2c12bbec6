"""Arrays kept for later: in memory as far as a limit goes, and then in a temporary folder."""

from __future__ import annotations

import tempfile
from pathlib import Path
from types import TracebackType
from typing import Any, Self, cast

import numpy as np

from graphopt.data.sample import Array

MEMORY_LIMIT = 256 << 20
"""Bytes that are kept in memory."""


class ArrayStore:
    """Takes outputs and inputs (arrays, lists, dicts, None) and gives a stand-in from which each is read again.

    A context manager; the folder is gone with it, also when the process is interrupted.
    """

    def __init__(self, memory_limit: int = MEMORY_LIMIT) -> None:
        self._left = memory_limit
        self._folder: tempfile.TemporaryDirectory[str] | None = None
        self._files = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        if self._folder is not None:
            self._folder.cleanup()
            self._folder = None

    @property
    def folder(self) -> Path:
        """A folder for temporary files, made when first asked for."""
        if self._folder is None:
            self._folder = tempfile.TemporaryDirectory(prefix="graphopt-parity-", ignore_cleanup_errors=True)
        return Path(self._folder.name)

    def keep(self, value: Any) -> Any:
        """The value, its large arrays moved to the disk once the memory limit is reached (they read as usual)."""
        if isinstance(value, np.ndarray):
            return self._keep_array(cast(Array, value))
        if isinstance(value, list):
            return [self.keep(item) for item in value]  # pyright: ignore[reportUnknownVariableType]
        if isinstance(value, dict):
            return {key: self.keep(item) for key, item in value.items()}  # pyright: ignore[reportUnknownVariableType]
        return value

    def _keep_array(self, array: Array) -> Array:
        if array.dtype.kind == "O" or array.nbytes <= self._left or not array.size:
            self._left -= array.nbytes
            return array.copy()
        self._files += 1
        path = self.folder / f"{self._files}.bin"
        np.ascontiguousarray(array).tofile(path)
        return np.memmap(path, array.dtype, "r", shape=array.shape)
