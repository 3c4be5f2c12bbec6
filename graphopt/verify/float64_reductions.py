"""Pooling over everything, means and normalizations as the standard says; the reference evaluator gets them wrong for
some ranks, exponents, or numbers of channels, or has none."""

from __future__ import annotations

from typing import Any

import numpy as np
from onnx.reference.op_run import OpRun

from graphopt.verify.float64_widen import Array


def _spatial(x: Array) -> tuple[int, ...]:
    return tuple(range(2, x.ndim))


class GlobalMaxPool(OpRun):
    def _run(self, x: Array) -> tuple[Array, ...]:
        return (x.max(_spatial(x), keepdims=True),)


class GlobalLpPool(OpRun):
    def _run(self, x: Array, p: int = 2) -> tuple[Array, ...]:
        return ((np.abs(x) ** p).sum(_spatial(x), keepdims=True) ** (1 / p),)


class LpNormalization(OpRun):
    """Where the norm is 0 the result is 0, as ONNX Runtime has it; the standard leaves it open."""

    def _run(self, x: Array, axis: int = -1, p: int = 2) -> tuple[Array, ...]:
        norm = (np.abs(x) ** p).sum(axis, keepdims=True) ** (1 / p)
        return (np.where(norm == 0, 0.0, x / np.where(norm == 0, 1.0, norm)),)


class LRN(OpRun):
    """Each channel by the squares of the channels around it."""

    def _run(self, x: Array, alpha: float, beta: float, bias: float, size: int) -> tuple[Array, ...]:
        before, after = (size - 1) // 2, size // 2
        squares = np.zeros_like(x)
        for channel in range(x.shape[1]):
            near = x[:, max(0, channel - before) : channel + after + 1]
            squares[:, channel] = (near * near).sum(1)
        return (x / (bias + alpha / size * squares) ** beta,)


class Mean(OpRun):
    def _run(self, *xs: Array) -> tuple[Array, ...]:
        total = xs[0]
        for x in xs[1:]:
            total = total + x
        return (total / len(xs),)


class MeanVarianceNormalization(OpRun):
    def _run(self, x: Array, axes: Any = (0, 2, 3)) -> tuple[Array, ...]:
        over = tuple(axes)
        centred = x - x.mean(over, keepdims=True)
        return (centred / (np.sqrt((centred * centred).mean(over, keepdims=True)) + 1e-9),)


class NonZero(OpRun):
    """A scalar counts as one element of rank 1, as in ONNX Runtime."""

    def _run(self, x: Array) -> tuple[Array, ...]:
        return (np.array(np.nonzero(np.atleast_1d(x)), np.int64),)


class Softsign(OpRun):
    def _run(self, x: Array) -> tuple[Array, ...]:
        return (x / (1 + np.abs(x)),)


OPERATORS: tuple[type[OpRun], ...] = (
    GlobalMaxPool,
    GlobalLpPool,
    LpNormalization,
    LRN,
    Mean,
    MeanVarianceNormalization,
    NonZero,
    Softsign,
)
