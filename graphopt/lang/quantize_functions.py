"""Functions of rules that quantize."""

from __future__ import annotations

from typing import Any

import numpy as np

from graphopt.graph.dtypes import DType
from graphopt.graph.graph import Value
from graphopt.lang.quantizer import QUANTIZER, Quantizer, dequantizer, weight_codes, weight_steps
from graphopt.lang.registry import function
from graphopt.lang.values import Constant, Decline, constant_of, is_list


@function("qdq(value: tensor|list[tensor], axis?: int, block?: int, type?: dtype, like?: tensor) -> tensor")
def _qdq(value: Any, axis: Any = None, block: Any = None, type: Any = None, like: Any = None) -> Any:
    """In a rewrite: a tensor in codes and back, by one pair of QuantizeLinear and DequantizeLinear for all that read
    it, in the steps of `like` if that is given; of a constant, its codes, with one step for each slice along an axis,
    or for each block along it; of a node, what it makes; of a list, each."""
    raise Decline("qdq makes nodes, which is not done while computing")


@function("calibrated(value: tensor|list[tensor]) -> bool", reads=QUANTIZER)
def _calibrated(quantizer: Quantizer, value: Any) -> Any:
    """Whether the range of a tensor, or of each of several, is known: from calibration, or since it was quantized
    already; unknown where nothing is quantized."""
    return all(isinstance(v, Value) and quantizer.has(v) for v in _several(value))


@function("quantized(value: tensor|list[tensor]) -> bool")
def _quantized(value: Any) -> Any:
    """Whether a tensor, or each of several, comes from codes: out of a DequantizeLinear of one step."""
    return all(isinstance(v, Value) and dequantizer(v) is not None for v in _several(value))


def _several(value: Any) -> Any:
    return value if is_list(value) else (value,)


@function("scale(value: tensor) -> const", reads=QUANTIZER)
def _scale(quantizer: Quantizer, value: Any) -> Any:
    """The step in which a tensor is quantized."""
    return quantizer.step(_graph_tensor(value))


@function("zero_point(value: tensor) -> const", reads=QUANTIZER)
def _zero_point(quantizer: Quantizer, value: Any) -> Any:
    """The code of 0 of a tensor that is quantized, in the element type of its codes."""
    return quantizer.zero_point(_graph_tensor(value))


def _graph_tensor(value: Any) -> Value:
    if not isinstance(value, Value):
        raise Decline("a constant has no range from calibration")
    return value


@function("weights_alone(type: dtype) -> bool", reads=QUANTIZER)
def _weights_alone(quantizer: Quantizer, type: DType) -> Any:
    """Whether weights are quantized to this element type, and activations are not."""
    return quantizer.alone and quantizer.weights is type


@function("activations_in(type: dtype) -> bool", reads=QUANTIZER)
def _activations_in(quantizer: Quantizer, type: DType) -> Any:
    """Whether activations are quantized to this element type."""
    return not quantizer.alone and quantizer.activations is type


@function("scales(weight: const, axis: int, block?: int, type?: dtype) -> const", reads=QUANTIZER)
def _scales(quantizer: Quantizer, weight: Any, axis: Any, block: int | None = None, type: DType | None = None) -> Any:
    """The steps in which a weight is quantized, one for each slice along an axis, or for each block of so many
    elements along it: the largest magnitude over the largest code."""
    constant = constant_of(weight)
    if constant.array.dtype.kind != "f" or not np.isfinite(constant.array).all():
        raise Decline("a weight is not of finite numbers")
    return weight_steps(constant, axis, type or quantizer.weights, block)


@function("codes(weight: const, steps: const, axis: int, block?: int, type?: dtype) -> const", reads=QUANTIZER)
def _codes(
    quantizer: Quantizer, weight: Any, steps: Any, axis: Any, block: int | None = None, type: DType | None = None
) -> Any:
    """A constant in steps, one for each slice along an axis, or for each block of so many elements along it: to the
    nearest whole number, and no farther out than the codes of the element type (that of quantized weights, if none is
    given)."""
    return weight_codes(constant_of(weight), constant_of(steps), axis, type or quantizer.weights, block)


@function("zero_codes(steps: const, type?: dtype) -> const", reads=QUANTIZER)
def _zero_codes(quantizer: Quantizer, steps: Any, type: DType | None = None) -> Any:
    """The code of 0 for each of these steps, which is 0."""
    dtype = type or quantizer.weights
    kind = np.int64 if dtype.is_integer else np.float64
    return Constant(np.zeros(constant_of(steps).array.shape, kind), dtype)
