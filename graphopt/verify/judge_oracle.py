"""Whether ONNX Runtime and float64 agree about one model: if they do not, neither can judge."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import onnx

from graphopt.verify.float64 import program
from graphopt.verify.float64_widen import is_array
from graphopt.verify.judge_bounds import FACTOR, ROUNDOFF, RUNS, Judged, Noise, moves, widen
from graphopt.verify.judge_values import Array, distance, largest

SLACK = 64.0
"""Roundoffs of an output's type that a kernel may be off by itself, of the largest magnitude in the output, or of 1 if
that is smaller: approximations of Sigmoid, Tanh and Erf are good to an absolute 2^-22 or so."""


def disagreement(
    model: onnx.ModelProto, feeds: Mapping[str, Array], wide: Mapping[str, Array], narrow: Mapping[str, Array]
) -> Judged | None:
    """The output that the oracles see differently, beyond what rounding to the model's own types explains; None if
    there is none, or if numbers on the way leave the range of a type, so that nothing can be said.

    Args:
        wide: what the model gives in float64.
        narrow: what it gives in ONNX Runtime.
    """
    found = _beyond(wide, narrow, {})
    if found is None:
        return None
    unit = max((ROUNDOFF[n] for n in _types(model, narrow)), default=2.0**-53)
    extent = Extent(min((_RANGES[n] for n in _types(model, narrow)), default=_RANGES["float64"]))
    ran = program(model)
    ran.run(feeds, extent)
    if extent.left:
        return None
    moved = {name: np.zeros(value.shape) for name, value in wide.items()}
    for seed in range(RUNS):
        widen(moved, moves(ran, feeds, Noise(seed, {}, attributes=False, unit=unit), wide))
        found = _beyond(wide, narrow, moved)
        if found is None:
            return None
    return found


def _beyond(wide: Mapping[str, Array], narrow: Mapping[str, Array], moved: Mapping[str, Array]) -> Judged | None:
    for name, value in wide.items():
        other = narrow[name]
        if value.shape != other.shape:
            return Judged(name, np.inf, 0.0)
        if not value.size or value.dtype.kind in "USO":
            continue
        error = distance(value, other).ravel()
        floor = SLACK * ROUNDOFF.get(other.dtype.name, 0.0) * max(1.0, largest(other))
        allowed = np.broadcast_to(floor + FACTOR * moved.get(name, np.zeros(())), value.shape).ravel()
        over = error > allowed
        if over.any():
            at = int(np.argmax(np.where(over, error, -1.0)))
            return Judged(name, float(error[at]), float(allowed[at]))
    return None


def _types(model: onnx.ModelProto, outputs: Mapping[str, Array]) -> set[str]:
    """The floating types that a model computes in, as far as inputs, weights, outputs and Casts show them."""
    graph = model.graph
    numbers = {t.data_type for t in graph.initializer}
    numbers |= {i.type.tensor_type.elem_type for i in (*graph.input, *graph.output)}
    numbers |= {a.i for n in graph.node if n.op_type == "Cast" for a in n.attribute if a.name == "to"}
    names = {onnx.TensorProto.DataType.Name(n).lower() for n in numbers}
    found = {_NAMES[n] for n in names if n in _NAMES} | {a.dtype.name for a in outputs.values()}
    return found & set(ROUNDOFF)


_NAMES = {"float": "float32", "double": "float64", "float16": "float16", "bfloat16": "bfloat16"}

_RANGES = {"float16": (2.0**-14, 65504.0), "float32": (2.0**-126, 3.4e38), "bfloat16": (2.0**-126, 3.3e38)}
_RANGES["float64"] = (2.0**-1022, 1.7e308)


class Extent:
    """Notes whether any number on the way leaves a range of magnitudes (an `Alter` that alters nothing)."""

    def __init__(self, normal: tuple[float, float]) -> None:
        self._low, self._high = normal
        self.left = False

    def constant(self, name: str, value: Any) -> Any:
        return value

    def given(self, value: Any) -> Any:
        return self.result(None, (), value)

    def attribute(self, value: float) -> float:
        return value

    def result(self, node: Any, inputs: Sequence[Any], value: Any) -> Any:
        if is_array(value) and value.dtype == np.float64 and value.size:
            size = np.abs(value)
            size = size[size > 0]
            self.left = self.left or not bool(((size >= self._low) & (size <= self._high)).all())
        return value
