"""Numbers as people read them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from graphopt.report import quantities


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (0, "0 B"),
        (9_999, "9,999 B"),
        (10_000, "10 kB"),
        (6_783_084, "6.78 MB"),
        (999_499, "999 kB"),
        (999_500, "1 MB"),
        (2_147_483_648, "2.15 GB"),
        (3 * 10**18, "3e+03 PB"),
    ],
)
def test_size(number: int, text: str) -> None:
    assert quantities.size(number) == text


@pytest.mark.parametrize(
    ("number", "text"), [(0, "0"), (5_120, "5,120"), (131_072, "131 K"), (4_089_184_256, "4.09 G"), (10**13, "10 T")]
)
def test_macs(number: int, text: str) -> None:
    assert quantities.macs(number) == text


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (0.0, "0 us"),
        (0.00000042, "0.42 us"),
        (0.000777, "777 us"),
        (0.0317, "31.7 ms"),
        (1.5, "1.5 s"),
        (59.94, "59.9 s"),
        (75.2, "1 min 15 s"),
        (3661.0, "61 min 1 s"),
    ],
)
def test_seconds(number: float, text: str) -> None:
    assert quantities.seconds(number) == text


@pytest.mark.parametrize(
    ("before", "after", "text"),
    [(100, 100, "same"), (0, 0, "same"), (0, 5, "new"), (115, 76, "-33.9 %"), (100, 0, "-100.0 %"), (2, 3, "+50.0 %")],
)
def test_change(before: int, after: int, text: str) -> None:
    assert quantities.change(before, after) == text


@given(st.integers(0, 10**17))
def test_a_size_is_within_a_half_percent(number: int) -> None:
    amount, unit = quantities.size(number).replace(",", "").split()
    factor = {"B": 1, "kB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12, "PB": 10**15}[unit]
    assert abs(float(amount) * factor - number) <= number * 0.005  # three digits round by at most 0.5 %
