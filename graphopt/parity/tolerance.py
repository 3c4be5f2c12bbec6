"""How far an output may be from the original's, by contract. Derivations and measurements: docs/parity.md."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import cast

import numpy as np

from graphopt.data.sample import Array
from graphopt.graph.dtypes import DType, dtype_of
from graphopt.parity.contract import Contract
from graphopt.parity.figures import Figures, ratio

ROUNDOFF = {DType.float64: 2.0**-53, DType.float32: 2.0**-24, DType.float16: 2.0**-11, DType.bfloat16: 2.0**-8}
"""The largest relative error of rounding a number to the type."""

DISTURBANCE = {DType.float64: 8, DType.float32: 8, DType.float16: 2, DType.bfloat16: 2}
"""By how many roundoffs weights and inputs are moved to see how much rounding matters. The short types take fewer: they
are stored, not computed with, so that an operator rounds once however long its sums are."""

GRAINS = 10, 2
"""How many steps an output may be off, and in the mean square, that is computed in steps: ONNX Runtime's Sigmoid is 1/2
plus something, so that near 0 it has steps of 2^-25, and is up to 4.9 of them off, 1.1 in the mean square."""

CHAOS = 0.1
"""A disturbance that moves an output by more than this share of its root mean square drowns it."""

QUANT_MIN_SQNR_DB = 10.0
"""The noise has a tenth of the signal's power. A sound int8 network has more than this; one scale that is wrong for a
whole tensor leaves less."""


@dataclass(frozen=True)
class Limits:
    """Bounds that a user sets in place of a contract's; None leaves that figure free."""

    max_rel: float | None = None
    min_sqnr_db: float | None = None
    min_cosine: float | None = None

    def __str__(self) -> str:
        said = {"max-rel": self.max_rel, "min-sqnr": self.min_sqnr_db, "min-cosine": self.min_cosine}
        return ", ".join(f"{name} {value:g}" for name, value in said.items() if value is not None)


@dataclass(frozen=True)
class Magnitude:
    """How large an output is over all samples, and of what type.

    Attributes:
        dtype: of its (first) tensor; None for what holds none.
        scale: max |value| over all samples.
        rms: the largest root mean square of a sample.
    """

    dtype: DType | None
    scale: float
    rms: float

    @property
    def is_float(self) -> bool:
        return self.dtype in ROUNDOFF


@dataclass(frozen=True)
class Tolerance:
    """The largest differences that pass, absolute. `source` says where they come from, in a few words."""

    max_abs: float
    error_rms: float
    mismatches: int
    source: str
    cosine: float = -1.0
    bitwise: bool = False
    structure: bool = False

    def allows(self, figures: Figures) -> bool:
        """Whether the figures of an output are within the bounds."""
        return self.excess(figures) <= 1

    def excess(self, figures: Figures) -> float:
        """How much of its bound the worst figure takes up; infinite where nothing is allowed and something is there."""
        if self.bitwise:
            return 0.0 if figures.bitwise and figures.structure is None else math.inf
        if figures.structure is not None:
            return 0.0 if self.structure else math.inf
        shares = [ratio(figures.mismatches, self.mismatches)]
        if not math.isnan(figures.max_abs):
            shares += [ratio(figures.max_abs, self.max_abs), ratio(figures.error_rms, self.error_rms)]
            shares += [math.inf] if figures.rms and figures.cosine < self.cosine else []
        return max(shares)

    def widened(self, moved: Figures, runs: int) -> Tolerance:
        """With what the original's own output does when it is disturbed `runs` times."""
        return replace(
            self,
            max_abs=max(self.max_abs, _known(moved.max_abs)),
            error_rms=max(self.error_rms, _known(moved.error_rms)),
            mismatches=max(self.mismatches, moved.mismatches),
            structure=self.structure or moved.structure is not None,
            source=f"the original, disturbed {runs} times" if runs > 1 else "the original, disturbed",
        )

    def grained(self, grain: float) -> Tolerance:
        """With a few steps of an output that is computed in steps of `grain`."""
        if not grain:
            return self
        most, mean = GRAINS
        return replace(self, max_abs=max(self.max_abs, most * grain), error_rms=max(self.error_rms, mean * grain))


