"""The threshold at which a histogram and its quantized form diverge least, all candidates at once."""

from __future__ import annotations

import numpy as np

from graphopt.calibration.exact import Floats

ROWS = 512
"""Candidates in one go: with 129 edges each, what they need fits the cache."""


def entropy_bins(counts: Floats, levels: int) -> int:
    """How many bins to keep of a histogram of magnitudes.

    For each number of bins from `levels` on: P are these bins, what lies beyond them added to the last one; Q has the
    bins joined to `levels` levels, each spread evenly over those of its bins that are not empty. The one with the
    least divergence KL(P || Q) is chosen, the smallest of equal ones.

    Zeros are exact at any scale, and most activations hold many: the first bin counts as much as the second.
    """
    counts = counts.copy()
    if len(counts) > 1:
        counts[0] = counts[1]
    if len(counts) <= levels or not counts.sum():
        return len(counts)
    sums = _prefix(counts)
    filled = _prefix((counts > 0).astype(np.float64))
    logs = _prefix(_times_log(counts))
    numbers = np.arange(levels, len(counts) + 1)
    parts = [
        _divergences(counts, sums, filled, logs, numbers[start : start + ROWS], levels)
        for start in range(0, len(numbers), ROWS)
    ]
    return int(numbers[np.argmin(np.concatenate(parts))])


def _divergences(
    counts: Floats, sums: Floats, filled: Floats, logs: Floats, numbers: np.ndarray, levels: int
) -> Floats:
    """KL(P || Q) when so many bins are kept, inf where Q lacks what P has.

    sum P log P, with P the counts, is a prefix sum but for the last bin; sum P log Q gathers by level, since Q is one
    number within a level.
    """
    edges = numbers[:, None] * np.arange(levels + 1) // levels
    total = sums[-1]
    kept = sums[numbers]
    tail = total - kept
    mass = np.diff(sums[edges], axis=1)
    bins = np.diff(filled[edges], axis=1)
    clipped = mass.copy()
    clipped[:, -1] += tail
    with np.errstate(divide="ignore", invalid="ignore"):
        each = np.where(mass > 0, np.log(mass / bins), 0.0)
    last = counts[numbers - 1]
    own = logs[numbers - 1] + _times_log(last + tail)
    # the last bin is empty but the tail is not: P has mass there, and Q none
    lacking = (last == 0) & (tail > 0)
    divergence = (own - (clipped * each).sum(axis=1)) / total - np.log(total) + np.log(np.maximum(kept, 1))
    return np.where(lacking | (kept == 0), np.inf, divergence)


def _prefix(values: Floats) -> Floats:
    return np.concatenate(([0.0], np.cumsum(values)))


def _times_log(values: Floats) -> Floats:
    return values * np.log(np.maximum(values, 1.0))
