"""`--trace`: each firing as a JSON line, as it happens, so that a run that does not end well has told what it did."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from graphopt.errors import OutputError

if TYPE_CHECKING:
    from graphopt.rewrite.journal import Firing


@contextmanager
def tracing(path: Path | None) -> Generator[Callable[[Firing], None] | None]:
    """What to call for each firing, or None where no trace is wanted.

    Raises:
        OutputError: the file cannot be written.
    """
    if path is None:
        yield None
    elif str(path) == "-":
        yield _writer(sys.stderr)
    else:
        try:
            stream = path.open("w", encoding="utf-8")
        except OSError as error:
            raise OutputError(f"cannot write the trace {path}: {error.strerror}") from None
        with stream:
            yield _writer(stream)


def _writer(stream: TextIO) -> Callable[[Firing], None]:
    def write(firing: Firing) -> None:
        stream.write(json.dumps(firing.to_json()) + "\n")
        stream.flush()

    return write
