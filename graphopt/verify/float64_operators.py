"""Operators that the reference evaluator computes in float32, or not as the standard says, done again.

Which those are was found by measurement; `tests/verify/test_float64.py` measures every operator again. The names of
the classes are those of the operators, by which the evaluator finds them. `_run` takes inputs by position and
attributes by name, and gives a tuple of outputs.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from onnx.reference.op_run import OpRun, OpRunExpand
from onnx.reference.ops.op_conv import Conv as ReferenceConv

from graphopt.verify.float64_conv_transpose import ConvTranspose
from graphopt.verify.float64_reductions import OPERATORS as REDUCTIONS
from graphopt.verify.float64_widen import Array, NotComputable


class Conv(OpRun):
    """The evaluator takes a bias of one element for all channels."""

    def _run(self, x: Array, w: Array, b: Array | None = None, **how: Any) -> tuple[Array, ...]:
        if b is not None and b.size != w.shape[0]:
            raise ValueError("a bias of another size than the output channels")
        compute: Any = vars(ReferenceConv)["_run"]
        return compute(self, x, w, b, **how)


class Gemm(OpRun):
    """The evaluator computes integers in floats, which do not wrap around."""

    def _run(
        self,
        a: Array,
        b: Array,
        c: Array | None = None,
        alpha: float = 1.0,
        beta: float = 1.0,
        transA: int = 0,
        transB: int = 0,
        **_how: Any,
    ) -> tuple[Array, ...]:
        if a.dtype.kind in "iu" and (alpha, beta) != (1.0, 1.0):
            raise NotComputable("Gemm of integers with factors that are not")
        product = np.matmul(a.T if transA else a, b.T if transB else b)
        if a.dtype.kind not in "iu":
            product = product * alpha
            c = None if c is None or beta == 0 else c * beta
        return (product if c is None else product + c,)


class Erf(OpRun):
    """The evaluator's own rounds to float32."""

    def _run(self, x: Array) -> tuple[Array, ...]:
        return (np.vectorize(math.erf, otypes=[np.float64])(x),)


class HardSwish(OpRun):
    """The evaluator's own goes by the standard's definition as a function, in which 1/6 is a float32."""

    def _run(self, x: Array) -> tuple[Array, ...]:
        return (x * np.clip(x + 3, 0, 6) / 6,)


class Clip(OpRun):
    """A bound of one element may have a shape, which runtimes overlook and the evaluator's own broadcasts by."""

    def _run(self, x: Array, min: Array | float | None = None, max: Array | float | None = None) -> tuple[Array, ...]:
        low, high = (None if bound is None else np.reshape(bound, ()) for bound in (min, max))
        return (x if low is None and high is None else np.asarray(np.clip(x, low, high)),)


class _AlongAxis(OpRun):
    """Before opset 13 the axis and all behind it are one axis, which the evaluator knows nothing of."""

    def _run(self, x: Array, axis: int = -1) -> tuple[Array, ...]:
        if not x.size:
            return (x,)
        if _opset(self) >= 13:
            return (self.compute(x, axis),)
        rows = math.prod(x.shape[: axis % x.ndim if axis < 0 else axis])
        return (self.compute(x.reshape(rows, -1), 1).reshape(x.shape),)

    def compute(self, x: Array, axis: int) -> Array:
        raise NotImplementedError


class Softmax(_AlongAxis):
    def compute(self, x: Array, axis: int) -> Array:
        raised = np.exp(x - x.max(axis, keepdims=True))
        return raised / raised.sum(axis, keepdims=True)


class LogSoftmax(_AlongAxis):
    def compute(self, x: Array, axis: int) -> Array:
        shifted = x - x.max(axis, keepdims=True)
        return shifted - np.log(np.exp(shifted).sum(axis, keepdims=True))


class Hardmax(_AlongAxis):
    def compute(self, x: Array, axis: int) -> Array:
        first = np.expand_dims(x.argmax(axis), axis)
        found = np.zeros_like(x)
        np.put_along_axis(found, first, 1, axis)
        return found


class BatchNormalization(OpRun):
    """Before opset 14 the evaluator takes the statistics of the batch."""

    def _run(self, x: Array, scale: Array, bias: Array, mean: Array, var: Array, **how: Any) -> tuple[Array, ...]:
        if how.get("training_mode") or len(self.output) > 1:
            raise NotComputable("BatchNormalization in training")
        if how.get("spatial", 1) != 1:
            raise NotComputable("BatchNormalization of every element by itself")
        channels = (-1, *[1] * (x.ndim - 2)) if x.ndim > 1 else (-1,)
        scale, bias, mean, var = (v.reshape(channels) for v in (scale, bias, mean, var))
        return (scale * (x - mean) / np.sqrt(var + how["epsilon"]) + bias,)


class Dropout(OpRun):
    def _run(self, x: Array, _ratio: Any = None, training: Any = None, **_how: Any) -> tuple[Array, ...]:
        if training is not None and bool(training):
            raise NotComputable("Dropout in training")
        return x, np.ones(x.shape, np.bool_)


class DequantizeLinear(OpRun):
    """The evaluator has none before opset 19, and computes in float32."""

    def _run(
        self, x: Array, scale: Array, zero: Array | None = None, axis: int = 1, block_size: int = 0, **_how: Any
    ) -> tuple[Array, ...]:
        shift = 0.0 if zero is None else spread(zero.astype(np.float64), x.shape, axis, block_size)
        return ((x.astype(np.float64) - shift) * spread(scale, x.shape, axis, block_size),)


class AffineGrid(OpRunExpand):
    """By its definition as a function: the evaluator rounds to float32. So with those below."""

    op_domain = ""


class CausalConvWithState(OpRunExpand):
    op_domain = ""


class LinearAttention(OpRunExpand):
    op_domain = ""


def spread(parameter: Array, shape: tuple[int, ...], axis: int, block_size: int) -> Array:
    """A scale or zero point as large as what it goes with: one for all, one a slice, or one a block of slices."""
    if parameter.size == 1:
        return parameter.reshape(())
    if block_size:
        taken = (slice(None),) * (axis % len(shape)) + (slice(shape[axis]),)
        return np.repeat(parameter, block_size, axis)[taken]
    return parameter.reshape([-1 if i == axis % len(shape) else 1 for i in range(len(shape))])


def _opset(operator: OpRun) -> int:
    return operator.run_params["opsets"].get("", 1)


REPLACED: tuple[type[OpRun], ...] = (
    Erf,
    Clip,
    HardSwish,
    Softmax,
    LogSoftmax,
    Hardmax,
    BatchNormalization,
    Conv,
    ConvTranspose,
    Gemm,
    Dropout,
    DequantizeLinear,
    AffineGrid,
    CausalConvWithState,
    LinearAttention,
    *REDUCTIONS,
)
