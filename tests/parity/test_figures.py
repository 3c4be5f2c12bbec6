"""Figures against the formulas written out."""

from __future__ import annotations

import math
from typing import Any

import ml_dtypes
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from graphopt.parity import figures as module
from graphopt.parity.figures import EQUAL, Figures, compare_arrays, compare_outputs, decibels, ratio, worst

Array = np.ndarray[Any, Any]


def f32(*values: float) -> Array:
    return np.array(values, np.float32)


WIDTHS = st.integers(-30, 30).map(lambda e: float(2.0**e))
PAIRS = st.integers(0, 40).flatmap(
    lambda n: st.tuples(
        hnp.arrays(np.float32, n, elements=st.floats(-1e4, 1e4, width=32)),
        hnp.arrays(np.float32, n, elements=st.floats(-1e4, 1e4, width=32)),
    )
)


@settings(suppress_health_check=[HealthCheck.too_slow])  # other processes may be what is slow
@given(PAIRS, WIDTHS)
def test_the_formulas(pair: tuple[Array, Array], width: float) -> None:
    reference, candidate = (a * np.float32(width) for a in pair)
    found = compare_arrays(reference, candidate)
    r, c = reference.astype(np.float64), candidate.astype(np.float64)
    # sums of at most 40 float64 products, in another order: 40 * 2^-53 of the sum, squared values never cancel
    close = {"rel": 1e-13, "abs": 0.0}
    assert found.elements == r.size
    assert found.scale == np.abs(r).max(initial=0)
    assert found.max_abs == np.abs(c - r).max(initial=0)
    assert found.rms == pytest.approx(math.sqrt((r**2).mean()) if r.size else 0, **close)
    assert found.error_rms == pytest.approx(math.sqrt(((c - r) ** 2).mean()) if r.size else 0, **close)
    assert found.mismatches == 0
    assert found.bitwise == (reference.tobytes() == candidate.tobytes())
    norms = math.sqrt((r**2).sum() * (c**2).sum())
    if norms:
        # the products do cancel: an error of 40 * 2^-53 of the norms
        assert found.cosine == pytest.approx((r * c).sum() / norms, abs=1e-14)


@given(
    st.integers(1, 30).flatmap(
        lambda n: st.tuples(hnp.arrays(np.int64, n), hnp.arrays(np.int64, n), hnp.arrays(np.bool_, n))
    )
)
def test_integers_are_counted_exactly(arrays: tuple[Array, Array, Array]) -> None:
    first, second, same = arrays
    candidate = np.where(same, first, second)
    found = compare_arrays(first, candidate)
    assert found.mismatches == int((first != candidate).sum())
    assert found.bitwise == (found.mismatches == 0)


@given(hnp.arrays(np.float32, st.integers(0, 30)), st.integers(1, 7))
def test_blocks_change_nothing(array: Array, block: int) -> None:
    candidate = np.flip(array).copy()
    whole = compare_arrays(array, candidate)
    before = module.BLOCK
    module.BLOCK = block
    try:
        parts = compare_arrays(array, candidate)
    finally:
        module.BLOCK = before
    assert (parts.mismatches, parts.bitwise, parts.scale) == (whole.mismatches, whole.bitwise, whole.scale)
    assert parts.max_abs == whole.max_abs
    assert parts.error_rms == pytest.approx(whole.error_rms, rel=1e-12)


@given(hnp.arrays(np.float32, hnp.array_shapes(min_dims=0, max_dims=4, min_side=0)))
def test_an_array_equals_itself(array: Array) -> None:
    found = compare_arrays(array, array.copy())
    assert found.bitwise
    assert (found.max_abs, found.error_rms, found.mismatches, found.cosine) == (0, 0, 0, 1)
    assert (found.max_rel, found.sqnr_db) == (0, math.inf)


def test_a_known_case() -> None:
    found = compare_arrays(f32(1, -4), f32(1, -3))
    assert found == Figures(2, False, 0, 4.0, 1.0, math.sqrt(17 / 2), math.sqrt(1 / 2), 13 / math.sqrt(17 * 10))
    assert found.max_rel == 0.25
    assert found.sqnr_db == pytest.approx(10 * math.log10(17))


def test_signs_of_zero_are_bits_and_no_difference() -> None:
    found = compare_arrays(f32(0.0, 1), f32(-0.0, 1))
    assert not found.bitwise
    assert (found.max_abs, found.mismatches) == (0, 0)


def test_a_nan_is_like_any_other() -> None:
    other = np.array([0x7FC00001, 0x3F800000], np.uint32).view(np.float32)
    found = compare_arrays(f32(math.nan, 1), other)
    assert found.bitwise
    assert (found.mismatches, found.max_abs, found.scale) == (0, 0, 1)


def test_where_a_nan_stands_matters() -> None:
    found = compare_arrays(f32(math.nan, 1, 2), f32(1, math.nan, 2))
    assert (found.bitwise, found.mismatches, found.max_abs, found.scale) == (False, 2, 0, 2)


