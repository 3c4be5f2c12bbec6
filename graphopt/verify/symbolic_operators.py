"""Operators on arrays of symbolic reals.

Three kinds. What moves numbers and nothing else is run in float64 on labels, and the labels that come out say what came
from where. What is linear in its only input is run on unit vectors; a convolution, on labels for each tap of its
weight. The rest is written out. So the semantics of pads, strides, groups and axes are the evaluator's, which ONNX
Runtime agrees with (tests/verify), and not written a second time.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from typing import Any, TypeGuard

import numpy as np
import onnx

from graphopt.verify.float64 import NotComputable
from graphopt.verify.float64_node import run_node
from graphopt.verify.float64_widen import Array, is_array
from graphopt.verify.symbolic_elementwise import ELEMENTWISE, Attributes, Unsupported
from graphopt.verify.symbolic_reals import Algebra, Real

MOVES = frozenset(
    {
        *("CenterCropPad", "Concat", "DepthToSpace", "Dropout", "Expand", "Flatten", "Gather", "GatherElements"),
        *("GatherND", "Identity", "Pad", "Reshape", "ReverseSequence", "ScatterElements", "ScatterND", "Slice"),
        *("SpaceToDepth", "Split", "Squeeze", "Tile", "Transpose", "Trilu", "Unsqueeze"),
    }
)
LINEAR = frozenset({"AveragePool", "CumSum", "GlobalAveragePool", "ReduceMean", "ReduceSum", "Resize", "Upsample"})
TAPS = frozenset({"Conv", "ConvTranspose"})

MOST_PROBES = 64
"""Unit vectors, or taps, that are worth running."""


class Operators:
    """Nodes of one opset on symbolic inputs."""

    def __init__(self, algebra: Algebra, opset: int) -> None:
        self._algebra = algebra
        self._opset = opset

    def run(self, node: onnx.NodeProto, inputs: Sequence[Array | None]) -> list[Array]:
        """The outputs. Inputs are arrays of `Real` (of Python's object type), or of integers and bools.

        Raises:
            Unsupported: the operator, or this use of it, is not known here.
        """
        if node.domain not in ("", "ai.onnx"):
            raise Unsupported(f"{node.domain}::{node.op_type}")
        try:
            if not any(is_symbolic(i) for i in inputs):
                return [self.lift(v) for v in self._evaluate(node, inputs)]
            # what numpy computes of an array of objects without axes is an object
            return [objects((), [v]) if isinstance(v, Real) else v for v in self._symbolic(node, inputs)]
        except NotComputable as reason:
            raise Unsupported(str(reason)) from None

    def lift(self, value: Any) -> Array:
        """Floats as reals, anything else as it is."""
        array = np.asarray(value)
        if array.dtype.kind != "f":
            return array
        if not np.isfinite(array).all():
            raise Unsupported("a number that is not finite")
        return objects(array.shape, [self._algebra.constant(float(v)) for v in array.ravel()])

    def _symbolic(self, node: onnx.NodeProto, inputs: Sequence[Array | None]) -> list[Array]:
        kind = node.op_type
        if any(a.name == "reduction" and a.s != b"none" for a in node.attribute):
            raise Unsupported(f"{kind} with a reduction")
        if kind in MOVES or (kind == "Cast" and _to_float(node)) or kind == "CastLike":
            return self._moved(node, inputs)
        if kind in LINEAR:
            return [self._linear(node, inputs)]
        if kind in TAPS:
            return [self._convolved(node, inputs)]
        if kind in ELEMENTWISE:
            return [ELEMENTWISE[kind](Attributes(node, self._opset), *inputs)]
        raise Unsupported(kind)

    def _evaluate(self, node: onnx.NodeProto, inputs: Sequence[Array | None]) -> list[Any]:
        return run_node(node, inputs, self._opset)

    # --- by labels and by unit vectors ---

    def _moved(self, node: onnx.NodeProto, inputs: Sequence[Array | None]) -> list[Array]:
        table: list[Real] = [self._algebra.constant(0)]
        labelled: list[Any] = [self._labels(value, table) if is_symbolic(value) else value for value in inputs]
        return [_picked(labels, table) for labels in self._evaluate(node, labelled)]

    def _labels(self, value: Array | None, table: list[Real]) -> Array:
        assert value is not None
        first = len(table)
        table.extend(value.ravel().tolist())
        return np.asarray(range(first, len(table)), np.float64).reshape(value.shape)

    def _linear(self, node: onnx.NodeProto, inputs: Sequence[Array | None]) -> Array:
        x, *rest = inputs
        if x is None or not is_symbolic(x) or x.size > MOST_PROBES:
            raise Unsupported(f"{node.op_type} of so much")
        rest = [_plain(r) for r in rest]
        total: Array | None = None
        for place, number in enumerate(x.ravel().tolist()):
            unit: Any = np.zeros(x.size)
            unit[place] = 1.0
            (weights, *_) = self._evaluate(node, [unit.reshape(x.shape), *rest])
            part = _fractions(weights) * number
            total = part if total is None else total + part
        if total is None:
            raise Unsupported(f"{node.op_type} of nothing")
        return total

    def _convolved(self, node: onnx.NodeProto, inputs: Sequence[Array | None]) -> Array:
        """Each tap of the weight takes every output from at most one input: on labels, it says from which."""
        x, w, *bias = inputs
        if x is None or w is None or w.size > MOST_PROBES:
            raise Unsupported(f"{node.op_type} of so much")
        table: list[Real] = [self._algebra.constant(0)]
        x, w = (self.lift(v) if not is_symbolic(v) else v for v in (x, w))
        labels = self._labels(x, table)
        bare = onnx.NodeProto()
        bare.CopyFrom(node)
        del bare.input[2:]
        total: Array | None = None
        for place, weight in enumerate(w.ravel().tolist()):
            unit: Any = np.zeros(w.size)
            unit[place] = 1.0
            (taken,) = self._evaluate(bare, [labels, unit.reshape(w.shape)])
            part = _picked(taken, table) * weight
            total = part if total is None else total + part
        if total is None:
            raise Unsupported(f"{node.op_type} of nothing")
        if bias and bias[0] is not None:
            total = total + bias[0].reshape([-1, *[1] * (total.ndim - 2)])
        return total


def is_symbolic(value: Any) -> TypeGuard[Array]:
    """Whether a value is an array of reals."""
    return is_array(value) and value.dtype == object and not (value.size and isinstance(value.flat[0], str))


def objects(shape: tuple[int, ...], items: Sequence[Any]) -> Array:
    """An array of Python objects; left to itself, numpy would look for the parts of each."""
    found: Any = np.empty(len(items), object)
    found[:] = items
    return found.reshape(shape)


def _plain(value: Array | None) -> Array | None:
    """Reals that are known, as floats."""
    if value is None or not is_symbolic(value):
        return value
    known = [number.known for number in value.ravel().tolist()]
    if None in known:
        raise Unsupported("a parameter that is not known")
    return np.array([float(number) for number in known], np.float64).reshape(value.shape)


def _picked(labels: Any, table: Sequence[Real]) -> Array:
    if not is_array(labels) or labels.dtype != np.float64:
        return np.asarray(labels)
    return objects(labels.shape, [table[int(label)] for label in labels.ravel().tolist()])


def _fractions(weights: Array) -> Array:
    """Weights of averages are quotients of small numbers; anything else is not known exactly."""
    found = [Fraction(v).limit_denominator(256) for v in weights.ravel().tolist()]
    if any(abs(float(f) - v) > 1e-12 for f, v in zip(found, weights.ravel().tolist(), strict=True)):
        raise Unsupported("weights that are no simple fractions")
    return objects(weights.shape, found)


def _to_float(node: onnx.NodeProto) -> bool:
    floats = (onnx.TensorProto.FLOAT, onnx.TensorProto.DOUBLE, onnx.TensorProto.FLOAT16, onnx.TensorProto.BFLOAT16)
    return any(a.name == "to" and a.i in floats for a in node.attribute)
