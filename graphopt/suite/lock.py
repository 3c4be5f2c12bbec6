"""The lock file: what the cases gave when somebody last looked and agreed. It is reviewed like code."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from graphopt.errors import UsageError
from graphopt.graph.files import whole_file
from graphopt.suite.run import CaseResult

SCHEMA = "graphopt.suite-lock/1"

SLACK = {"max-abs": 2.0, "max-rel": 2.0}
"""By which factor a difference may grow before it counts: another processor sums in another order."""

SLACK_DB = 3.0
"""The same for a signal-to-noise ratio: half the signal's distance is 6 dB."""

NEAR = 1e-6
"""Absolute, for figures between 0 and 1."""

MORE_IS_WORSE = frozenset({"nodes", "macs", "bytes", "max-abs", "max-rel"})
EXACT = frozenset({"nodes", "macs", "bytes", "built"})

Figures = Mapping[str, float]


@dataclass(frozen=True)
class Changes:
    """What is other than in the lock file, a line each, in a stable order."""

    worse: tuple[str, ...] = ()
    better: tuple[str, ...] = ()
    new: tuple[str, ...] = ()
    gone: tuple[str, ...] = ()

    @property
    def worse_cases(self) -> set[str]:
        return {line.split(": ")[0] for line in self.worse}


def lock_path(suite: Path) -> Path:
    """Where the lock file of a suite lies: beside it."""
    return suite.with_suffix(".lock")


def read_lock(path: Path) -> dict[str, dict[str, float]]:
    """Figures by case; nothing where there is no such file.

    Raises:
        UsageError: it is no lock file.
    """
    try:
        content: Any = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise UsageError(f"cannot read the lock file {path}: {error}") from None
    if not isinstance(content, dict) or cast("dict[str, Any]", content).get("schema") != SCHEMA:
        raise UsageError(f"{path} is no lock file of a suite", help="remove it, and write it anew with --update")
    return cast("dict[str, Any]", content)["cases"]


def write_lock(path: Path, results: Sequence[CaseResult], kept: Mapping[str, dict[str, float]]) -> None:
    """Write the figures of what ran, and those `kept` of what did not."""
    cases = {**kept, **{r.name: r.figures for r in results if r.error is None}}
    document = {"schema": SCHEMA, "cases": {name: _written(cases[name]) for name in sorted(cases)}}
    with whole_file(path) as stream:
        stream.write((json.dumps(document, indent=1) + "\n").encode())


def _written(figures: Figures) -> dict[str, float]:
    """Whole numbers as such, others to the digits that mean something."""
    return {
        name: int(value) if name in EXACT else float(f"{value:.4g}" if name in SLACK else f"{value:.6g}")
        for name, value in sorted(figures.items())
    }


def changes(results: Sequence[CaseResult], locked: Mapping[str, Figures], *, whole: bool) -> Changes:
    """Compare with the lock file. `whole`: every case of the suite ran, so that what is missing is gone."""
    worse: list[str] = []
    better: list[str] = []
    new: list[str] = []
    for result in sorted(results, key=lambda r: r.name):
        known = locked.get(result.name)
        if known is None:
            new.append(f"{result.name}: {_summary(result)}")
            continue
        if result.error is not None:
            worse.append(f"{result.name}: {result.error.splitlines()[0]}")
            continue
        for name in sorted({*known, *result.figures}):
            line, direction = _compared(name, known.get(name), result.figures.get(name))
            if direction:
                (worse if direction > 0 else better).append(f"{result.name}: {line}")
    gone = sorted(locked.keys() - {r.name for r in results}) if whole else []
    return Changes(tuple(worse), tuple(better), tuple(new), tuple(gone))


def _summary(result: CaseResult) -> str:
    if result.error is not None:
        return result.error.splitlines()[0]
    return ", ".join(f"{name} {value:.6g}" for name, value in sorted(result.figures.items()))


def _compared(name: str, before: float | None, after: float | None) -> tuple[str, int]:
    """A line, and whether it got worse (1), better (-1) or neither (0)."""
    if before is None or after is None:
        if name == "sqnr":  # no noise at all is no number
            return (f"sqnr {_told(before)} -> {_told(after)}", 1 if before is None else -1)
        return (f"{name} {_told(before)} -> {_told(after)}", 0 if before is None else 1)
    line = f"{name} {before:.6g} -> {after:.6g}"
    if name in SLACK:
        limit = SLACK[name]
        return line, int(after > before * limit) - int(after * limit < before)
    slack = 0.0 if name in EXACT else SLACK_DB if name == "sqnr" else NEAR
    if abs(after - before) <= slack:
        return line, 0
    return line, 1 if (after > before) == (name in MORE_IS_WORSE) else -1


def _told(value: float | None) -> str:
    return "none" if value is None else f"{value:.6g}"
