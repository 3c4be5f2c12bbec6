"""A program that builds a slow model, for the tests that interrupt it: `python -m tests.backends.building OUT`.

It prints the builder's process id once the builder optimizes, and "interrupted" when Ctrl-C reached it.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from graphopt.backends.base import BuildRequest
from graphopt.backends.tensorrt import TensorRT
from tests.backends import models


def builder_id() -> int:
    """The process id of this thread's only child."""
    (number,) = Path(f"/proc/self/task/{threading.get_native_id()}/children").read_text().split()
    return int(number)


class Told:
    """A progress that calls a function once, when the builder is in the middle of its work."""

    def __init__(self, act: object) -> None:
        self.act = act

    @contextmanager
    def task(self, title: str, total: int | None = None) -> Iterator[Told]:
        yield self

    def update(self, done: int | None = None, total: int | None = None, note: str | None = None) -> None:
        if note is not None and note.startswith("Optimizing graph") and callable(self.act):
            self.act()
            self.act = None


def main() -> None:
    try:
        TensorRT("tensorrt-rtx").build(
            BuildRequest(models.slow(), Path(sys.argv[1])), Told(lambda: print(builder_id(), flush=True))
        )
    except KeyboardInterrupt:
        print("interrupted", flush=True)


if __name__ == "__main__":
    main()
