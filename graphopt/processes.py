"""Work in processes of their own: native code that dies, hangs or eats the memory costs one item, and no other."""

from __future__ import annotations

import multiprocessing
import os
import signal
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any, Generic, TypeVar

T = TypeVar("T")
R = TypeVar("R")

Say = Callable[[str], None]
"""Hears what a worker is about to do, so that its death can be told from where it happened."""

Work = Callable[[T, Say], R]
"""A function of a module: what is done with an item."""

PATIENCE = 0.5
"""Seconds between two looks at the memory of workers."""


@dataclass(frozen=True)
class Lost:
    """An item whose process did not come back.

    Attributes:
        reason: in a sentence.
        phase: what it had said last.
        seconds: since it was given to its process.
    """

    reason: str
    phase: str
    seconds: float = field(default=0.0, compare=False)


@dataclass(frozen=True)
class _Failure:
    text: str


@dataclass(frozen=True)
class _Said:
    text: str


class _Worker(Generic[T]):
    def __init__(self, work: Work[T, Any]) -> None:
        context = multiprocessing.get_context("spawn")  # ONNX Runtime's threads do not survive a fork
        self.connection, theirs = context.Pipe()
        self.process: BaseProcess = context.Process(target=_serve, args=(theirs, work), daemon=True)
        self.process.start()
        theirs.close()
        self.items: list[T] = []
        self.phase = ""
        self.started = time.monotonic()

    def give(self, item: T) -> None:
        self.items, self.phase, self.started = [item], "", time.monotonic()
        self.connection.send(item)

    def end(self) -> None:
        self.process.kill()
        self.process.join()
        self.connection.close()


def in_processes(
    items: Iterable[T], work: Work[T, R], *, jobs: int = 1, seconds: float = 600.0, memory: int | None = None
) -> Iterator[tuple[T, R | Lost]]:
    """Do work on items, each in one of as many processes, and give each result as it is there.

    Ending the iteration ends them.

    Args:
        work: a function that a new process can import; items and results must be picklable.
        seconds: after which an item counts as hanging.
        memory: bytes that one process may hold, where the system tells.
    """
    pending = deque(items)
    workers = [_Worker[T](work) for _ in range(min(jobs, len(pending)))]
    try:
        for worker in workers:
            worker.give(pending.popleft())
        while busy := [w for w in workers if w.items]:
            wait([w.connection for w in busy], timeout=PATIENCE)
            for worker in busy:
                heard: tuple[R | Lost] | None = _heard(worker, seconds, memory)
                if heard is None:
                    continue
                (found,) = heard
                yield worker.items[0], found
                worker.items = []
                if isinstance(found, Lost):
                    worker.end()
                    if pending:
                        workers[workers.index(worker)] = worker = _Worker[T](work)
                if pending:
                    worker.give(pending.popleft())
    finally:
        for worker in workers:
            worker.end()


def _heard(worker: _Worker[Any], seconds: float, memory: int | None) -> tuple[Any] | None:
    """What a worker made of its item, if it is there; it may be None itself."""
    lasted = time.monotonic() - worker.started
    try:
        while worker.connection.poll():
            said: Any = worker.connection.recv()
            if isinstance(said, _Failure):
                return (Lost(said.text, worker.phase, lasted),)
            if not isinstance(said, _Said):
                return (said,)
            worker.phase = said.text
    except (EOFError, ConnectionError):
        worker.process.join()
        return (Lost(f"the process died with {worker.process.exitcode}", worker.phase, lasted),)
    if lasted > seconds:
        worker.process.kill()
        return (Lost(f"it did not come back within {seconds:g} s", worker.phase, lasted),)
    held = _resident(worker.process.pid)
    if memory is not None and held is not None and held > memory:
        worker.process.kill()
        return (Lost(f"it took more than {memory / 2**20:.0f} MB of memory", worker.phase, lasted),)
    return None


def _resident(pid: int | None) -> int | None:
    """Bytes that a process holds in memory; None where the system does not tell."""
    try:
        pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    except (OSError, ValueError, IndexError):
        return None
    return pages * os.sysconf("SC_PAGE_SIZE")


def _serve(connection: Connection, work: Work[Any, Any]) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the one who started us sees to it
    while True:
        try:
            item = connection.recv()
        except (EOFError, OSError):
            return
        try:
            answer: Any = work(item, lambda text: connection.send(_Said(text)))
        except Exception as error:  # a bug: it costs this item its result, and no other
            answer = _Failure(f"{type(error).__name__}: {error}")
        connection.send(answer)
