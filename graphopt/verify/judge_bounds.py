"""How far two runs in float64 may be apart: what rounding can move, found by moving it.

A run is repeated with every number moved at random by as much as it may be off: results and inputs by a roundoff of
float64 (sums inside an operator round as well, which moving its inputs stands for), constants that only one of the two
models has by a roundoff of the type that they are stored in, and so float attributes, which are float32 in every model.
How far an output then moves, element by element, is its condition. The true error is of that size with all signs
chosen at their worst; FACTOR covers it, and the chance that half of RUNS random moves (see `Noise.constant`) all fall
below a FACTOR-th of a typical one is FACTOR ** (-RUNS / 2), 1e-9.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
from onnx import numpy_helper

from graphopt.verify.float64 import NotComputable, Program, program
from graphopt.verify.float64_operators import spread
from graphopt.verify.float64_widen import is_array
from graphopt.verify.judge_values import Array, distance, flat, is_float, largest, magnitude

ROUNDOFF = {"float64": 2.0**-53, "float32": 2.0**-24, "float16": 2.0**-11, "bfloat16": 2.0**-8}
"""The largest relative error of rounding a number to the type."""

SMALLEST = {"float64": 2.0**-1074, "float32": 2.0**-149, "float16": 2.0**-24, "bfloat16": 2.0**-133}
"""The smallest number of the type: where rounding is no longer relative."""

UNIT = 2.0**-51
"""How far results and inputs are moved, relatively: four roundoffs of float64, since a move by one is rounded away
again where a number is just above a power of two."""

RUNS = 12
FACTOR = 32.0
LAST_ROUNDING = 4.0
"""Roundoffs that the last operation of either side may add, whatever the condition."""

QUANT_RUNS = 8
QUANT_FACTOR = 8.0
"""A step is much more than a roundoff: fewer of them are forgiven. 8 ** -8 is 6e-8."""


class Noise:
    """Moves numbers at random by what they may be off (an `Alter` of `Program.run`).

    Args:
        loose: element types by name of the constants that may be off by a roundoff of that type.
        attributes: whether float attributes may be off by one of float32.
        unit: what everything else may be off by, relatively.
    """

    def __init__(self, seed: int, loose: Mapping[str, str], attributes: bool, unit: float = UNIT) -> None:
        self._keeps_whole = seed % 2 == 1
        self._random = np.random.default_rng(seed)
        self._loose = loose
        self._attributes = attributes
        self._unit = unit

    def constant(self, name: str, value: Any) -> Any:
        """Whole numbers stay: they are exact, and operators such as Pow and Resize mean something else near them. But
        a large number can be whole by rounding, the likelier the fewer numbers of the type lie between two: one that
        may be either stays in every second run."""
        dtype = self._loose.get(name)
        unit, smallest = (self._unit, 0.0) if dtype is None else (max(self._unit, ROUNDOFF[dtype]), SMALLEST[dtype])
        moved = self._moved(value, unit, smallest)
        if not is_array(moved) or moved is value:
            return value
        is_exact = np.equal(value, np.rint(value)) & (self._keeps_whole | (np.abs(value) * unit < 2.0**-13))
        return np.where(is_exact, value, moved)

    def given(self, value: Any) -> Any:
        return self._moved(value, self._unit)

    def attribute(self, value: float) -> float:
        off = max(self._unit, ROUNDOFF["float32"]) if self._attributes else self._unit
        return float(value * (1 + off * self._random.uniform(-1, 1)))

    def result(self, node: Any, inputs: Sequence[Any], value: Any) -> Any:
        return self._moved(value, self._unit)

    def _moved(self, value: Any, unit: float, smallest: float = 0.0) -> Any:
        if not is_array(value) or value.dtype != np.float64:
            return value
        step = np.maximum(np.abs(value) * unit, smallest)
        # asarray: what is computed of an array without axes is no array any more
        return np.asarray(value + np.where(np.isfinite(step), step, 0.0) * self._random.uniform(-1, 1, np.shape(value)))


FLOAT8_STEP = 2.0**-3
"""Of E4M3, three bits behind the point: from one number to the next, of the number, at most."""

FLOAT8_LEAST = 2.0**-9
"""From one number to the next of the smallest ones, in units of the scale."""


class Steps(Noise):
    """Moves what comes out of every DequantizeLinear by up to so many steps, and nothing else."""

    def __init__(self, seed: int, steps: float = 0.5) -> None:
        super().__init__(seed, {}, attributes=False, unit=0.0)
        self._steps = steps

    def result(self, node: Any, inputs: Sequence[Any], value: Any) -> Any:
        if node.op_type != "DequantizeLinear":
            return value
        step = spread(np.asarray(inputs[1], np.float64), value.shape, node.axis, getattr(node, "block_size", 0))
        if np.asarray(inputs[0]).dtype.name == "float8_e4m3fn":
            step = np.maximum(FLOAT8_STEP * np.abs(value), FLOAT8_LEAST * step)
        return np.add(value, step * self._random.uniform(-self._steps, self._steps, np.shape(value)))


def loose_constants(model: onnx.ModelProto, other: onnx.ModelProto) -> dict[str, str]:
    """Floating constants of a model that the other one has not, by name, with their element types."""
    known = {content for _, content in _constants(other)}
    return {name: content[0] for name, content in _constants(model) if content not in known}


def has_new_attributes(model: onnx.ModelProto, other: onnx.ModelProto) -> bool:
    """Whether a model has a float attribute of a value that the other one has not, or one less."""
    return _float_attributes(model) != _float_attributes(other)


def _constants(model: onnx.ModelProto) -> list[tuple[str, tuple[str, bytes]]]:
    """Name, and element type with content; the shape is left out, since it may change without the numbers."""
    tensors = [(t.name, t) for t in model.graph.initializer]
    found: list[tuple[str, tuple[str, bytes]]] = []
    for node in model.graph.node:
        for attribute in node.attribute if node.op_type == "Constant" else ():
            if attribute.type == onnx.AttributeProto.TENSOR:
                tensors.append((node.output[0], attribute.t))
            elif attribute.type in (onnx.AttributeProto.FLOAT, onnx.AttributeProto.FLOATS):
                numbers = np.asarray(attribute.floats or [attribute.f], np.float32)
                found.append((node.output[0], ("float32", numbers.tobytes())))
    arrays = [(name, numpy_helper.to_array(tensor)) for name, tensor in tensors]
    found += [(name, (a.dtype.name, a.tobytes())) for name, a in arrays if a.dtype.name in ROUNDOFF]
    return found


def _float_attributes(model: onnx.ModelProto) -> set[float]:
    kinds = (onnx.AttributeProto.FLOAT, onnx.AttributeProto.FLOATS)
    found = [a for n in model.graph.node if n.op_type != "Constant" for a in n.attribute if a.type in kinds]
    return {value for a in found for value in (a.floats or [a.f])}


class Sides:
    """Two models in float64 on the same inputs, and how far they may be apart.

    Raises:
        NotComputable: one of them cannot be computed.
    """

    def __init__(self, before: onnx.ModelProto, after: onnx.ModelProto, feeds: Mapping[str, Array]) -> None:
        self._feeds = feeds
        self._models = before, after
        self._programs = program(before), program(after)
        self.before, self.after = (flat(p.run(feeds)) for p in self._programs)

    def excess(self, share: float = 0.0) -> Judged:
        """The output that is the farthest out of bounds.

        Args:
            share: what is allowed on top, of the largest magnitude in each output.
        """
        apart = self._apart()
        extra = {name: share * largest(value) for name, value in self.before.items()}
        allowed = {n: LAST_ROUNDING * 2.0**-53 * magnitude(v) + extra[n] for n, v in self.before.items()}
        judged = _judged(apart, allowed)
        if judged.fits:
            return judged
        before, after = self._models
        attributes = has_new_attributes(before, after)
        loose = loose_constants(before, after), loose_constants(after, before)
        moved = {name: np.zeros(value.shape) for name, value in apart.items()}
        for seed in range(RUNS):
            noises = (Noise(seed, names, attributes) for names in loose)
            for move in self._moves(noises):
                widen(moved, move)
            judged = _judged(apart, {name: allowed[name] + FACTOR * moved[name] for name in allowed})
            if judged.fits:
                break
        return judged

    def step_excess(self) -> Judged:
        """The same, with what half a step of each quantization moves the rewritten model. An output that is clipped may
        stay where it is for all of the moves, and yet be at its other end: steps as much larger as is forgiven tell."""
        apart = self._apart()
        moved = {name: np.zeros(value.shape) for name, value in apart.items()}
        floor = {name: 64 * ROUNDOFF["float32"] * largest(value) for name, value in self.before.items()}
        judged = Judged("", 0.0, 0.0)
        for factor, runs in ((1.0, QUANT_RUNS), (QUANT_FACTOR, 2 * QUANT_RUNS)):
            for seed in range(runs):
                move = moves(self._programs[1], self._feeds, Steps(seed, factor / 2), self.after)
                widen(moved, {name: far / factor for name, far in move.items()})
            judged = _judged(apart, {name: QUANT_FACTOR * moved[name] + floor[name] for name in moved})
            if judged.fits:
                break
        return judged

    def _apart(self) -> dict[str, Array]:
        """What is no real number before the rewrite may be anything after it."""
        found = {name: distance(value, self.after[name]) for name, value in self.before.items()}
        real = {n: np.isfinite(v) if is_float(v) else np.ones(v.shape, np.bool_) for n, v in self.before.items()}
        return {name: np.where(real[name], value, 0.0) for name, value in found.items()}

    def _moves(self, noises: Iterable[Noise]) -> Iterator[dict[str, Array]]:
        for ran, still, noise in zip(self._programs, (self.before, self.after), noises, strict=True):
            yield moves(ran, self._feeds, noise, still)


@dataclass(frozen=True)
class Judged:
    """Where an output is out of bounds, or comes nearest to it: its largest error there and what is allowed there."""

    output: str
    error: float
    allowed: float

    @property
    def fits(self) -> bool:
        return self.error <= self.allowed


def _judged(apart: Mapping[str, Array], allowed: Mapping[str, Array]) -> Judged:
    worst = Judged("", 0.0, 0.0)
    for name, errors in apart.items():
        if not errors.size:
            continue
        error, bound = errors.ravel(), np.broadcast_to(allowed[name], errors.shape).ravel()
        over = error > bound
        at = int(np.argmax(np.where(over, error, -1.0) if over.any() else error))
        found = Judged(name, float(error[at]), float(bound[at]))
        if not found.fits:
            return found
        if not worst.output or found.error > worst.error:
            worst = found
    return worst


def moves(ran: Program, feeds: Mapping[str, Array], noise: Noise, still: Mapping[str, Array]) -> dict[str, Array]:
    """How far noise moves each output, element by element; 0 where it makes something that is no number at all, or
    of another shape, since that says nothing about rounding."""
    try:
        found = flat(ran.run(feeds, noise))
    except NotComputable:
        return {}
    pairs = {name: (value, found[name]) for name, value in still.items() if name in found}
    far = {name: distance(a, b) for name, (a, b) in pairs.items() if a.shape == b.shape}
    return {name: np.where(np.isfinite(value), value, 0.0) for name, value in far.items()}


def widen(moved: dict[str, Array], move: Mapping[str, Array]) -> None:
    """The larger of the two, element by element, in `moved`."""
    for name, far in move.items():
        if far.shape == moved[name].shape:
            moved[name] = np.maximum(moved[name], far)
