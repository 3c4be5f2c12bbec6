"""Rounding by second-order information errs less in the output than rounding to nearest, and stays within int8."""

from __future__ import annotations

import numpy as np
import pytest

from graphopt.quantization import rounding

Floats = np.ndarray


def problem(groups: int, outputs: int, inputs: int) -> tuple[Floats, Floats]:
    random = np.random.default_rng(0)
    w = random.standard_normal((groups, outputs, inputs))
    mixed = random.standard_normal((groups, inputs, inputs)) @ np.diag(np.geomspace(1, 0.05, inputs))
    return w, mixed @ mixed.transpose(0, 2, 1)


def output_error(w: Floats, rounded: Floats, scale: Floats, h: Floats) -> Floats:
    gap = w - rounded * scale[..., np.newaxis]
    return ((gap @ h) * gap).sum((1, 2))


@pytest.mark.parametrize(("groups", "outputs", "inputs"), [(1, 8, 40), (1, 4, 150), (6, 1, 9)])
def test_second_order_errs_less_than_nearest(groups: int, outputs: int, inputs: int) -> None:
    w, h = problem(groups, outputs, inputs)
    scale = rounding.scales(w, h)
    nearest = rounding.nearest(w, scale[..., np.newaxis])
    better = rounding.second_order(w, h, scale)
    first, second = output_error(w, nearest, scale, h), output_error(w, better, scale, h)
    assert np.all(second <= first)
    assert second.sum() < 0.7 * first.sum()


def test_codes_are_whole_and_within_the_symmetric_range() -> None:
    w, h = problem(2, 5, 30)
    codes = rounding.second_order(w, h, rounding.scales(w, h))
    assert np.array_equal(codes, np.rint(codes))
    assert codes.min() >= -127
    assert codes.max() <= 127


def test_a_row_of_zeros_stays_zero() -> None:
    w, h = problem(1, 3, 12)
    w[:, 1] = 0
    scale = rounding.scales(w, h)
    assert np.all(scale > 0)
    assert not rounding.second_order(w, h, scale)[:, 1].any()


def test_inputs_that_are_always_zero_do_no_harm() -> None:
    w, h = problem(1, 3, 12)
    h[:, 4] = h[:, :, 4] = 0
    scale = rounding.scales(w, h)
    assert np.isfinite(rounding.second_order(w, h, scale)).all()


def test_a_range_shrinks_where_the_largest_weight_hardly_counts() -> None:
    random = np.random.default_rng(1)
    w = random.uniform(-1, 1, (1, 1, 64))
    w[0, 0, 0] = 1.3
    counts = np.ones(64)
    counts[0] = 1e-6
    scale = rounding.scales(w, np.diag(counts)[np.newaxis])
    assert scale[0, 0] < 1.05 / 127
