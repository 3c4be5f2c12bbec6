"""Seeds examined in processes of their own: ONNX Runtime does not survive every legal model."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from graphopt.processes import Lost, in_processes
from tests.fuzz.examine import Finding, examine

LIMIT = 300.0
"""Seconds after which a seed counts as hanging; it takes about one."""


def findings(seeds: Iterable[int], jobs: int) -> Iterator[Finding]:
    """What comes of each seed, in the order in which they are done.

    A process that dies while the model is made, or while the original runs, says nothing about the compiler.
    """
    for seed, found in in_processes(seeds, examine, jobs=jobs, seconds=LIMIT):
        if isinstance(found, Lost):
            kind = "lost" if found.phase in ("making", "the original") and "Error" not in found.reason else "crash"
            yield Finding(seed, kind, f"{found.reason}, at: {found.phase}")
        else:
            yield found
