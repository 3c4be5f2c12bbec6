"""How to round a tensor to int8: the centre and spread of each channel, and one scale, that err least in the layers
that read it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from graphopt.data.sample import Array

POWERS = (0.0, 0.25, 0.5, 0.75, 1.0)
"""How far the channels' ranges are made alike: 0 not at all, 1 wholly."""

TAILS = (0.0, 1e-4, 1e-3, 1e-2)
"""Shares of a channel's values that may be clipped at an end of its range."""

MARGINS = (0.0, 0.05, 0.1, 0.2, 0.4, 0.8, 1.6)
"""How far beyond the values seen a range may reach, as shares of its width."""

FOLDS = 4
"""Parts of the samples, each of which is left out once while tails and margins are tried."""

LEVELS = 127
"""Steps from the centre to the end of the widest range."""

NARROWEST = 1e-4
"""The narrowest range of a channel, as a share of the widest: a channel that hardly moved may move yet."""

ROUNDED = 0.5
"""The noise of weights rounded by second-order information, as a share of that of weights rounded to the nearest.
Only the choice among POWERS depends on it, and little: between 0.3 and 1 hardly any choice changes."""


@dataclass(frozen=True)
class Choice:
    """x is rounded as round((x - centre) / spread / scale); centre and spread have one number for each channel."""

    centre: Array
    spread: Array
    scale: float


def choose(x: Array, sample: Array, weights: Sequence[Array], *, others: int, shift: bool) -> Choice:
    """What to round by.

    Args:
        x: the tensor at some positions [rows, channels].
        sample: the number of the sample that each row is from [rows].
        weights: of each layer that reads it [groups, outputs, channels of a group, taps].
        others: how many nodes read it beside these layers.
        shift: whether it may be centred.
    """
    variance = x.var(0, dtype=np.float64)
    low, high = _ends(x, sample, _gain(variance, weights, others), shift=shift)
    centre = (low + high) / 2
    power = np.square(x - centre).mean(0, dtype=np.float64) if not shift else variance
    half = np.maximum((high - low) / 2, 1e-12)
    widest = float(half.max())
    half = np.maximum(half, widest * NARROWEST)
    spreads = [(half / widest) ** exponent for exponent in POWERS]
    errors = [_noise(widest, power, spread, weights, others, variance) for spread in spreads]
    return Choice(centre, spreads[int(np.argmin(errors))], widest / LEVELS)


def _gain(variance: Array, weights: Sequence[Array], others: int) -> Array:
    """How much the square of an error in each channel weighs in the readers, relative to their signals."""
    total = np.full(len(variance), others / max(float(variance.sum()), 1e-30))
    for weight in weights:
        squares = np.square(weight, dtype=np.float64).sum((1, 3)).reshape(-1)
        total += squares / max(float((squares * variance).sum()), 1e-30)
    return total


def _noise(widest: float, power: Array, spread: Array, weights: Sequence[Array], others: int, variance: Array) -> float:
    """The noise in the readers, relative to their signals, that rounding the tensor and the weights makes.

    Rounding by a step makes noise of step² / 12 in a channel, and step² / 12 times the power of what it is multiplied
    with in a weight.
    """
    step = widest * spread / LEVELS
    total = float((_gain(variance, weights, others) * np.square(step)).sum()) / 12
    for weight in weights:
        groups, _, members, taps = weight.shape
        squares = np.square(weight, dtype=np.float64).sum((1, 3)).reshape(-1)
        largest = (np.abs(weight).max(3) * spread.reshape(groups, 1, members)).max(2)
        carried = (power / np.square(spread)).reshape(groups, members).sum(1) * taps
        noise = float((np.square(largest / LEVELS).sum(1) * carried).sum()) / 12
        total += ROUNDED * noise / max(float((squares * variance).sum()), 1e-30)
    return total


def _ends(x: Array, sample: Array, gain: Array, *, shift: bool) -> tuple[Array, Array]:
    """For each channel the ends of the range that rounding errs least with, on samples that it was not taken from.

    How much may be clipped, and how far beyond the values seen a range reaches, is tried with a part of the samples
    left out after the other; then the range is taken from all.
    """
    floor, ceiling = float(x.min()), float(x.max())
    parts = [(np.sort(x[sample % FOLDS != fold], axis=0), x[sample % FOLDS == fold]) for fold in range(FOLDS)]
    parts = [(seen, unseen) for seen, unseen in parts if len(seen) and len(unseen)]
    best, tail, margin = np.inf, 0.0, 0.0
    for cut in TAILS:
        for reach in MARGINS:
            error = 0.0
            for seen, unseen in parts:
                a, b = _range(seen, cut, reach, (floor, ceiling), shift=shift)
                clipped = np.square(unseen - np.clip(unseen, a, b)).mean(0, dtype=np.float64)
                error += float(((clipped + np.square((b - a) / (2 * LEVELS)) / 12) * gain).sum())
            if error < best:
                best, tail, margin = error, cut, reach
    return _range(np.sort(x, axis=0), tail, margin, (floor, ceiling), shift=shift)


def _range(
    ordered: Array, tail: float, margin: float, limits: tuple[float, float], *, shift: bool
) -> tuple[Array, Array]:
    """A range for each channel of sorted rows; it reaches beyond its channel, but never beyond all channels."""
    cut = int(tail * len(ordered))
    a, b = ordered[cut].astype(np.float64), ordered[-1 - cut].astype(np.float64)
    width = margin * (b - a)
    a, b = np.maximum(a - width, limits[0]), np.minimum(b + width, limits[1])
    if not shift:
        b = np.maximum(-a, b)
        a = -b
    return a, b
