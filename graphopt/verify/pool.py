"""Many rules at once, each in a process of its own pool: native code that hangs or dies costs one rule its verdict."""

from __future__ import annotations

import multiprocessing
import signal
import time
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from typing import Any

from graphopt.lang import tree as t
from graphopt.verify.kept import Settings
from graphopt.verify.verdict import Verdict

LIMIT = 600.0
"""Seconds after which one rule's verification counts as hanging."""


@dataclass
class _Worker:
    process: BaseProcess
    connection: Connection
    rule: t.Rule
    started: float


def verify_rules(
    rules: Sequence[t.Rule], settings: Settings, *, jobs: int = 1, limit: float = LIMIT
) -> Iterator[tuple[t.Rule, Verdict]]:
    """Verify rules in as many processes, and give each verdict as it is there. Ending the iteration ends them."""
    pending = deque(rules)
    workers: list[_Worker] = []
    idle: list[tuple[BaseProcess, Connection]] = []
    try:
        while pending or workers:
            while pending and len(workers) < jobs:
                process, connection = idle.pop() if idle else _start()
                rule = pending.popleft()
                connection.send((rule, settings))
                workers.append(_Worker(process, connection, rule, time.monotonic()))
            wait([w.connection for w in workers], timeout=1.0)
            for worker in list(workers):
                verdict = _received(worker, limit)
                if verdict is None:
                    continue
                workers.remove(worker)
                if worker.process.is_alive():
                    idle.append((worker.process, worker.connection))
                yield worker.rule, verdict
    finally:
        for process, connection in [*idle, *((w.process, w.connection) for w in workers)]:
            process.kill()
            process.join()
            connection.close()


def _start() -> tuple[BaseProcess, Connection]:
    context = multiprocessing.get_context("spawn")  # ONNX Runtime's threads do not survive a fork
    ours, theirs = context.Pipe()
    process = context.Process(target=_work, args=(theirs,), daemon=True)
    process.start()
    theirs.close()
    return process, ours


def _received(worker: _Worker, limit: float) -> Verdict | None:
    """The verdict of a worker, if it is there; of one that died or hangs, that it did."""
    try:
        if worker.connection.poll():
            answer: Any = worker.connection.recv()
            return _lost(worker, f"verification itself failed: {answer}") if isinstance(answer, str) else answer
    except (EOFError, ConnectionError):
        worker.process.join()
        return _lost(worker, f"the process that verified it died with {worker.process.exitcode}")
    seconds = time.monotonic() - worker.started
    if seconds > limit:
        worker.process.kill()
        worker.process.join()
        return _lost(worker, f"a runtime did not come back within {limit:g} s")
    return None


def _lost(worker: _Worker, note: str) -> Verdict:
    rule = worker.rule
    seconds = time.monotonic() - worker.started
    return Verdict(rule.name, rule.place, "not exercised", rule.equal, 0, notes=(note,), seconds=seconds)


def _work(connection: Connection) -> None:
    """Verify what comes until nothing comes any more."""
    from graphopt.rewrite.library import installed_files
    from graphopt.verify.verify import verify_rule

    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the one who started us sees to it
    installed_files()  # importing the packages that bring rules registers their functions
    while True:
        try:
            rule, settings = connection.recv()
        except (EOFError, OSError):
            return
        try:
            answer: Any = verify_rule(
                rule, instances=settings.instances, seed=settings.seed, conditions=settings.conditions
            )
        except Exception as error:
            answer = f"{type(error).__name__}: {error}"  # a bug of ours: it costs this rule its verdict, and no other
        connection.send(answer)