def test_infinities() -> None:
    inf = math.inf
    found = compare_arrays(f32(inf, -inf, inf, 1, 3), f32(inf, -inf, -inf, inf, 3))
    assert (found.mismatches, found.max_abs, found.scale) == (2, 0, 3)
    assert compare_arrays(f32(inf, 3), f32(inf, 3)).bitwise


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_nothing_finite(value: float) -> None:
    found = compare_arrays(f32(value, value), f32(value, value))
    assert (found.bitwise, found.scale, found.rms, found.cosine) == (True, 0, 0, 1)


def test_a_silent_reference() -> None:
    found = compare_arrays(f32(0, 0), f32(0, 1e-9))
    assert (found.max_rel, found.sqnr_db, found.cosine) == (math.inf, -math.inf, 0)


def test_squares_neither_overflow_nor_vanish() -> None:
    for factor in (1e300, 1e-300):
        found = compare_arrays(np.array([3.0, 4.0]) * factor, np.array([3.0, 4.5]) * factor)
        assert found.max_rel == pytest.approx(0.125)
        assert found.sqnr_db == pytest.approx(20)
        assert found.rms == pytest.approx(math.sqrt(12.5) * factor)


@pytest.mark.parametrize(
    "dtype", [np.float16, ml_dtypes.bfloat16, ml_dtypes.float8_e4m3fn, ml_dtypes.int4, np.uint8, np.int32]
)
def test_other_types(dtype: Any) -> None:
    found = compare_arrays(np.array([1, 2, 4], dtype), np.array([1, 3, 4], dtype))
    assert (found.scale, found.max_abs, found.bitwise) == (4, 1, False)
    assert found.mismatches == (1 if np.dtype(dtype).name in ("int4", "uint8", "int32") else 0)


def test_complex_numbers_are_pairs() -> None:
    found = compare_arrays(np.array([3 + 4j], np.complex64), np.array([3 + 5j], np.complex64))
    assert (found.elements, found.scale, found.max_abs) == (1, 4, 1)


def test_bools() -> None:
    assert compare_arrays(np.array([True, False]), np.array([True, True])).mismatches == 1


def test_text_is_equal_or_not() -> None:
    found = compare_arrays(np.array(["a", "b"], object), np.array(["a", "c"]))
    assert (found.elements, found.mismatches, found.bitwise) == (2, 1, False)
    assert math.isnan(found.max_rel)
    assert math.isnan(found.sqnr_db)
    assert compare_arrays(np.array(["a"], object), np.array(["a"], object)).bitwise


@pytest.mark.parametrize(
    ("reference", "candidate", "structure"),
    [
        (np.zeros((1, 2)), np.zeros((2, 1)), "shape [1, 2] became [2, 1]"),
        (np.zeros(2, np.float32), np.zeros(2, np.float64), "float32 became float64"),
        ([np.zeros(2)], [np.zeros(2), np.zeros(2)], "a sequence of 1 became one of 2"),
        ([np.zeros(2)], np.zeros(2), "a sequence became a tensor of float64"),
        (None, np.zeros(2, bool), "nothing became a tensor of bool"),
        ({"a": 1.0}, {"b": 1.0}, "the keys of a map changed"),
        ({"a": 1.0}, [], "a map became a sequence"),
        ("a", 1.0, "str became float"),
    ],
)
def test_what_cannot_be_compared(reference: object, candidate: object, structure: str) -> None:
    found = compare_outputs(reference, candidate)
    assert found.structure == structure
    assert not found.bitwise
    assert math.isnan(found.max_abs)


def test_sequences_maps_and_nothing() -> None:
    reference = [f32(1, 2), {"a": 1.0, "b": 2.0}, None, "text"]
    assert compare_outputs(reference, [f32(1, 2), {"a": 1.0, "b": 2.0}, None, "text"]).bitwise
    found = compare_outputs(reference, [f32(1, 2), {"a": 1.0, "b": 4.0}, None, "text"])
    assert (found.bitwise, found.max_abs, found.scale) == (False, 2, 2)
    assert compare_outputs([], []) == EQUAL


def test_an_array_of_nothing() -> None:
    assert compare_arrays(np.zeros((0, 3), np.float32), np.zeros((0, 3), np.float32)) == EQUAL
    found = compare_arrays(np.zeros((0, 3), np.float32), np.zeros((3, 0), np.float32))
    assert found.structure == "shape [0, 3] became [3, 0]"


def test_the_worst_of_several() -> None:
    first = Figures(10, True, 0, 8.0, 0.0, 2.0, 0.0, 1.0)
    second = Figures(30, False, 3, 4.0, 1.0, 2.0, 0.5, 0.9, "odd")
    found = worst([first, second])
    assert found == Figures(40, False, 3, 8.0, 1.0, 2.0, math.sqrt(30 * 0.25 / 40), 0.9, "odd")
    assert worst([]) == EQUAL


def test_ratio_and_decibels() -> None:
    assert (ratio(0, 0), ratio(1, 0), ratio(1, 4)) == (0, math.inf, 0.25)
    assert (decibels(0, 1), decibels(1, 0), decibels(1, 10)) == (math.inf, -math.inf, pytest.approx(20))
