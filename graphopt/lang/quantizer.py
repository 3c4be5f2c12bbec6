"""What rules that quantize know of the numbers: the steps of tensors, from calibration, and the element types."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from graphopt.graph.dtypes import DType
from graphopt.graph.graph import Node, Value
from graphopt.lang.values import Constant, constant_of

QUANTIZER = "#quantizer"
"""Under what bindings hold the quantizer: no name of a rule can be that."""

SMALLEST_STEP = 2.0**-126

LARGEST = {DType.int8: 127.0, DType.int4: 7.0, DType.float8e4m3fn: 448.0, DType.uint8: 255.0}
"""The largest code of each type; symmetric integers leave out the lowest, which has no opposite."""


class Calibration(Protocol):
    """What is known of the tensors of a graph, by name."""

    def has(self, name: str) -> bool:
        """Whether the tensor's range is known."""
        ...

    def scale(self, name: str) -> float | None:
        """The step of symmetric int8: the threshold above which magnitudes are clipped, divided by 127."""
        ...

    def range(self, name: str) -> tuple[float, float] | None:
        """The lowest and the highest value that are not clipped."""
        ...


@dataclass(frozen=True)
class Quantizer:
    """Ranges, and what they are divided into.

    Attributes:
        calibration: ranges by tensor; None: none are known.
        activations: the element type of activations; uint8 is asymmetric, all others have zero point 0.
        weights: the element type of weights, symmetric.
        alone: whether weights are quantized and activations are not.
    """

    calibration: Calibration | None = None
    activations: DType = DType.int8
    weights: DType = DType.int8
    alone: bool = False

    def has(self, value: Value) -> bool:
        return dequantizer(value) is not None or (self.calibration is not None and self.calibration.has(value.name))

    def step(self, value: Value) -> Constant:
        """The step of a tensor, float32.

        Raises:
            ValueError: its range is not known.
        """
        made = dequantizer(value) or quantizer_of(value)
        if made is not None:
            return constant_of(made.inputs[1])
        return Constant(np.asarray(self._parts(value)[0], np.float64), DType.float32)

    def zero_point(self, value: Value) -> Constant:
        """The code of 0, in the element type of the codes.

        Raises:
            ValueError: its range is not known.
        """
        made = dequantizer(value) or quantizer_of(value)
        if made is not None and made.input(2) is not None:
            return constant_of(made.inputs[2])
        return _code(self._parts(value)[1], self.activations)

    def _parts(self, value: Value) -> tuple[float, int]:
        found = None if self.calibration is None else self.calibration.range(value.name)
        scale = None if self.calibration is None else self.calibration.scale(value.name)
        if found is None or scale is None:
            raise ValueError(f"the range of {value.name} is not known: it was not calibrated")
        if self.activations is not DType.uint8:
            return _float32(scale * LARGEST[DType.int8] / LARGEST[self.activations]), 0
        low, high = min(found[0], 0.0), max(found[1], 0.0)
        step = _float32((high - low) / LARGEST[DType.uint8])
        return step, int(np.clip(np.rint(-low / step), 0, 255))


def dequantizer(value: Value) -> Node | None:
    """The DequantizeLinear that makes a tensor of one step, if one does."""
    node = value.producer
    return node if node is not None and has_one_step(node, "DequantizeLinear") else None


def quantizer_of(value: Value) -> Node | None:
    """The QuantizeLinear that makes codes of a tensor, in one step; the first of several."""
    return next((node for node in value.uses if has_one_step(node, "QuantizeLinear") and node.inputs[0] is value), None)


def has_one_step(node: Node, operator: str) -> bool:
    """Whether a node is half of a pair, by a constant step for the whole tensor."""
    if node.domain or node.op_type != operator or len(node.inputs) < 2:
        return False
    step = node.inputs[1]
    return step is not None and step.constant is not None and step.constant.size == 1


def _float32(step: float) -> float:
    """A step that is there as a float32: 1 for a tensor of zeros."""
    return max(float(np.float32(step)), SMALLEST_STEP) if step else 1.0


def _code(value: int, dtype: DType) -> Constant:
    kind = np.int64 if dtype.is_integer else np.float64
    return Constant(np.asarray(value, kind), dtype)


# --- weights ---


def weight_steps(weight: Constant, axis: int, dtype: DType, block: int | None = None) -> Constant:
    """Steps of a weight: its largest magnitude over the largest code, for each slice along the axis; with `block`, for
    each run of so many elements along the axis, and each place on the other axes. 1 where all is zero.

    Raises:
        ValueError: there is no such axis, or a block of less than one element.
    """
    magnitudes = np.abs(weight.array)
    axis = _axis(axis, magnitudes.ndim)
    if block is None:
        others = tuple(i for i in range(magnitudes.ndim) if i != axis)
        largest = magnitudes.max(axis=others, initial=0.0)
    else:
        if block < 1:
            raise ValueError(f"a block of {block} elements")
        starts = list(range(0, magnitudes.shape[axis], block))
        blocks = [len(starts) if i == axis else size for i, size in enumerate(magnitudes.shape)]
        largest = np.maximum.reduceat(magnitudes, starts, axis=axis) if magnitudes.size else np.zeros(blocks)
    steps = np.asarray(largest / LARGEST[dtype], np.float32).astype(np.float64)
    return Constant(np.where(largest == 0, 1.0, np.maximum(steps, SMALLEST_STEP)), DType.float32)


def weight_codes(weight: Constant, steps: Constant, axis: int, dtype: DType, block: int | None = None) -> Constant:
    """A weight in steps as `weight_steps` gives them: whole numbers to the nearest, ties to even, within the codes of
    the type.

    Raises:
        ValueError: there is no such axis.
    """
    axis = _axis(axis, weight.array.ndim)
    if block is None:
        spread = steps.array.reshape([-1 if i == axis else 1 for i in range(weight.array.ndim)])
    else:
        spread = np.repeat(steps.array, block, axis=axis).take(range(weight.array.shape[axis]), axis=axis)
    scaled = weight.array / spread
    if not dtype.is_integer:
        return Constant(np.clip(scaled, -LARGEST[dtype], LARGEST[dtype]), dtype)
    bound = LARGEST.get(dtype, 2.0 ** (dtype.bits - 1) - 1)
    return Constant(np.clip(np.rint(scaled), -bound, bound).astype(np.int64), dtype)


def _axis(axis: int, rank: int) -> int:
    if not -rank <= axis < rank:
        raise ValueError(f"there is no axis {axis} in rank {rank}")
    return axis % rank
