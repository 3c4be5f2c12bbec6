"""How long work tells of itself. The caller chooses what shows it; the library never prints."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from typing import Protocol


class Task(Protocol):
    """One piece of work under way."""

    def update(self, done: int | None = None, total: int | None = None, note: str | None = None) -> None:
        """Set what is done so far, of how much (None: not known), and a few words of detail."""
        ...


class Progress(Protocol):
    """What shows tasks: a terminal, a notebook, or nothing."""

    @contextmanager
    def task(self, title: str, total: int | None = None) -> Generator[Task]:
        """Show a task for as long as the block runs."""
        ...


class _SilentTask:
    def update(self, done: int | None = None, total: int | None = None, note: str | None = None) -> None:
        return None


class SilentProgress:
    """Shows nothing."""

    @contextmanager
    def task(self, title: str, total: int | None = None) -> Generator[Task]:
        yield _SilentTask()


SILENT: Progress = SilentProgress()
