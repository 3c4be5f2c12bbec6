"""Scales by name: where each came from, and which tensors share one."""

from __future__ import annotations

import numpy as np
import pytest

from graphopt.calibration.count import count
from graphopt.calibration.ranges import Ranges, scale_of
from graphopt.calibration.statistics import Statistics, TensorStatistics
from graphopt.errors import DataError, UsageError


def statistics(**values: list[float]) -> Statistics:
    found = Statistics("m", {name: TensorStatistics(name) for name in values}, 1)
    for name, numbers in values.items():
        count(found[name], np.array([numbers], np.float32), "s", 1)
    return found


def test_scales_are_thresholds_over_127_in_float32() -> None:
    ranges = Ranges(statistics(a=[-2.0, 1.0], zero=[0.0]), "max")
    assert ranges.scale("a") == float(np.float32(2 / 127))
    assert (ranges["a"].threshold, ranges["a"].origin) == (2.0, "max")
    assert ranges.scale("zero") == 1.0
    assert (ranges.scale("b"), ranges.has("b"), ranges.has("a")) == (None, False, True)
    assert scale_of(1e-44) == 2.0**-126
    assert scale_of(2.0, 255) == float(np.float32(2 / 255))


def test_the_origin_names_the_percentile() -> None:
    ranges = Ranges(statistics(a=[1.0] * 10), "percentile", percentile=99.9)
    assert ranges["a"].origin == "percentile 99.9"


def test_a_group_shares_the_scale_of_all_its_values() -> None:
    ranges = Ranges(statistics(a=[1.0], b=[-3.0], c=[2.0], d=[9.0]), "max")
    ranges.share(["a", "c"])
    assert (ranges["a"].threshold, ranges["c"].threshold) == (2.0, 2.0)
    ranges.share(["c", "b"])
    assert {ranges[name].threshold for name in "abc"} == {3.0}
    assert ranges["b"].origin == "max of c, b, a"
    assert ranges["d"].threshold == 9.0


def test_a_group_by_percentile_is_not_the_largest_of_its_members() -> None:
    """An outlier of one member is a smaller share of all values together."""
    ranges = Ranges(statistics(a=[1.0] * 99 + [100.0], b=[1.0] * 9900), "percentile", percentile=99.9)
    assert ranges["a"].threshold == 100.0
    ranges.share(["a", "b"])
    assert ranges["a"].threshold == ranges["b"].threshold < 1.1


def test_statistics_stay_as_they_are_when_tensors_share() -> None:
    found = statistics(a=[1.0], b=[300.0])
    ranges = Ranges(found, "max")
    ranges.share(["a", "b"])
    assert ranges["a"].threshold == 300.0
    assert found == statistics(a=[1.0], b=[300.0])


def test_bounds_hold_zero_and_keep_to_the_threshold() -> None:
    ranges = Ranges(statistics(a=[2.0, 5.0], b=[-7.0, 1.0]), "max")
    assert ranges.bounds("a") == (0.0, 5.0)
    assert ranges.bounds("b") == (-7.0, 1.0)
    ranges.give({"b": 3.0}, "by hand")
    assert ranges.bounds("b") == (-3.0, 1.0)


def test_bounds_are_told_for_the_levels_that_a_side_has() -> None:
    """Finer steps cut off less: the threshold of one side alone lies above that of two."""
    values = np.abs(np.random.default_rng(0).laplace(size=100_000)).tolist()
    ranges = Ranges(statistics(one=values, two=[*values, *(-v for v in values)]), "mse")
    assert ranges.bounds("one")[1] > ranges["one"].threshold * 1.05
    assert ranges.bounds("two") == (-ranges["two"].threshold, ranges["two"].threshold)


def test_bounds_of_a_group_are_the_same() -> None:
    ranges = Ranges(statistics(a=[1.0], b=[-3.0, 2.0]), "max")
    ranges.share(["a", "b"])
    assert ranges.bounds("a") == ranges.bounds("b") == (-3.0, 2.0)


def test_given_thresholds_win_over_statistics_and_need_none() -> None:
    ranges = Ranges(statistics(a=[2.0]), "max")
    ranges.give({"a": 1.0, "new": 4.0}, "searched at the outputs")
    assert (ranges["a"].threshold, ranges["a"].origin) == (1.0, "searched at the outputs")
    assert ranges.scale("new") == float(np.float32(4 / 127))
    with pytest.raises(UsageError) as caught:
        ranges.give({"a": float("nan")}, "x")
    assert str(caught.value) == "nan is no threshold\n  at: tensor 'a'\n  help: give a positive number"


def test_only_a_tensor_that_is_asked_for_is_refused() -> None:
    ranges = Ranges(statistics(a=[1.0], b=[float("inf")]), "mse")
    assert ranges.has("b")
    assert ranges.scale("a") == pytest.approx(1 / 127, rel=0.02)
    with pytest.raises(DataError, match="tensor 'b' holds 1 value that is NaN"):
        ranges.scale("b")
    ranges.share(["a", "b"])
    with pytest.raises(DataError, match="tensor 'b' holds 1 value that is NaN"):
        ranges.scale("a")
