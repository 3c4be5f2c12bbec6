"""What was found before, by content: a run that is interrupted, or comes again, does only what is missing."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

Found = dict[str, Any]


class NotKept(Exception):
    """Something was not found before, and nothing new is to be found."""


class Store:
    """A folder with one folder for each thing found, named by a digest of what it depends on.

    Args:
        frozen: give what is there, and find nothing new.
    """

    def __init__(self, folder: Path, *, frozen: bool = False) -> None:
        self._folder, self.frozen = folder, frozen
        folder.mkdir(parents=True, exist_ok=True)

    def find(self, *parts: object) -> Found | None:
        """What was kept for these parts, if it was."""
        try:
            return json.loads((self.place(*parts) / "found.json").read_text("utf-8"))
        except FileNotFoundError:
            return None

    def place(self, *parts: object) -> Path:
        """The folder that holds, or would hold, what was kept for these parts."""
        text = json.dumps(parts, sort_keys=True, default=str)
        return self._folder / hashlib.sha256(text.encode()).hexdigest()[:32]

    def make(self, parts: tuple[object, ...], work: Callable[[Path], Mapping[str, Any]]) -> Found:
        """Have something found, and keep it with the files that `work` leaves in the folder it is given.

        Nothing is kept of work that is interrupted or fails.

        Raises:
            NotKept: the store is frozen.
        """
        if self.frozen:
            raise NotKept
        scratch = Path(tempfile.mkdtemp(prefix=".making-", dir=self._folder))
        try:
            found = dict(work(scratch))
            (scratch / "found.json").write_text(json.dumps(found, indent=2), "utf-8")
            place = self.place(*parts)
            shutil.rmtree(place, ignore_errors=True)
            os.rename(scratch, place)
        finally:
            shutil.rmtree(scratch, ignore_errors=True)
        return found


def files_of(model: Path) -> list[Path]:
    """A model file, and the data file beside it where there is one."""
    return [file for file in (model, model.with_name(model.name + ".data")) if file.is_file()]


def size_of(model: Path) -> int:
    """Bytes of all its files."""
    return sum(file.stat().st_size for file in files_of(model))


@cache
def digest(model: Path) -> str:
    """Of all its files."""
    total = hashlib.sha256()
    for file in files_of(model):
        with open(file, "rb") as stream:
            total.update(hashlib.file_digest(stream, "sha256").digest())
    return total.hexdigest()
