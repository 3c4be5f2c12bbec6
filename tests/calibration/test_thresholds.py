"""Thresholds, each against a loop that does what its name says."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from graphopt.calibration.count import count
from graphopt.calibration.entropy import entropy_bins
from graphopt.calibration.levels import Magnitudes
from graphopt.calibration.statistics import TensorStatistics
from graphopt.calibration.thresholds import METHODS, threshold
from graphopt.errors import DataError, UsageError

Array = np.ndarray[Any, Any]


def counted(array: Array) -> TensorStatistics:
    tensor = TensorStatistics("t")
    count(tensor, array.astype(np.float32).reshape(1, -1), "sample", None)
    return tensor


def drawn(kind: str, size: int = 20000) -> Array:
    random = np.random.default_rng(1)
    draws = {
        "normal": lambda: random.standard_normal(size),
        "relu": lambda: np.maximum(random.standard_normal(size), 0),
        "laplace": lambda: random.laplace(size=size),
        "outlier": lambda: np.append(random.standard_normal(size), 30.0),
        "uniform": lambda: random.random(size),
        "two peaks": lambda: np.append(random.standard_normal(size) * 0.1 + 3, random.standard_normal(size) * 0.1),
    }
    return draws[kind]()


KINDS = ("normal", "relu", "laplace", "outlier", "uniform", "two peaks")


def slow_divergence(counts: list[float], kept: int, levels: int) -> float:
    """KL(P || Q) as TensorRT's slides have it, bin by bin."""
    p = counts[:kept]
    p[-1] += sum(counts[kept:])
    q = [0.0] * kept
    for level in range(levels):
        start, end = kept * level // levels, kept * (level + 1) // levels
        filled = [i for i in range(start, end) if counts[i]]
        for i in filled:
            q[i] = sum(counts[start:end]) / len(filled)
    if any(a and not b for a, b in zip(p, q, strict=True)):
        return math.inf
    p_sum, q_sum = sum(p), sum(q)
    if not q_sum:
        return math.inf
    return sum(a / p_sum * math.log(a / p_sum / (b / q_sum)) for a, b in zip(p, q, strict=True) if a)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(0, 50), min_size=1, max_size=60), st.integers(1, 12))
def test_entropy_against_a_loop(counts: list[int], levels: int) -> None:
    found = entropy_bins(np.array(counts, float), levels)
    spread: list[float] = [float(c) for c in counts]
    if len(counts) > 1:
        spread[0] = spread[1]
    if len(counts) <= levels or not sum(spread):
        assert found == len(counts)
        return
    slow = {kept: slow_divergence(list(spread), kept, levels) for kept in range(levels, len(counts) + 1)}
    # sums of up to 60 terms about 1 in another order: equal to 1e-12, which settles any choice but a tie
    assert slow[found] == pytest.approx(min(slow.values()), rel=0, abs=1e-12)


def slow_error(values: Array, t: float, levels: int) -> float:
    step = t / levels
    return float(((values - np.clip(np.rint(values / step), 0, levels) * step) ** 2).sum())


@pytest.mark.parametrize("kind", KINDS)
def test_squared_error_against_the_values_themselves(kind: str) -> None:
    """With each value in the middle of its bin, the histogram knows all there is to know."""
    tensor = counted(drawn(kind))
    magnitudes = Magnitudes(tensor.histogram)
    middles = (np.arange(len(magnitudes.counts)) + 0.5) * magnitudes.width
    values = np.repeat(middles, magnitudes.counts.astype(int))
    for t in tensor.absmax * np.array([0.01, 0.1, 0.377, 0.9, 1.0]):
        fast = float(magnitudes.squared_error(np.array([t]))[0])
        # a bin whose middle lies next to the border of two levels may fall to either: the two errors are then the same
        # up to the bin's width, which is at most 2^-11 of the range and so 1/16 of the step at T = absmax
        assert fast == pytest.approx(slow_error(values, t, 127), rel=0.05)


@pytest.mark.parametrize("kind", KINDS)
def test_mse_finds_no_worse_than_a_search_over_the_values(kind: str) -> None:
    values = np.abs(drawn(kind).astype(np.float32)).astype(float)
    tensor = counted(drawn(kind))
    found = slow_error(values, threshold(tensor, "mse"), 127)
    best = min(slow_error(values, t, 127) for t in np.linspace(0.02, 1, 200) * tensor.absmax)
    # the search is as fine as this one; what the histogram does not tell is where in its bin, a 16th of a step, a
    # value lies, and so which of nearly equal thresholds is the best
    assert found <= best * 1.02


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("percentile", [99.0, 99.9, 99.99, 99.9999, 100.0])
def test_percentile_keeps_what_it_says(kind: str, percentile: float) -> None:
    values = np.abs(drawn(kind).astype(np.float32))
    tensor = counted(drawn(kind))
    found = threshold(tensor, "percentile", percentile=percentile)
    exact = float(np.sort(values)[math.ceil(percentile / 100 * values.size - 1e-9) - 1])
    assert exact <= found <= min(exact + tensor.histogram.width, tensor.absmax)


def test_max_is_the_largest_magnitude() -> None:
    assert threshold(counted(np.array([1.0, -7.25, 3.0])), "max") == 7.25


def test_entropy_that_costs_too_much_is_not_believed() -> None:
    """Few values lie far out, and thinly: divergence would cut them off, for the sake of the dense part."""
    tensor = counted(np.append(np.random.default_rng(2).random(100_000) * 0.1, [1.0] * 40))
    magnitudes = Magnitudes(tensor.histogram)
    pure = entropy_bins(magnitudes.counts, 128) * magnitudes.width
    best = threshold(tensor, "mse")
    assert magnitudes.sqnr(pure, 127) < magnitudes.sqnr(best, 127) - 3
    assert threshold(tensor, "entropy") == best


def test_fine_levels_do_not_lower_the_quality() -> None:
    magnitudes = Magnitudes(counted(drawn("relu")).histogram)
    # twice the levels quarter the error of rounding: 6 dB, less what is cut off by the same threshold
    assert 5 < magnitudes.sqnr(4.0, 255) - magnitudes.sqnr(4.0, 127) < 6.1


@pytest.mark.parametrize("method", METHODS)
def test_a_tensor_of_zeros_has_threshold_zero(method: str) -> None:
    assert threshold(counted(np.zeros(5)), method) == 0.0


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("value", [1e-45, 1e-30, 1.0, 3e38])
def test_a_single_value_is_not_cut_off(method: str, value: float) -> None:
    tensor = counted(np.array([value]))
    # mse may take the candidate below, 1.1 % less, where rounding comes out the same to the last bit of the histogram
    assert threshold(tensor, method) == pytest.approx(tensor.absmax, rel=0.02)


def test_unknown_methods_and_percentiles_are_refused() -> None:
    with pytest.raises(UsageError) as caught:
        threshold(counted(np.ones(1)), "entrpy")
    assert str(caught.value) == "there is no method 'entrpy'\n  help: did you mean 'entropy'?"
    with pytest.raises(UsageError) as caught:
        threshold(counted(np.ones(1)), "percentile", percentile=0)
    assert str(caught.value) == "0 is no percentile\n  help: give one above 0 and at most 100, such as 99.99"


def test_values_that_are_not_finite_have_no_threshold() -> None:
    with pytest.raises(DataError, match="holds 1 value that is NaN"):
        threshold(counted(np.array([1.0, np.nan])), "max")
