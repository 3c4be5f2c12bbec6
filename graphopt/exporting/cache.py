"""Exports kept by content: an entry is there whole or not at all, and is checked each time it is read."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from graphopt.graph.digest import sha256_of

MODEL = "model.onnx"
RECORD = "entry.json"
FILES = (MODEL, f"{MODEL}.data")
ABANDONED = 86_400.0
"""Seconds after which a half-written entry was left by a process that is dead."""


class Damaged(Exception):
    """An entry is not what was written."""


@dataclass(frozen=True)
class Entry:
    """An export in the cache: its model, and the record that was kept with it."""

    model: Path
    record: Mapping[str, Any]


class Cache:
    """Entries below `root`/exports. Any number of processes may read and write at once."""

    def __init__(self, root: Path) -> None:
        self._folder = root / "exports"

    def find(self, key: str) -> Entry | None:
        """The entry of that key, if there is one.

        Raises:
            Damaged: there is, and it is not what was written.
        """
        folder = self._folder / key
        try:
            kept = json.loads((folder / RECORD).read_bytes())
            if MODEL not in kept["files"]:
                raise Damaged(f"{key} names no model")
            for name, digest in kept["files"].items():
                if name not in FILES or sha256_of(folder / name) != digest:
                    raise Damaged(f"{name} of {key} has other content than was written")
            return Entry(folder / MODEL, cast("dict[str, Any]", kept["record"]))
        except (FileNotFoundError, NotADirectoryError):
            if folder.exists():
                raise Damaged(f"{key} lacks files") from None
            return None
        except OSError as error:
            raise Damaged(f"{key} cannot be read: {error.strerror}") from error
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise Damaged(f"the record of {key} is no record") from error

    def put(self, key: str, model: Path, record: Mapping[str, Any]) -> None:
        """Keep a model, and the data beside it, unless there is an entry of that key.

        Raises:
            OSError: the folder cannot be written, or the disk is full.
        """
        self._folder.mkdir(parents=True, exist_ok=True)
        self._sweep()
        staged = Path(tempfile.mkdtemp(prefix=".new-", dir=self._folder))
        try:
            files: dict[str, str] = {}
            for name in FILES:
                source = model.with_name(name)
                if source.exists():
                    shutil.copyfile(source, staged / name)
                    files[name] = sha256_of(staged / name)
            text = json.dumps({"files": files, "record": record}, sort_keys=True, indent=1)
            (staged / RECORD).write_text(text, encoding="utf-8")
            for name in (*files, RECORD):
                _settle(staged / name)
            self._place(staged, self._folder / key)
        finally:
            shutil.rmtree(staged, ignore_errors=True)

    def drop(self, key: str) -> None:
        """Take an entry out, in one step for those who read."""
        away = Path(tempfile.mkdtemp(prefix=".old-", dir=self._folder))
        with contextlib.suppress(OSError):
            os.rename(self._folder / key, away / key)
        shutil.rmtree(away, ignore_errors=True)

    def _place(self, staged: Path, folder: Path) -> None:
        try:
            os.rename(staged, folder)
        except OSError:
            if not folder.exists():
                raise
            # Another process was quicker, and its entry is as good.

    def _sweep(self) -> None:
        for left in self._folder.glob(".*-*"):
            with contextlib.suppress(OSError):
                if time.time() - left.stat().st_mtime > ABANDONED:
                    shutil.rmtree(left, ignore_errors=True)


def _settle(path: Path) -> None:
    with path.open("rb") as file:
        os.fsync(file.fileno())
