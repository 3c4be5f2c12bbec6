"""Operators on arrays of symbolic reals that are written out: arithmetic, activations, products, normalizations."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable
from typing import Any

import numpy as np
import onnx
from onnx import helper

from graphopt.graph.schemas import attribute_default
from graphopt.verify.float64_widen import Array, is_array
from graphopt.verify.symbolic_reals import Real


class Unsupported(Exception):
    """An operator that cannot be computed symbolically; says which."""


class Attributes:
    """Those of one node, with the defaults of its opset."""

    def __init__(self, node: onnx.NodeProto, opset: int) -> None:
        self.operator = node.op_type
        self.opset = opset
        self._said: dict[str, Any] = {a.name: helper.get_attribute_value(a) for a in node.attribute}

    def __call__(self, name: str) -> Any:
        found = self._said.get(name)
        if found is None:
            return attribute_default(self.operator, self.opset, name)
        return found.decode() if isinstance(found, bytes) else found


Operator = Callable[..., Array]
Unary = Callable[[Real], Real]
Binary = Callable[[Any, Any], Any]


def _map(function: Callable[..., Any], *arrays: Array) -> Array:
    result: Any = np.frompyfunc(function, len(arrays), 1)(*arrays)
    if is_array(result):
        return result
    found = np.empty((), object)
    found[()] = result
    return found


def _each(function: Unary) -> Operator:
    """Of one tensor, element by element; attributes do not matter."""

    def run(_attributes: Attributes, x: Array) -> Array:
        return _map(function, x)

    return run


def _with(names: tuple[str, ...], function: Callable[..., Real]) -> Operator:
    """Of one tensor, element by element, and of some attributes that are numbers."""

    def run(attributes: Attributes, x: Array) -> Array:
        numbers = [float(attributes(name)) for name in names]

        def one(value: Real) -> Real:
            return function(value, *numbers)

        return _map(one, x)

    return run


def _named(name: str) -> Operator:
    def one(x: Real) -> Real:
        return x.algebra.function(name, x)

    return _each(one)


def _folded(function: Binary) -> Operator:
    """Of any number of tensors that broadcast, from the left."""

    def run(_attributes: Attributes, *xs: Array) -> Array:
        total = xs[0]
        for x in xs[1:]:
            total = _map(function, total, x)
        return total

    return run


def _maximum(a: Any, b: Any) -> Real:
    return a.maximum(b)


def _minimum(a: Any, b: Any) -> Real:
    return a.minimum(b)


def _quotient(a: Any, b: Any) -> Real:
    return a / b


def _power(a: Any, b: Any) -> Real:
    return a**b


def _mean(_attributes: Attributes, *xs: Array) -> Array:
    return _folded(operator.add)(_attributes, *xs) / len(xs)


# --- activations ---


def _absolute(x: Real) -> Real:
    return abs(x)


def _relu(x: Real) -> Real:
    return x.maximum(0)


def _sigmoid(x: Real) -> Real:
    return ((-x).exp() + 1).reciprocal()


def _swish(x: Real, alpha: float = 1.0) -> Real:
    return x * _sigmoid(x * alpha)


def _softplus(x: Real) -> Real:
    return (x.exp() + 1).log()


def _bent(x: Real, below: Any) -> Real:
    return x.maximum(0) + x.minimum(0) * below


def _prelu(_attributes: Attributes, x: Array, slope: Array) -> Array:
    return _map(_bent, x, slope)


def _hard_sigmoid(x: Real, alpha: Any, beta: Any) -> Real:
    return (x * alpha + beta).maximum(0).minimum(1)


def _hard_swish(x: Real) -> Real:
    return x * _hard_sigmoid(x, x.algebra.constant(1) / 6, x.algebra.constant(1) / 2)


def _clip(attributes: Attributes, x: Array, low: Array | None = None, high: Array | None = None) -> Array:
    if attributes.opset < 11:
        low, high = (np.asarray(attributes(n)) if abs(attributes(n)) < 3e38 else None for n in ("min", "max"))
    if low is not None:
        x = _map(_maximum, x, low)
    return x if high is None else _map(_minimum, x, high)


def _gelu(attributes: Attributes, x: Array) -> Array:
    if attributes("approximate") != "none":
        raise Unsupported("Gelu by tanh")

    def one(v: Real) -> Real:
        return v * (v.algebra.function("erf", v * v.algebra.constant(2).sqrt() / 2) + 1) / 2

    return _map(one, x)


# --- products ---


def _matmul(_attributes: Attributes, a: Array, b: Array) -> Array:
    return np.asarray(np.matmul(a, b), object)


def _gemm(attributes: Attributes, a: Array, b: Array, c: Array | None = None) -> Array:
    a = a.T if attributes("transA") else a
    b = b.T if attributes("transB") else b
    product = np.asarray(np.matmul(a, b), object) * float(attributes("alpha"))
    return product if c is None else product + c * float(attributes("beta"))


# --- normalizations ---


def _root(x: Any) -> Real:
    return x.sqrt()


def _along_channels(parameters: tuple[Array, ...], x: Array) -> list[Array]:
    return [p.reshape([-1, *[1] * (x.ndim - 2)]) if x.ndim > 1 else p for p in parameters]


def _batch_normalization(attributes: Attributes, x: Array, *parameters: Array) -> Array:
    if attributes("training_mode"):
        raise Unsupported("BatchNormalization in training")
    scale, bias, mean, var = _along_channels(parameters, x)
    return scale * (x - mean) / _map(_root, var + attributes("epsilon")) + bias


def _normalized(x: Array, axes: tuple[int, ...], epsilon: float) -> Array:
    count = math.prod(x.shape[a] for a in axes)
    centred = x - np.sum(x, axis=axes, keepdims=True) / count
    variance = np.sum(centred * centred, axis=axes, keepdims=True) / count
    return centred / _map(_root, variance + epsilon)


def _layer_normalization(attributes: Attributes, x: Array, scale: Array, bias: Array | None = None) -> Array:
    axes = tuple(range(attributes("axis") % x.ndim, x.ndim))
    result = _normalized(x, axes, attributes("epsilon")) * scale
    return result if bias is None else result + bias


def _instance_normalization(attributes: Attributes, x: Array, *parameters: Array) -> Array:
    scale, bias = _along_channels(parameters, x)
    return _normalized(x, tuple(range(2, x.ndim)), attributes("epsilon")) * scale + bias


def _softmax(attributes: Attributes, x: Array) -> Array:
    if attributes.opset < 13:
        raise Unsupported("Softmax of several axes")
    raised = _map(Real.exp, x)
    return raised / np.sum(raised, axis=attributes("axis"), keepdims=True)


def _where(_attributes: Attributes, condition: Array, a: Array, b: Array) -> Array:
    if condition.dtype == object:
        raise Unsupported("Where of a condition that depends on symbols")
    return np.where(condition, a, b)


ELEMENTWISE: dict[str, Operator] = {
    "Abs": _each(_absolute),
    "Add": _folded(operator.add),
    "BatchNormalization": _batch_normalization,
    "Clip": _clip,
    "Div": _folded(_quotient),
    "Erf": _named("erf"),
    "Exp": _each(Real.exp),
    "Gelu": _gelu,
    "Gemm": _gemm,
    "HardSigmoid": _with(("alpha", "beta"), _hard_sigmoid),
    "HardSwish": _each(_hard_swish),
    "InstanceNormalization": _instance_normalization,
    "LayerNormalization": _layer_normalization,
    "LeakyRelu": _with(("alpha",), _bent),
    "Log": _each(Real.log),
    "MatMul": _matmul,
    "Max": _folded(_maximum),
    "Mean": _mean,
    "Min": _folded(_minimum),
    "Mul": _folded(operator.mul),
    "Neg": _each(operator.neg),
    "PRelu": _prelu,
    "Pow": _folded(_power),
    "Reciprocal": _each(Real.reciprocal),
    "Relu": _each(_relu),
    "Sigmoid": _each(_sigmoid),
    "Softmax": _softmax,
    "Softplus": _each(_softplus),
    "Sqrt": _each(_root),
    "Sub": _folded(operator.sub),
    "Sum": _folded(operator.add),
    "Swish": _with(("alpha",), _swish),
    "Tanh": _named("tanh"),
    "Where": _where,
}
