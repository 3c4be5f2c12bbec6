"""What verbs write to the terminal with: results to stdout, progress to stderr, one JSON document instead if asked."""

from __future__ import annotations

import json
import sys
import threading
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from graphopt.progress import SILENT, Progress, Task
from graphopt.report.text import printable

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress as Bars

PATIENCE = 0.5
"""Seconds after which work is worth a progress bar."""

WIDTH = 120
"""Columns of a table where stdout is no terminal, so that pipes and logs get whole lines."""


class _Output:
    """Of the run under way: whether stdout is for one JSON document, and whether that was written."""

    json = False
    written = False


@contextmanager
def output_of_run(*, json: bool) -> Generator[None]:
    """For as long as one command line runs: whether stdout is for one JSON document."""
    before = _Output.json, _Output.written
    _Output.json, _Output.written = json, False
    try:
        yield
    finally:
        _Output.json, _Output.written = before


def wants_json() -> bool:
    """Whether stdout is for one JSON document that has not been written yet."""
    return _Output.json and not _Output.written


def emit(document: Mapping[str, Any]) -> None:
    """Write the one JSON document of a run. Numbers that JSON lacks (NaN, infinity) must not be in it."""
    _Output.written = True
    sys.stdout.write(json.dumps(document, indent=2, allow_nan=False) + "\n")


def console() -> Console:
    """A rich console on stdout."""
    from graphopt.report.tables import PlainConsole

    return PlainConsole(sys.stdout, width=None if sys.stdout.isatty() else WIDTH)


def progress() -> Progress:
    """Progress bars on stderr; silent where that is no terminal, and where stdout is for JSON."""
    return SILENT if _Output.json or not sys.stderr.isatty() else TerminalProgress()


class TerminalProgress:
    """Bars that appear once work has taken a while, and leave no trace."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._bars: Bars | None = None
        self._timer: threading.Timer | None = None
        self._open = 0

    @contextmanager
    def task(self, title: str, total: int | None = None) -> Generator[Task]:
        """Show a task for as long as the block runs; tasks may nest."""
        bars = self._enter()
        number = bars.add_task(printable(title), total=total, note="")
        try:
            yield _BarTask(bars, number)
        finally:
            bars.remove_task(number)
            self._leave()

    def _enter(self) -> Bars:
        with self._lock:
            self._open += 1
            if self._bars is None:
                self._bars = _bars()
                self._timer = threading.Timer(PATIENCE, self._show, (self._bars,))
                self._timer.daemon = True
                self._timer.start()
            return self._bars

    def _show(self, bars: Bars) -> None:
        with self._lock:
            if self._bars is bars:
                bars.start()

    def _leave(self) -> None:
        with self._lock:
            self._open -= 1
            if self._open:
                return
            bars, self._bars = self._bars, None
            if self._timer is not None:
                self._timer.cancel()
            if bars is not None:
                bars.stop()


class _BarTask:
    def __init__(self, bars: Bars, number: Any) -> None:
        self._bars = bars
        self._number = number

    def update(self, done: int | None = None, total: int | None = None, note: str | None = None) -> None:
        self._bars.update(self._number, completed=done, total=total)
        if note is not None:
            self._bars.update(self._number, note=printable(note))


def _bars() -> Bars:
    from rich.progress import BarColumn, SpinnerColumn, TextColumn, TimeElapsedColumn
    from rich.progress import Progress as Bars

    from graphopt.report.tables import PlainConsole

    return Bars(
        SpinnerColumn(),
        TextColumn("{task.description}", markup=False),
        BarColumn(bar_width=24),
        TextColumn("{task.fields[note]}", markup=False),
        TimeElapsedColumn(),
        console=PlainConsole(sys.stderr),
        transient=True,
        # Bars start in a thread of their own: to replace sys.stdout there would undo what catches an exporter's noise.
        redirect_stdout=False,
        redirect_stderr=False,
    )
