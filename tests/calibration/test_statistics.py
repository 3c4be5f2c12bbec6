"""Counting: against plain loops, and the laws of merging."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from graphopt.calibration.count import BLOCK, count
from graphopt.calibration.exact import ExactSums
from graphopt.calibration.histogram import BINS, Histogram
from graphopt.calibration.statistics import Statistics, TensorStatistics
from graphopt.errors import DataError

FLOAT32 = st.floats(width=32, allow_nan=False, allow_infinity=False)
ANY_FLOAT32 = st.floats(width=32)
FLOAT64 = st.floats(allow_nan=False, allow_infinity=False, min_value=-1e300, max_value=1e300)


def counted(arrays: list[np.ndarray[Any, Any]], axis: int | None = 1) -> TensorStatistics:
    tensor = TensorStatistics("t")
    for number, array in enumerate(arrays):
        count(tensor, array, f"sample {number}", axis)
    return tensor


# --- exact sums ---


@settings(deadline=None)
@given(st.lists(FLOAT64, max_size=30))
def test_exact_sums_do_not_round(numbers: list[float]) -> None:
    sums = ExactSums(1)
    for number in numbers:
        sums.add(np.array([number]))
    exact = float(sum(map(Fraction, numbers), Fraction(0)))
    # `values` adds limbs of 32 bits from the largest: the first two that are not zero hold at least 33 bits, and what
    # each addition rounds is below 2^-52 of the partial sum, of which there are no more than 70
    assert sums.values()[0] == pytest.approx(exact, rel=70 * 2.0**-52, abs=0)


@settings(deadline=None)
@given(st.lists(st.tuples(FLOAT64, FLOAT64), max_size=12), st.randoms(use_true_random=False), st.integers(0, 12))
def test_exact_sums_do_not_depend_on_order_or_grouping(
    rows: list[tuple[float, float]], random: Any, place: int
) -> None:
    whole, shuffled, rest = ExactSums(2), ExactSums(2), ExactSums(2)
    for row in rows:
        whole.add(np.array(row))
    random.shuffle(rows)
    for row in rows[:place]:
        shuffled.add(np.array(row))
    for row in rows[place:]:
        rest.add(np.array(row))
    shuffled.merge(rest)
    whole.settle()
    shuffled.settle()
    assert (whole.low, whole.limbs.tolist()) == (shuffled.low, shuffled.limbs.tolist())


def test_exact_sums_cancel_to_nothing() -> None:
    sums = ExactSums(1)
    for number in (1e300, 1.0, -1e300, -1.0):
        sums.add(np.array([number]))
    sums.settle()
    assert sums.limbs.shape == (1, 0)
    assert sums.values().tolist() == [0.0]


# --- histograms ---


@settings(deadline=None)
@given(npst.arrays(np.float32, st.integers(1, 50), elements=FLOAT32))
def test_histogram_against_a_loop(array: np.ndarray[Any, Any]) -> None:
    histogram = counted([array], None).histogram
    expected = np.zeros(2 * BINS, np.int64)
    for value in array.tolist():
        place = Fraction(value) / Fraction(histogram.width or 1.0)
        expected[BINS + place.__floor__()] += 1
    assert histogram.counts.tolist() == expected.tolist()
    largest = float(np.abs(array).max())
    if largest > 2.0**-100:
        assert largest < 2.0 ** (histogram.exponent or 0) <= 2 * largest


@settings(deadline=None)
@given(npst.arrays(np.float32, st.integers(1, 40), elements=FLOAT32), st.integers(0, 40))
def test_histograms_of_parts_merge_to_that_of_the_whole(array: np.ndarray[Any, Any], place: int) -> None:
    whole, first, second = (counted([part], None).histogram for part in (array, array[:place], array[place:]))
    first.merge(second)
    assert first == whole


def test_signs_of_a_histogram_read_from_zero_outwards() -> None:
    histogram = counted([np.array([0.0, -0.0, 0.25, -0.25, 0.999, -0.999], np.float32)], None).histogram
    assert (histogram.exponent, histogram.width) == (0, 2.0**-12)
    assert np.flatnonzero(histogram.positive).tolist() == [0, 1024, 4091]
    assert np.flatnonzero(histogram.negative).tolist() == [1023, 4091]
    assert int(histogram.magnitudes.sum()) == 6


def test_a_histogram_of_zeros_has_no_range() -> None:
    histogram = counted([np.zeros(3, np.float32)], None).histogram
    assert (histogram.exponent, histogram.width, int(histogram.positive[0])) == (None, 0.0, 3)
    histogram.merge(Histogram())
    assert histogram.exponent is None


# --- tensors ---

SHAPES = [
    (2, 3, 4, 5),
    (1, 7, 1, 1),
    (3, 5),
    (2, 4, 6),
    (1, 2, BLOCK + 3),
    (BLOCK + 3, 2),
    (1, BLOCK + 3),
    (4, 1),
    (9,),
]


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("last", [False, True])
def test_channels_against_numpy(shape: tuple[int, ...], last: bool) -> None:
    axis = len(shape) - 1 if last or len(shape) < 2 else 1
    array = np.random.default_rng(0).standard_normal(shape).astype(np.float32)
    channels = counted([array, array * 2], axis).channels
    assert channels is not None
    both = np.concatenate((array, array * 2), 0 if axis else None).astype(np.float64)
    if not axis:  # rank 1: each value is a channel
        both = np.stack((array, array * 2)).astype(np.float64)
        axis = 1
    others = tuple(i for i in range(both.ndim) if i != axis)
    assert channels.counts.tolist() == [both.size // both.shape[axis]] * both.shape[axis]
    assert channels.minimum.tolist() == both.min(axis=others).tolist()
    assert channels.absmax.tolist() == np.abs(both).max(axis=others).tolist()
    # float64 sums of up to 2 * 32771 numbers about 1, in another order: 2^17 roundings of 2^-53 of at most 2^17
    np.testing.assert_allclose(channels.mean, both.mean(axis=others), rtol=0, atol=2.0**-30)
    np.testing.assert_allclose(channels.variance, both.var(axis=others), rtol=0, atol=2.0**-30)


@settings(deadline=None)
@given(
    st.lists(npst.arrays(np.float32, (2, 3, 4), elements=ANY_FLOAT32), min_size=1, max_size=6),
    st.randoms(use_true_random=False),
    st.integers(1, 7),
)
def test_order_and_shards_do_not_show(arrays: list[np.ndarray[Any, Any]], random: Any, shards: int) -> None:
    numbered = [(f"sample {number}", array) for number, array in enumerate(arrays)]
    whole = Statistics("m", {"t": TensorStatistics("t")})
    for name, array in numbered:
        count(whole["t"], array, name, 1)
        whole.samples += 1
    random.shuffle(numbered)
    merged = Statistics("m", {"t": TensorStatistics("t")})
    for shard in range(shards):
        part = Statistics("m", {"t": TensorStatistics("t")})
        for name, array in numbered[shard::shards]:
            count(part["t"], array, name, 1)
            part.samples += 1
        merged.merge(part)
    assert merged == whole


def test_zeros_extremes_and_count() -> None:
    tensor = counted([np.array([[0.0, -3.0, 0.0, 2.0]], np.float32), np.array([[5.0]], np.float32)])
    assert (tensor.count, tensor.zeros, tensor.minimum, tensor.maximum, tensor.absmax) == (5, 2, -3.0, 5.0, 5.0)
    assert tensor.channels is None  # four channels, then one


def test_what_is_not_finite_is_kept_apart() -> None:
    array = np.array([[[np.nan, 1.0], [-np.inf, np.inf]]], np.float32)
    tensor = counted([np.ones((1, 2, 2), np.float32), array])
    assert (tensor.count, tensor.not_finite, tensor.not_finite_in) == (5, 3, "sample 1")
    assert int(tensor.histogram.counts.sum()) == 5
    assert tensor.channels is not None
    assert tensor.channels.counts.tolist() == [3, 2]
    assert tensor.channels.mean.tolist() == [1.0, 1.0]
    with pytest.raises(DataError) as caught:
        tensor.refuse_not_finite()
    assert str(caught.value) == (
        "tensor 't' holds 3 values that are NaN or infinite\n  at: sample 1\n"
        "  help: leave the sample out, or keep what computes the tensor in floating point"
    )


def test_a_float64_beyond_float32_counts_as_infinite() -> None:
    assert counted([np.array([[1e300, 1.0]])]).not_finite == 1


def test_statistics_of_another_model_or_other_tensors_do_not_merge() -> None:
    one = Statistics("a", {"t": TensorStatistics("t")})
    with pytest.raises(DataError) as caught:
        one.merge(Statistics("b", {"t": TensorStatistics("t")}))
    assert str(caught.value) == (
        "these statistics are of different models\n  help: merge only what was collected on one and the same"
    )
    with pytest.raises(DataError) as caught:
        one.merge(Statistics("a", {"u": TensorStatistics("u")}))
    assert str(caught.value) == (
        "these statistics are of different tensors: 't' is in one only\n"
        "  help: collect both with the same choice of tensors"
    )


# --- covariance ---


@pytest.mark.parametrize("shape", [(2, 3, 4, 5), (7, 3), (1, 2, BLOCK + 3)], ids=str)
def test_covariance_against_numpy(shape: tuple[int, ...]) -> None:
    random = np.random.default_rng(0)
    arrays = [random.standard_normal(shape).astype(np.float32) + 1 for _ in range(3)]
    tensor, parts = TensorStatistics("t"), [TensorStatistics("t") for _ in arrays]
    for array, part in zip(arrays, parts, strict=True):
        count(tensor, array, "s", 1, products=True)
        count(part, array, "s", 1, products=True)
    assert tensor.channels is not None
    found = tensor.channels.covariance
    assert found is not None
    flat = np.concatenate([np.moveaxis(a, 1, 0).reshape(shape[1], -1) for a in arrays], axis=1).astype(np.float64)
    # float64 sums of up to 3 * 65539 products about 2, in another order: 2^18 roundings of 2^-53 of at most 2^19
    np.testing.assert_allclose(found, np.cov(flat, bias=True), rtol=0, atol=2.0**-30)
    parts[2].merge(parts[0])
    parts[2].merge(parts[1])
    assert parts[2] == tensor


def test_covariance_only_where_all_samples_have_it() -> None:
    with_it, without = TensorStatistics("t"), TensorStatistics("t")
    array = np.ones((1, 2, 3), np.float32)
    count(with_it, array, "s", 1, products=True)
    count(without, array, "s", 1)
    assert without.channels is not None
    assert without.channels.covariance is None
    with_it.merge(without)
    assert with_it.channels is not None
    assert with_it.channels.covariance is None
