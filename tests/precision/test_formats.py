"""What may be held in a short type."""

from __future__ import annotations

import numpy as np
import pytest

from graphopt.calibration.count import count
from graphopt.calibration.statistics import TensorStatistics
from graphopt.data.sample import Array
from graphopt.graph.dtypes import DType
from graphopt.precision.formats import FORMATS, Format

FLOAT16, BFLOAT16 = FORMATS[DType.float16], FORMATS[DType.bfloat16]


def _counted(array: Array) -> TensorStatistics:
    found = TensorStatistics("t")
    count(found, array.astype(np.float32), "s", None)
    return found


def _normal(size: float) -> Array:
    return np.random.default_rng(1).standard_normal(10_000) * size


@pytest.mark.parametrize("kind", FORMATS.values(), ids=lambda k: k.dtype.name)
def test_facts_of_the_types(kind: Format) -> None:
    largest = np.float32(kind.largest)
    assert float(largest.astype(kind.dtype.numpy)) == kind.largest
    with np.errstate(over="ignore"):
        assert np.isinf((largest * np.float32(1.004)).astype(kind.dtype.numpy).astype(np.float32))
    one = np.array(1, kind.dtype.numpy)
    assert float(np.array(1 + kind.roundoff, np.float32).astype(kind.dtype.numpy)) == float(one)  # a tie goes to even
    assert float(np.array(1 + 1.1 * kind.roundoff, np.float32).astype(kind.dtype.numpy)) == 1 + 2 * kind.roundoff


def test_a_tensor_that_fits() -> None:
    assert FLOAT16.refuses(_counted(_normal(1.0))) is None
    assert BFLOAT16.refuses(_counted(_normal(1e-30))) is None
    assert FLOAT16.refuses(_counted(np.zeros(10))) is None


def test_half_of_the_largest_number_is_too_near() -> None:
    assert FLOAT16.refuses(_counted(np.array([32751.0]))) is None
    assert FLOAT16.refuses(_counted(np.array([-32768.0]))) == "reaches 3.277e+04, and the largest float16 is 65504"
    assert BFLOAT16.refuses(_counted(np.array([32768.0]))) is None


def test_small_numbers_count_as_a_whole() -> None:
    """Steps of 2^-24 are half of a number of 1e-7, and nothing beside 1."""
    assert FLOAT16.refuses(_counted(_normal(1e-7))) == "is so small that float16 leaves it 15 dB of 71"
    assert FLOAT16.refuses(_counted(np.concatenate([_normal(1e-7), _normal(1.0)]))) is None


def test_nan_is_refused() -> None:
    assert FLOAT16.refuses(_counted(np.array([1.0, np.nan]))) == "held NaN or infinite values"


def test_constants() -> None:
    assert FLOAT16.refuses_constant(_normal(1.0)) is None
    assert FLOAT16.refuses_constant(np.array([-np.inf, 0.0], np.float32)) is None
    assert FLOAT16.refuses_constant(np.zeros(0, np.float32)) is None
    assert FLOAT16.refuses_constant(np.array([-3.4e38])) == "holds 3.4e+38, and the largest float16 is 65504"
    assert FLOAT16.refuses_constant(np.array([1e-12])) == "is so small that float16 leaves it 0 dB of 71"
    assert BFLOAT16.refuses_constant(np.array([1e-12])) is None


@pytest.mark.parametrize(
    ("values", "is_normal"),
    [([1e-3, 2.0], True), ([-2.0, -1e-3], True), ([1e-5, 2.0], False), ([-1.0, 1.0], False), ([0.0, 1.0], False)],
)
def test_nothing_below_the_normal_numbers(values: list[float], is_normal: bool) -> None:
    assert FLOAT16.is_normal(_counted(np.array(values))) is is_normal
