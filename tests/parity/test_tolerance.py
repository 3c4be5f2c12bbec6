"""Bounds by contract, and what widens them."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from graphopt.graph.dtypes import DType
from graphopt.parity.contract import EXACT, QUANT, REAL, Contract
from graphopt.parity.figures import EQUAL, Figures, compare_arrays
from graphopt.parity.tolerance import (
    Limits,
    Magnitude,
    Tolerance,
    base_tolerance,
    grain,
    is_chaotic,
    limits_tolerance,
    magnitude,
)

U = 2.0**-24
FLOAT = Magnitude(DType.float32, scale=4.0, rms=1.0)
INT = Magnitude(DType.int64, scale=4.0, rms=1.0)


def figures(**changes: Any) -> Figures:
    return replace(Figures(100, False, 0, 4.0, 0.0, 1.0, 0.0, 1.0), **changes)


def test_exact_means_every_bit() -> None:
    tolerance = base_tolerance(EXACT, FLOAT, 100)
    assert tolerance.allows(EQUAL)
    assert not tolerance.allows(figures())
    assert not tolerance.allows(replace(EQUAL, structure="shape [1] became [2]"))


@pytest.mark.parametrize(
    ("dtype", "relative"),
    # twice the disturbance: 8 roundoffs where sums are made in the type, 2 where it is only stored
    [(DType.float32, 16 * 2.0**-24), (DType.float64, 16 * 2.0**-53), (DType.float16, 4 * 2.0**-11)],
)
def test_real_starts_at_a_few_roundoffs_of_the_scale(dtype: DType, relative: float) -> None:
    tolerance = base_tolerance(REAL, Magnitude(dtype, 4.0, 1.0), 100)
    assert (tolerance.max_abs, tolerance.error_rms, tolerance.mismatches) == (4 * relative, relative, 0)


def test_real_bounds_the_largest_and_the_mean_square_difference() -> None:
    assert base_tolerance(REAL, INT, 100) == Tolerance(math.inf, math.inf, 0, "equality")
    tolerance = base_tolerance(REAL, FLOAT, 100)
    assert tolerance.allows(figures(max_abs=64 * U, error_rms=16 * U))
    assert not tolerance.allows(figures(max_abs=65 * U, error_rms=16 * U))
    assert not tolerance.allows(figures(max_abs=64 * U, error_rms=17 * U))
    assert not tolerance.allows(figures(mismatches=1))


def test_approx_takes_its_error_of_the_scale_and_of_the_elements() -> None:
    tolerance = base_tolerance(Contract("approx", 0.01), FLOAT, 250)
    assert (tolerance.max_abs, tolerance.error_rms, tolerance.mismatches) == (0.04, 0.01, 0)
    assert base_tolerance(Contract("approx", 0.01), INT, 250).mismatches == 2


def test_quant_bounds_the_noise_of_floats_alone() -> None:
    tolerance = base_tolerance(QUANT, FLOAT, 100)
    assert tolerance.allows(figures(max_abs=3.0, error_rms=0.316))
    assert not tolerance.allows(figures(max_abs=3.0, error_rms=0.317))
    assert base_tolerance(QUANT, INT, 100).mismatches == 100


def test_limits_of_a_user() -> None:
    tolerance = limits_tolerance(Limits(max_rel=0.01, min_sqnr_db=40, min_cosine=0.99), FLOAT)
    assert tolerance.allows(figures(max_abs=0.04, error_rms=0.01, cosine=0.99))
    assert not tolerance.allows(figures(max_abs=0.041))
    assert not tolerance.allows(figures(error_rms=0.011))
    assert not tolerance.allows(figures(cosine=0.98))
    assert tolerance.allows(figures(cosine=0.0, rms=0.0, scale=0.0))
    assert limits_tolerance(Limits(min_cosine=0.9), INT).allows(figures())
    assert not limits_tolerance(Limits(min_cosine=0.9), INT).allows(figures(mismatches=1, max_abs=1))
    assert str(Limits(max_rel=0.01, min_cosine=0.99)) == "max-rel 0.01, min-cosine 0.99"


def test_text_has_mismatches_only() -> None:
    nan = math.nan
    text = Figures(10, False, 1, nan, nan, nan, nan, nan)
    assert not base_tolerance(REAL, Magnitude(DType.string, 0, 0), 10).allows(text)
    assert Tolerance(0, 0, 1, "").allows(text)


def test_excess_is_the_share_of_the_tightest_bound() -> None:
    tolerance = Tolerance(4.0, 1.0, 2, "")
    assert tolerance.excess(figures(max_abs=1.0, error_rms=0.5, mismatches=0)) == 0.5
    assert tolerance.excess(figures(mismatches=3)) == 1.5
    assert tolerance.excess(figures(structure="shape")) == math.inf
    assert Tolerance(0.0, 0.0, 0, "").excess(figures(max_abs=1e-30)) == math.inf


def test_widening_takes_the_larger_of_both() -> None:
    base = Tolerance(1.0, 1.0, 0, "rounding")
    moved = figures(max_abs=3.0, error_rms=0.5, mismatches=2)
    assert base.widened(moved, 1) == Tolerance(3.0, 1.0, 2, "the original, disturbed")
    assert base.widened(moved, 2).source == "the original, disturbed 2 times"
    assert base.widened(figures(structure="shape [1] became [2]"), 1).allows(figures(structure="shape [1] became [3]"))


@pytest.mark.parametrize(
    ("moved", "chaotic"),
    [
        (figures(error_rms=0.1), False),
        (figures(error_rms=0.11), True),
        (figures(mismatches=51), False),
        (figures(structure="shape", error_rms=math.nan), False),
    ],
)
def test_chaos(moved: Figures, chaotic: bool) -> None:
    assert is_chaotic(moved, floats=True) is chaotic


@pytest.mark.parametrize(
    ("moved", "chaotic"),
    [
        (figures(mismatches=50, error_rms=9.0), False),
        (figures(mismatches=51), True),
        (figures(elements=1, mismatches=1), False),
    ],
)
def test_chaos_of_labels(moved: Figures, chaotic: bool) -> None:
    assert is_chaotic(moved, floats=False) is chaotic


def test_magnitude_is_over_all_samples() -> None:
    outputs = [np.float32([1, -4]), np.float32([2, 2])]
    found = magnitude(outputs, [compare_arrays(o, o) for o in outputs])
    assert found == Magnitude(DType.float32, 4.0, math.sqrt(17 / 2))
    assert magnitude([[], [np.float16([1])]], []) == Magnitude(DType.float16, 0.0, 0.0)
    assert magnitude([{"a": 1.0}], []).dtype is DType.float32
    assert magnitude([None], []).dtype is None


@pytest.mark.parametrize(
    ("values", "step"),
    [
        ([3 * 2.0**-25, 8 * 2.0**-25], 2.0**-25),
        ([0.0, 2.0**-24, math.inf, math.nan], 2.0**-24),
        ([2.0**-30 + 2.0**-40], 2.0**-40),
        ([0.5, 1.0], 0.0),
        ([2.0**-22], 0.0),
        ([], 0.0),
        ([0.0], 0.0),
    ],
)
def test_grain(values: list[float], step: float) -> None:
    assert grain(np.float32(values)) == step
    assert grain(-np.float32(values)) == step


def test_only_floats_have_a_grain() -> None:
    assert grain(np.array([1, 2])) == 0.0
    assert grain(None) == 0.0
    assert grain(np.float16([3 * 2.0**-12])) == 2.0**-12


def test_a_sigmoid_near_zero_may_be_some_steps_off() -> None:
    base = Tolerance(1e-9, 1e-9, 0, "rounding")
    assert base.grained(2.0**-25) == Tolerance(10 * 2.0**-25, 2 * 2.0**-25, 0, "rounding")
    assert base.grained(0.0) is base
