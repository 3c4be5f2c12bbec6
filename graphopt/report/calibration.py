"""Statistics of tensors: as a JSON document, as a table, and a tensor by itself."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np
from rich.console import Console

from graphopt.calibration.levels import Magnitudes
from graphopt.calibration.statistics import Statistics, TensorStatistics
from graphopt.calibration.thresholds import threshold
from graphopt.data.attempts import Unreadable
from graphopt.quantization.scale_sets import SETS
from graphopt.report import quantities
from graphopt.report.tables import table

SCHEMA = "graphopt.calibrate/1"

BARS = 32
"""Rows of a histogram on the terminal."""

WIDTH = 48
"""Columns of its longest bar."""

IN_TABLE = ("percentile 99.99", "mse")


def statistics_json(statistics: Statistics, left_out: Iterable[Unreadable] = ()) -> dict[str, Any]:
    """The document of `graphopt calibrate --json`."""
    return {
        "schema": SCHEMA,
        "model": statistics.model,
        "samples": statistics.samples,
        "left_out": [{"name": u.name, "reason": u.reason} for u in left_out],
        "tensors": [_tensor_json(t) for t in statistics.values()],
    }


def _tensor_json(tensor: TensorStatistics) -> dict[str, Any]:
    channels = tensor.channels
    return {
        **tensor.figures(),
        "channels": None if channels is None else {"axis": channels.axis, "size": channels.size},
        "thresholds": dict(thresholds(tensor)),
    }


def thresholds(tensor: TensorStatistics, names: Sequence[str] = tuple(name for name, _, _ in SETS)) -> Iterator[Any]:
    """Pairs of a method's name and its threshold; none for a tensor that held NaN or infinite values."""
    if not tensor.not_finite:
        for name, method, percentile in SETS:
            if name in names:
                yield name, threshold(tensor, method, percentile=percentile)


def warnings(statistics: Statistics, left_out: Sequence[Unreadable] = ()) -> Iterator[str]:
    """What the user has to know of samples that could not be used, and of tensors that have no range."""
    total = len(left_out) + statistics.samples
    if left_out:
        yield f"{len(left_out)} of {total} samples cannot be read, and were left out:"
        yield from (f"  {u.name}: {u.reason}" for u in left_out)
    for tensor in statistics.values():
        if tensor.not_finite:
            yield (
                f"tensor {tensor.name!r} held NaN or infinity {tensor.not_finite} times, "
                f"first in {tensor.not_finite_in}: it has no range"
            )


def show_statistics(statistics: Statistics, console: Console) -> None:
    """The table of all tensors."""
    samples = "1 sample" if statistics.samples == 1 else f"{statistics.samples} samples"
    console.print(f"{samples}, {len(statistics)} tensors, graph {statistics.model[:12]}")
    columns = ("tensor", "values", "zeros", "min", "max", *IN_TABLE, "channels")
    table(console, "", columns, map(_row, statistics.values()), numbers=range(1, len(columns)), limit=None)


def _row(tensor: TensorStatistics) -> tuple[str, ...]:
    told = dict(thresholds(tensor, IN_TABLE))
    size = "" if tensor.channels is None else quantities.count(tensor.channels.size)
    if not tensor.count:
        return (tensor.name, "0", "", "", "", "", "", size)
    zeros = f"{100 * tensor.zeros / tensor.count:.1f} %"
    extremes = (_number(tensor.minimum), _number(tensor.maximum))
    ranges = tuple(_number(told[name]) if name in told else "none" for name in IN_TABLE)
    return (tensor.name, quantities.count(tensor.count), zeros, *extremes, *ranges, size)


def show_tensor(tensor: TensorStatistics, console: Console) -> None:
    """One tensor: its histogram, and what each method makes of it."""
    console.print(tensor.name, style="bold")
    edges, counts = bars(tensor, BARS)
    if len(counts):
        longest = np.log1p(float(counts.max()))
        rows = [
            (_number(low), _number(high), quantities.count(int(n)), "█" * round(WIDTH * np.log1p(float(n)) / longest))
            for low, high, n in zip(edges[:-1], edges[1:], counts, strict=True)
        ]
        table(console, "", ("from", "to", "values", "(logarithmic)"), rows, numbers=(0, 1, 2), limit=None)
    magnitudes = Magnitudes(tensor.histogram)
    found = [(name, _number(t), _decibels(magnitudes, t)) for name, t in thresholds(tensor)]
    table(console, "", ("method", "threshold", "SQNR of int8"), found, numbers=(1, 2), limit=None)
    if tensor.channels is not None:
        console.print(f"channels: {tensor.channels.size}, along axis {tensor.channels.axis}")


def bars(tensor: TensorStatistics, most: int) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """The part of a histogram that is not empty in at most so many bars: their edges and counts, nothing for a tensor
    of zeros alone."""
    histogram = tensor.histogram
    used = np.flatnonzero(histogram.counts)
    if not used.size or histogram.exponent is None:
        return np.zeros(0), np.zeros(0, np.int64)
    middle = len(histogram.counts) // 2
    step = 1
    while used[-1] // step - used[0] // step >= most:
        step *= 2
    first = int(used[0] // step)
    counts = histogram.counts.reshape(-1, step).sum(axis=1)[first : int(used[-1] // step) + 1]
    edges = (np.arange(first, first + len(counts) + 1) * step - middle) * histogram.width
    return edges, counts


def _decibels(magnitudes: Magnitudes, limit: float) -> str:
    found = magnitudes.sqnr(limit) if limit else float("inf")
    return f"{found:.1f} dB" if np.isfinite(found) else "exact"


def _number(value: float) -> str:
    return f"{value:.4g}"
