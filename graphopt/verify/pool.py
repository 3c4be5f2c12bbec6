"""Many tasks at once, each in a process of its own pool: native code that hangs or dies costs one task its answer."""

from __future__ import annotations

import multiprocessing
import signal
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from typing import Any, Generic, TypeVar

Task = TypeVar("Task")
Answer = TypeVar("Answer")

LIMIT = 600.0
"""Seconds after which one task counts as hanging."""


@dataclass(frozen=True)
class Lost:
    """What stands in for the answer of a task whose process died, or hung, or failed: why, and after how many
    seconds."""

    note: str
    seconds: float


@dataclass
class _Worker(Generic[Task]):
    process: BaseProcess
    connection: Connection
    task: Task
    started: float


def in_processes(
    tasks: Sequence[Task], function: Callable[[Task], Answer], *, jobs: int = 1, limit: float = LIMIT
) -> Iterator[tuple[Task, Answer | Lost]]:
    """Call a function on each task in as many processes, and give each answer as it is there. Ending the iteration
    ends the processes.

    Args:
        function: one that other processes can import by its name, or a partial of one.
        limit: seconds after which a task is given up.
    """
    pending = deque(tasks)
    workers: list[_Worker[Task]] = []
    idle: list[tuple[BaseProcess, Connection]] = []
    try:
        while pending or workers:
            while pending and len(workers) < jobs:
                process, connection = idle.pop() if idle else _start(function)
                task = pending.popleft()
                connection.send(task)
                workers.append(_Worker(process, connection, task, time.monotonic()))
            wait([w.connection for w in workers], timeout=1.0)
            for worker in list(workers):
                found = _received(worker, limit)
                if found is None:
                    continue
                workers.remove(worker)
                if worker.process.is_alive():
                    idle.append((worker.process, worker.connection))
                else:
                    worker.connection.close()
                yield worker.task, found[0]
    finally:
        for process, connection in [*idle, *((w.process, w.connection) for w in workers)]:
            process.kill()
            process.join()
            connection.close()


def _start(function: Callable[[Any], Any]) -> tuple[BaseProcess, Connection]:
    context = multiprocessing.get_context("spawn")  # ONNX Runtime's threads do not survive a fork
    ours, theirs = context.Pipe()
    process = context.Process(target=_work, args=(theirs, function), daemon=True)
    process.start()
    theirs.close()
    return process, ours


def _received(worker: _Worker[Any], limit: float) -> tuple[Any] | None:
    """The answer of a worker, if it is there; of one that died or hangs, that it did."""
    seconds = time.monotonic() - worker.started
    try:
        if worker.connection.poll():
            answer, failure = worker.connection.recv()
            return (answer if failure is None else Lost(f"verification itself failed: {failure}", seconds),)
    except (EOFError, ConnectionError):
        worker.process.join()
        return (Lost(f"the process that verified it died with {worker.process.exitcode}", seconds),)
    if seconds > limit:
        worker.process.kill()
        worker.process.join()
        return (Lost(f"a runtime did not come back within {limit:g} s", seconds),)
    return None


def _work(connection: Connection, function: Callable[[Any], Any]) -> None:
    """Answer what comes until nothing comes any more."""
    from graphopt.rewrite.library import installed_files

    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the one who started us sees to it
    installed_files()  # importing the packages that bring rules registers their functions
    while True:
        try:
            task = connection.recv()
        except (EOFError, OSError):
            return
        try:
            found: tuple[Any, str | None] = function(task), None
        except Exception as error:
            found = None, f"{type(error).__name__}: {error}"  # a bug of ours: it costs this task its answer, no other
        connection.send(found)
