"""The float weights that fit best: weighted least squares, held to the given weights as far as held-out rows ask.

All of it is for several groups at once: x [groups, rows, inputs], y [groups, rows, outputs], w [groups, outputs,
inputs], b [groups, outputs].
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from graphopt.data.sample import Array

RIDGES = (3.0, 0.3, 0.03, 0.003)
"""Ridges that are tried, as multiples of the mean of the diagonal of H."""

GAIN = 0.01
"""The share of the held-out error that must go before the given weights are left."""


@dataclass(frozen=True)
class Moments:
    """Weighted first and second moments of rows: means, H = XᵀX and C = YᵀX, centred, the weights adding up to 1."""

    mean_x: Array
    mean_y: Array
    h: Array
    c: Array


def robust_weights(x: Array, y: Array, w: Array, b: Array) -> Array:
    """How much each row counts [groups, rows]: rows that the given weights already miss by far count little."""
    error = np.square(y - _product(x, w) - b[:, np.newaxis]).sum(-1, dtype=np.float64)
    middle = np.median(error, axis=1, keepdims=True)
    return 1 / (error + np.maximum(middle, np.finfo(np.float32).tiny))


def moments(x: Array, y: Array, weights: Array) -> Moments:
    share = weights / weights.sum(1, keepdims=True)
    root = np.sqrt(share)[..., np.newaxis]
    mean_x = (share[:, np.newaxis] @ x.astype(np.float64))[:, 0]
    mean_y = (share[:, np.newaxis] @ y.astype(np.float64))[:, 0]
    xs = ((x - mean_x[:, np.newaxis]) * root).astype(np.float32)
    ys = ((y - mean_y[:, np.newaxis]) * root).astype(np.float32)
    transposed = xs.transpose(0, 2, 1)
    h = (transposed @ xs).astype(np.float64)
    c = (ys.transpose(0, 2, 1) @ xs).astype(np.float64)
    return Moments(mean_x, mean_y, h, c)


def ridge(found: Moments, w: Array, strength: float) -> Array:
    """W = (C + λ W₀)(H + λ I)⁻¹ with λ = strength · tr(H) / inputs."""
    size = found.h.shape[-1]
    amount = strength * np.trace(found.h, axis1=1, axis2=2) / size
    amount = np.maximum(amount, np.finfo(np.float32).tiny)[:, np.newaxis, np.newaxis]
    left = found.h + amount * np.eye(size)
    right = found.c + amount * w
    solve: Any = np.linalg.solve  # its stub leaves the type of the result open
    solved: Array = solve(left, right.transpose(0, 2, 1))
    return solved.transpose(0, 2, 1)


def fit(x: Array, y: Array, w: Array, weights: Array, held_out: Array) -> tuple[Array, Moments]:
    """The weights to round, and the moments of all rows.

    Each ridge is fitted on the rows that are not held out and scored on those that are; per group the best one is
    then fitted on all rows, or the given weights stay where none gains `GAIN`.

    Args:
        held_out: bool [rows].
    """
    whole = moments(x, y, weights)
    kept = ~held_out
    if not held_out.any() or not kept.any():
        return w, whole
    part = moments(x[:, kept], y[:, kept], weights[:, kept])
    test = x[:, held_out], y[:, held_out], weights[:, held_out]
    best = _score(*test, w, part) * (1 - GAIN)
    choice = np.full(len(w), -1)
    for number, strength in enumerate(RIDGES):
        score = _score(*test, ridge(part, w, strength), part)
        better = score < best
        best[better], choice[better] = score[better], number
    fitted = w.astype(np.float64)
    for number, strength in enumerate(RIDGES):
        of = choice == number
        if not of.any():
            continue
        found = Moments(whole.mean_x[of], whole.mean_y[of], whole.h[of], whole.c[of])
        fitted[of] = ridge(found, w[of], strength)
    return fitted, whole


def _score(x: Array, y: Array, weights: Array, w: Array, found: Moments) -> Array:
    """The weighted squared error of each group on rows that were not fitted on."""
    predicted = _product(x - found.mean_x[:, np.newaxis], w) + found.mean_y[:, np.newaxis]
    return (np.square(y - predicted).sum(-1) * weights).sum(1, dtype=np.float64) + np.finfo(np.float64).tiny


def _product(x: Array, w: Array) -> Array:
    return x.astype(np.float32) @ w.transpose(0, 2, 1).astype(np.float32)
