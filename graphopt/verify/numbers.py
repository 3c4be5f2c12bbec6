"""Arrays of random numbers, of several kinds: what one kind hides, another shows."""

from __future__ import annotations

from random import Random
from typing import Any

import numpy as np

from graphopt.graph.dtypes import DType
from graphopt.graph.tensor import Array
from graphopt.lang import tree as t
from graphopt.verify.choices import Impossible

FINITE_STYLES = ("integers", "normal", "positive", "zeros", "ones", "same", "wide")
STYLES = (*FINITE_STYLES, "special")

NEAR = 1e-7
"""How far, relatively, an approximate float32 constant may be from its number: exporters that compute it otherwise are
off by a roundoff or two. More would be another number, for a judge who tells rounding from error."""

_SPECIAL = (0.0, -0.0, 1.0, -1.0, 0.5, float("inf"), float("-inf"), float("nan"), 1e30, -1e-30, 1e-40, 65504.0, 3.5)


def sample_array(random: Random, dtype: DType, shape: tuple[int, ...], style: str) -> Array:
    """An array of this style:

    - integers: small whole numbers of both signs, which floats add and multiply without rounding
    - normal: of a standard normal distribution; positive: between 1/4 and 4
    - spread: the same, but integers of all magnitudes, half of them such that sums and products wrap around
    - zeros (of both signs), ones, same (one number everywhere)
    - wide: magnitudes from 1e-3 to 1e3
    - special: infinities, NaN, signed zeros, denormals, overflow
    """
    generator = np.random.default_rng(random.getrandbits(32))
    if dtype is DType.string:
        return generator.choice(np.array(["", "a", "b", "1.0"], dtype=object), shape)
    if dtype is DType.bool:
        return np.asarray(generator.random(shape) < 0.5)
    if dtype.is_integer:
        return _integers(generator, dtype, shape, style)
    with np.errstate(all="ignore"):
        return np.asarray(_floats(generator, shape, style), np.float64).astype(dtype.numpy)


def _integers(generator: np.random.Generator, dtype: DType, shape: tuple[int, ...], style: str) -> Array:
    low, high = (0, 1) if dtype.bits == 1 else _limits(dtype)
    if style == "zeros":
        return np.zeros(shape, dtype.numpy)
    if style == "ones":
        return np.ones(shape, dtype.numpy)
    if style == "same":
        return np.full(shape, min(int(generator.choice([2, 3, 4, 6])), high), dtype.numpy)
    if style in ("special", "wide") and dtype.bits >= 8:
        edges = np.array([low, low + 1, 0, 1, high - 1, high], dtype=object)
        return np.asarray(generator.choice(edges, shape)).astype(dtype.numpy)
    if style == "spread" and dtype.bits >= 8:  # the least one is left out: divided by -1 it ends the process
        signs = generator.choice([-1, 1] if low else [1], shape)
        most = float(np.log2(high)) - 0.01
        least = generator.choice([0.0, most - 3], shape)
        return (signs * 2.0 ** generator.uniform(least, most, shape)).astype(dtype.numpy)
    first = max(low, 1 if style == "positive" else -5)
    return generator.integers(first, min(high, 6), shape, endpoint=True).astype(dtype.numpy)


def _limits(dtype: DType) -> tuple[int, int]:
    signed = dtype.name.startswith("int")
    return (-(2 ** (dtype.bits - 1)), 2 ** (dtype.bits - 1) - 1) if signed else (0, 2**dtype.bits - 1)


def _floats(generator: np.random.Generator, shape: tuple[int, ...], style: str) -> Any:
    if style == "integers":
        return generator.integers(-4, 4, shape, endpoint=True)
    if style == "positive":
        return generator.uniform(0.25, 4.0, shape)
    if style == "zeros":
        return generator.choice([0.0, -0.0], shape)
    if style == "ones":
        return np.ones(shape)
    if style == "same":
        return np.full(shape, generator.choice([2.0, -1.5, 0.5, 3.0]))
    if style == "wide":
        return generator.choice([-1.0, 1.0], shape) * 10.0 ** generator.uniform(-3, 3, shape)
    if style == "special":
        return generator.choice(_SPECIAL, shape)
    return generator.standard_normal(shape)


def number_array(number: t.Number, dtype: DType, off: float) -> Array:
    """The number of a pattern as one element of a type. `off` from -1 to 1 says how far from it, within what the
    matcher takes for near.

    Raises:
        Impossible: the type has no such number.
    """
    if dtype.is_integer:
        if number.value != int(number.value):
            raise Impossible(f"{number.value} is no {dtype.name}")
        try:
            return np.asarray([int(number.value)], dtype.numpy)
        except OverflowError:
            raise Impossible(f"{number.value} is no {dtype.name}") from None
    near = NEAR if dtype is DType.float32 else 0.0
    value = number.value * (1 + off * near) if number.is_approximate else number.value
    return np.asarray([value], np.float64).astype(dtype.numpy)
