"""A suite as a whole: its cases in parallel processes, their results in the order of the suite."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from graphopt.processes import Lost, in_processes
from graphopt.progress import SILENT, Progress
from graphopt.suite.cache import ResultCache
from graphopt.suite.cases import Case, cases_of
from graphopt.suite.definition import load_suite
from graphopt.suite.lock import Changes, changes, lock_path, read_lock, write_lock
from graphopt.suite.reproduction import keep_reproduction
from graphopt.suite.run import CaseResult, run_case

SECONDS = 3600.0
"""After which a case counts as hanging."""


@dataclass(frozen=True)
class SuiteResult:
    """What came of a run.

    Attributes:
        results: in the order of the suite.
        changes: against the lock file.
        reproductions: folders of what failed, by case.
    """

    results: tuple[CaseResult, ...]
    changes: Changes
    reproductions: dict[str, Path]

    @property
    def ok(self) -> bool:
        return all(result.ok for result in self.results) and not self.changes.worse


def run_suite(
    path: Path,
    *,
    jobs: int = 1,
    pattern: str | None = None,
    update: bool = False,
    cache: ResultCache | None = None,
    reproductions: Path | None = None,
    progress: Progress = SILENT,
) -> SuiteResult:
    """Run the cases of a suite.

    Each finished case is kept by its content, so that a run that was interrupted goes on where it was.

    Args:
        jobs: processes.
        pattern: only cases whose name holds it, or fits it as a glob.
        update: write the lock file.
        cache: where results are kept; None runs everything.
        reproductions: where models, inputs and commands of what failed are written; None writes none.

    Raises:
        UsageError: the suite or its lock file says what it cannot.
    """
    path = path.absolute()
    cases = cases_of(load_suite(path), path.parent, pattern)
    locked = read_lock(lock_path(path))
    results = run_cases(cases, jobs=jobs, cache=cache, progress=progress)
    found = changes(results, locked, whole=pattern is None)
    failed = {r.name for r in results if not r.ok} | found.worse_cases
    folders = {}
    if reproductions is not None:
        folders = {c.name: keep_reproduction(c, reproductions) for c in cases if c.name in failed}
    if update:
        kept = {} if pattern is None else {name: dict(figures) for name, figures in locked.items()}
        write_lock(lock_path(path), results, kept)
        found = changes(results, {r.name: r.figures for r in results}, whole=False)
    return SuiteResult(tuple(results), found, folders)


def run_cases(
    cases: Sequence[Case], *, jobs: int = 1, cache: ResultCache | None = None, progress: Progress = SILENT
) -> list[CaseResult]:
    """Results in the order of the cases."""
    found: dict[str, CaseResult] = {}
    pending: list[Case] = []
    for case in cases:
        kept = cache.get(case) if cache is not None else None
        if kept is None:
            pending.append(case)
        else:
            found[case.name] = kept
    with progress.task("cases", len(cases)) as task:
        for case, result in in_processes(pending, run_case, jobs=jobs, seconds=SECONDS, memory=_share(jobs)):
            if isinstance(result, Lost):
                result = CaseResult(case.name, error=f"{result.reason}, at: {result.phase or 'the start'}")
            elif cache is not None:
                cache.put(case, result)
            found[case.name] = result
            task.update(done=len(found), note=case.name)
    return [found[case.name] for case in cases]


def _share(jobs: int) -> int | None:
    """Bytes that each process may hold: its share of nine tenths of the machine's memory."""
    try:
        total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (ValueError, OSError, AttributeError):
        return None
    return int(total * 0.9 / max(jobs, 1))
