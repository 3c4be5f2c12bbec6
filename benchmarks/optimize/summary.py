"""On how many rows graphopt is as good as the peers or better, figure by figure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import median

from .ratios import Ratio, noise_of
from .rows import Row, figure_of
from .tools import PEERS

ROUNDING = 8 * 2.0**-23
"""A difference to the original that is no news: eight units in the last place of a float32 of the output's scale."""

BEST, ORIGINAL = "best peer", "original"
COLUMNS = (ORIGINAL, BEST, *PEERS)

FIGURES = {
    "nodes": "nodes",
    "size": "bytes",
    "real": "largest difference, real inputs",
    "made": "largest difference, made inputs",
    "cpu": "CPU seconds",
    "wall": "wall seconds",
    "mebibytes": "peak MiB",
}
DIFFERENCES = ("real", "made")
SETTINGS = {"on": "latency, optimizations on", "off": "latency, optimizations off"}


@dataclass(frozen=True)
class Count:
    """Of `rows` on which both are known, those on which ours is as good or better; the median of ours by theirs."""

    good: int
    rows: int
    ratio: float | None

    def __str__(self) -> str:
        if not self.rows:
            return ""
        return f"{self.good} of {self.rows}" + ("" if self.ratio is None else f" ({self.ratio:.2f})")


def summary(rows: Sequence[Row]) -> dict[str, dict[str, Count]]:
    """Counts by figure and by whom ours is held against."""
    known = [row for row in rows if not row.ours.wrong]
    found = {title: {c: _count(known, name, c) for c in COLUMNS} for name, title in FIGURES.items()}
    for setting, title in SETTINGS.items():
        noise = noise_on(rows, setting)
        found[title] = {c: _latencies((_ratio(row, c, setting) for row in known), noise) for c in COLUMNS}
    return found


def noise_on(rows: Iterable[Row], setting: str) -> float:
    """How far the original is from itself on 95 of 100 models."""
    return noise_of([pair for row in rows if (pair := row.noise(setting)) is not None])


def _count(rows: Iterable[Row], figure: str, column: str) -> Count:
    pairs = [pair for row in rows if (pair := _pair(row, figure, column)) is not None]
    ratios = [a / b for a, b in pairs if b and figure not in DIFFERENCES]
    middle = median(ratios) if ratios else None
    slack = ROUNDING if figure in DIFFERENCES else 0.0
    return Count(sum(1 for a, b in pairs if a <= max(b, slack)), len(pairs), middle)


def _pair(row: Row, figure: str, column: str) -> tuple[float, float] | None:
    """Our figure and the other's; None where the other has none or does not compete."""
    ours = figure_of(row.ours, figure)
    if column == ORIGINAL:
        theirs = {"nodes": row.nodes, "size": row.size}.get(figure)
    else:
        peer = row.best(figure) if column == BEST else column
        theirs = row.figure_of(peer, figure) if peer in row.fair else None
    return None if ours is None or theirs is None else (ours, theirs)


def _ratio(row: Row, column: str, setting: str) -> Ratio | None:
    if column == ORIGINAL:
        return row.against_original(setting)
    if column == BEST:
        found = row.against_quickest(setting)
        return found and found[1]
    return row.against(column, setting) if column in row.fair else None


def _latencies(ratios: Iterable[Ratio | None], noise: float) -> Count:
    known = [r for r in ratios if r is not None]
    good = sum(1 for r in known if not r.is_worse(noise))
    return Count(good, len(known), median(r.middle for r in known) if known else None)
