"""Made values for one input, by element type."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

import ml_dtypes
import numpy as np

from graphopt.data.facts import Range
from graphopt.data.sample import Array
from graphopt.graph.dtypes import DType
from graphopt.graph.interface import TensorSpec

_WORDS = np.array(["a", "sample", "Of", "text,", "with", "äöü", "numbers", "42", "", "and words"], dtype=object)


def integer_range(spec: TensorSpec, hints: Mapping[str, Range], default: Range) -> Range:
    """What integers of an input are drawn from: what is known of it; else, for 8 bits, all that the type holds, since
    they are pixels, bytes or quantized values; else the default."""
    if spec.dtype in (DType.uint8, DType.int8):
        default = (0, 255) if spec.dtype is DType.uint8 else (-128, 127)
    return hints.get(spec.name, default)


def make_values(spec: TensorSpec, shape: tuple[int, ...], seed: str, *, uniform: bool, integers: Range) -> Array:
    """An array for an input, the same for the same arguments.

    Floats are normal, N(0, 1), or uniform in [0, 1). Integers are drawn from `integers`, as far as the type reaches.
    """
    dtype = spec.dtype or DType.float32
    rng = _generator(f"{seed}/{spec.name}/{dtype.name}/{shape}")
    if dtype is DType.string:
        return np.asarray(_WORDS[rng.integers(0, len(_WORDS), shape)], dtype=object).reshape(shape)
    if dtype is DType.bool:
        return rng.integers(0, 2, shape).astype(bool)
    if dtype.is_integer:
        return _integers(dtype, shape, rng, integers)
    real = rng.random(shape) if uniform else rng.standard_normal(shape)
    if dtype in (DType.complex64, DType.complex128):
        real = real + 1j * rng.standard_normal(shape)
    if dtype is DType.float8e8m0:
        real = 2.0 ** np.round(real)  # powers of two are all it has
    return np.asarray(real).astype(dtype.numpy)


def _integers(dtype: DType, shape: tuple[int, ...], rng: np.random.Generator, wanted: Range) -> Array:
    info = ml_dtypes.iinfo(dtype.numpy)
    low, high = (min(max(limit, int(info.min)), int(info.max)) for limit in wanted)
    return rng.integers(low, high, shape, endpoint=True).astype(dtype.numpy)


def _generator(text: str) -> np.random.Generator:
    return np.random.Generator(np.random.PCG64(int.from_bytes(hashlib.sha256(text.encode()).digest()[:16], "big")))
