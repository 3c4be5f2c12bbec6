"""Rounding weights to int8 so that the layer's output changes least: scales, then GPTQ, then one weight at a time.

GPTQ is Frantar et al., "GPTQ: Accurate Post-Training Quantization for Generative Pre-trained Transformers" (2022).
Everything is for several groups at once: w [groups, outputs, inputs], h [groups, inputs, inputs].
"""

from __future__ import annotations

import numpy as np

from graphopt.data.sample import Array
from graphopt.quantization.layers import LEVELS

SHRINKS = np.linspace(1.0, 0.75, 16)
"""Shares of the largest magnitude that are tried as the range of an output channel."""

DAMPING = 0.01
"""What is added to the diagonal of H before it is inverted, as a multiple of its mean."""

SWEEPS = 2
"""Passes of coordinate descent over the weights after GPTQ."""

BLOCK = 64
"""Columns whose errors are carried to the rest together."""


def scales(w: Array, h: Array) -> Array:
    """A scale for each output [groups, outputs]: of the ranges tried the one that errs least, by the diagonal of H."""
    diagonal = np.diagonal(h, axis1=1, axis2=2)[:, np.newaxis]
    largest = np.abs(w).max(-1)
    largest = np.where(largest > 0, largest, 1.0)
    best = np.full(largest.shape, np.inf)
    chosen = np.ones(largest.shape)
    for shrink in SHRINKS:
        scale = (largest * shrink / LEVELS)[..., np.newaxis]
        error = (np.square(nearest(w, scale) * scale - w) * diagonal).sum(-1)
        better = error < best
        best[better], chosen[better] = error[better], shrink
    # the file holds float32, and the weights must be rounded by the scale that it holds
    return np.maximum((largest * chosen / LEVELS).astype(np.float32), np.finfo(np.float32).tiny)


def nearest(w: Array, scale: Array) -> Array:
    """The nearest integers from -127 to 127, as floats."""
    return np.clip(np.rint(w / scale), -LEVELS, LEVELS)


def second_order(w: Array, h: Array, scale: Array) -> Array:
    """Integers [groups, outputs, inputs] that together err least in the output, as floats."""
    size = h.shape[-1]
    damp = DAMPING * np.trace(h, axis1=1, axis2=2) / size
    damped = h + np.maximum(damp, np.finfo(np.float32).tiny)[:, np.newaxis, np.newaxis] * np.eye(size)
    order = np.argsort(-np.diagonal(damped, axis1=1, axis2=2), axis=1, kind="stable")
    back = np.argsort(order, axis=1, kind="stable")
    turned = np.take_along_axis(np.take_along_axis(damped, order[:, :, np.newaxis], 1), order[:, np.newaxis], 2)
    columns = np.take_along_axis(w.astype(np.float64), order[:, np.newaxis], 2)
    wide = scale.astype(np.float64)[..., np.newaxis]
    starts = _gptq(columns, turned, wide), nearest(columns, wide)
    first, second = (_descend(columns, start, turned, wide) for start in starts)
    better = _error(columns, first, turned, wide) <= _error(columns, second, turned, wide)
    rounded = np.where(better[..., np.newaxis], first, second)
    return np.take_along_axis(rounded, back[:, np.newaxis], 2)


def _error(w: Array, rounded: Array, h: Array, scale: Array) -> Array:
    """What rounding adds to the squared error of each output [groups, outputs]."""
    gap = w - rounded * scale
    return ((gap @ h) * gap).sum(-1)


def _gptq(w: Array, h: Array, scale: Array) -> Array:
    """Column after column is rounded, and what that loses is made good by the columns that follow."""
    upper = np.linalg.cholesky(np.linalg.inv(h)).transpose(0, 2, 1)
    left = w.copy()
    rounded = np.empty_like(left)
    size = left.shape[-1]
    for start in range(0, size, BLOCK):
        stop = min(start + BLOCK, size)
        errors = np.empty((*left.shape[:2], stop - start))
        for column in range(start, stop):
            value = left[..., column : column + 1]
            rounded[..., column : column + 1] = whole = nearest(value, scale)
            error = (value - whole * scale) / upper[:, column, column, np.newaxis, np.newaxis]
            errors[..., column - start : column - start + 1] = error
            left[..., column:stop] -= error * upper[:, column, np.newaxis, column:stop]
        left[..., stop:] -= errors @ upper[:, start:stop, stop:]
    return rounded


def _descend(w: Array, rounded: Array, h: Array, scale: Array) -> Array:
    """Move one column at a time to the integers that are best given all others, again and again."""
    size = w.shape[-1]
    gap = w - rounded * scale
    pull = gap @ h
    for _ in range(SWEEPS):
        moved = False
        for column in range(size):
            whole = rounded[..., column]
            ideal = whole * scale[..., 0] + pull[..., column] / h[:, column, column, np.newaxis]
            better = np.clip(np.rint(ideal / scale[..., 0]), -LEVELS, LEVELS)
            step = (better - whole) * scale[..., 0]
            if np.any(step):
                moved = True
                rounded[..., column] = better
                pull -= step[..., np.newaxis] * h[:, np.newaxis, column]
        if not moved:
            break
    return rounded
