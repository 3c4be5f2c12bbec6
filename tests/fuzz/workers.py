"""Seeds examined in processes of their own: ONNX Runtime does not survive every legal model."""

from __future__ import annotations

import multiprocessing
import time
from collections import deque
from collections.abc import Iterable, Iterator
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess

from tests.fuzz.examine import Finding, examine

LIMIT = 120.0
"""Seconds after which a seed counts as hanging; it takes less than one."""


class _Worker:
    def __init__(self) -> None:
        context = multiprocessing.get_context("spawn")
        self.connection, theirs = context.Pipe()
        self.process: BaseProcess = context.Process(target=_work, args=(theirs,), daemon=True)
        self.process.start()
        theirs.close()
        self.seed: int | None = None
        self.phase = "making"
        self.started = time.monotonic()

    def give(self, seed: int) -> None:
        self.seed, self.phase, self.started = seed, "making", time.monotonic()
        self.connection.send(seed)

    def end(self) -> None:
        self.process.kill()
        self.process.join()
        self.connection.close()


def findings(seeds: Iterable[int], jobs: int) -> Iterator[Finding]:
    """What comes of each seed, in the order in which they are done."""
    pending = deque(seeds)
    workers = [_Worker() for _ in range(min(jobs, len(pending)))]
    try:
        for worker in workers:
            worker.give(pending.popleft())
        while any(w.seed is not None for w in workers):
            wait([w.connection for w in workers if w.seed is not None], timeout=1.0)
            for index, worker in enumerate(workers):
                found = _heard(worker) if worker.seed is not None else None
                if found is None:
                    continue
                yield found
                if not worker.process.is_alive() or found.kind == "lost":
                    worker.end()
                    workers[index] = worker = _Worker()
                worker.seed = None
                if pending:
                    worker.give(pending.popleft())
    finally:
        for worker in workers:
            worker.end()


def _heard(worker: _Worker) -> Finding | None:
    """The finding of a worker, if it is there. One that dies while the model is made, or the original runs, says
    nothing about the compiler."""
    assert worker.seed is not None
    try:
        while worker.connection.poll():
            said = worker.connection.recv()
            if isinstance(said, Finding):
                return said
            worker.phase = said
    except (EOFError, ConnectionError):
        worker.process.join()
        text = f"the process died with {worker.process.exitcode} at: {worker.phase}"
        return Finding(worker.seed, _fate(worker.phase), text)
    if time.monotonic() - worker.started > LIMIT:
        worker.process.kill()
        return Finding(worker.seed, _fate(worker.phase), f"no end within {LIMIT:g} s at: {worker.phase}")
    return None


def _fate(phase: str) -> str:
    return "lost" if phase in ("making", "the original") else "crash"


def _work(connection: Connection) -> None:
    while True:
        try:
            seed = connection.recv()
        except (EOFError, OSError, KeyboardInterrupt):
            return
        try:
            connection.send(examine(seed, connection.send))
        except KeyboardInterrupt:
            return
        except Exception as error:  # the generator's own fault, which must not pass for silence
            connection.send(Finding(seed, "crash", f"the generator: {type(error).__name__}: {error}"))