def base_tolerance(contract: Contract, output: Magnitude, elements: int) -> Tolerance:
    """What a contract allows an output, whatever the model.

    Of integers, bools and text only the number that differ is bounded: labels have no distance. `real` starts at twice
    the disturbance, in roundoffs of the output's type: what a model that hands its input on would show, and as much
    again for the last operator.
    """
    if contract.kind == "exact":
        return Tolerance(0.0, 0.0, 0, "every bit", bitwise=True)
    dtype = output.dtype
    if dtype is None or dtype not in ROUNDOFF:
        # what comes out of a quantized network element by element tells nothing about its quality
        share = {"real": 0.0, "approx": contract.error, "quant": 1.0}[contract.kind]
        return Tolerance(math.inf, math.inf, int(share * elements), "equality" if not share else str(contract))
    floor = 2 * DISTURBANCE[dtype] * ROUNDOFF[dtype]
    if contract.kind == "real":
        return Tolerance(floor * output.scale, floor * output.rms, 0, "rounding")
    if contract.kind == "approx":
        error = max(contract.error, floor)
        return Tolerance(error * output.scale, error * output.rms, 0, str(contract))
    return Tolerance(math.inf, 10 ** (-QUANT_MIN_SQNR_DB / 20) * output.rms, 0, "quant")


def limits_tolerance(limits: Limits, output: Magnitude) -> Tolerance:
    """What the user's limits allow; integers, bools and text must be equal."""
    if not output.is_float:
        return Tolerance(math.inf, math.inf, 0, "equality")
    return Tolerance(
        max_abs=math.inf if limits.max_rel is None else limits.max_rel * output.scale,
        error_rms=math.inf if limits.min_sqnr_db is None else 10 ** (-limits.min_sqnr_db / 20) * output.rms,
        mismatches=0,
        source="as given",
        cosine=-1.0 if limits.min_cosine is None else limits.min_cosine,
    )


def is_chaotic(moved: Figures, *, floats: bool) -> bool:
    """Whether a disturbance by rounding drowns an output; of integers, if it flips more than half of many."""
    if not floats or math.isnan(moved.error_rms):
        return moved.elements > 1 and moved.mismatches > moved.elements / 2
    return moved.error_rms > CHAOS * moved.rms


def magnitude(outputs: Iterable[object], figures: Iterable[Figures]) -> Magnitude:
    """The magnitude of an output; `outputs` are the reference's, `figures` of any candidate against them."""
    known = [f for f in figures if not math.isnan(f.scale)]
    dtype = next((found for output in outputs if (found := _element_type(output)) is not None), None)
    return Magnitude(dtype, max((f.scale for f in known), default=0.0), max((f.rms for f in known), default=0.0))


def grain(output: object) -> float:
    """The largest power of two of which all values are multiples, if it is below the roundoff of 1; else 0.

    A float32 whose last bits are all 0 below 2^-25, say, is a difference of numbers near 1: it cannot be known better.
    """
    if not isinstance(output, np.ndarray):
        return 0.0
    array = cast(Array, output)
    if array.dtype.kind != "f":
        return 0.0
    values = np.abs(array.astype(np.float64).reshape(-1))
    values = values[np.isfinite(values) & (values > 0)]
    if not values.size:
        return 0.0
    bits = np.finfo(array.dtype).nmant + 1
    fraction, exponent = np.frexp(values)
    whole = np.ldexp(fraction, bits).astype(np.int64)
    lowest = np.ldexp((whole & -whole).astype(np.float64), exponent - bits)
    found = float(lowest.min())
    return found if found <= 2.0 ** (1 - bits) else 0.0


def _element_type(output: object) -> DType | None:
    """Of an output; of the first tensor in a sequence or map."""
    if isinstance(output, np.ndarray):
        return dtype_of(cast(Array, output))
    if isinstance(output, dict):
        return _element_type(list(cast("dict[object, object]", output).values()))
    if isinstance(output, list):
        items = cast("list[object]", output)
        return _element_type(items[0]) if items else None
    return DType.float32 if isinstance(output, float) else None


def _known(value: float) -> float:
    return 0.0 if math.isnan(value) else value
