"""Weights are fitted where that holds up on samples left out, and stay as they are where it does not."""

from __future__ import annotations

import numpy as np

from graphopt.quantization import regression

RANDOM = np.random.default_rng


def problem(rows: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Rows x, given weights and biases, and the part of the rows that is held out."""
    random = RANDOM(seed)
    x = random.standard_normal((2, rows, 12)).astype(np.float32)
    w = random.standard_normal((2, 5, 12))
    return x, w, random.standard_normal((2, 5)), np.arange(rows) >= rows * 3 // 4


def test_weights_that_are_off_are_found() -> None:
    x, w, b, held_out = problem(400)
    y = x @ w.transpose(0, 2, 1) + b[:, np.newaxis]
    start = w + 0.3 * RANDOM(1).standard_normal(w.shape)
    weights = regression.robust_weights(x, y, start, b)
    fitted, moments = regression.fit(x, y, start, weights, held_out)
    # the smallest ridge holds back λ / (1 + λ) = 0.3 % of a difference of 0.3 where the inputs have variance 1
    np.testing.assert_allclose(fitted, w, atol=0.01)
    bias = moments.mean_y - np.einsum("goi,gi->go", fitted, moments.mean_x)
    np.testing.assert_allclose(bias, b, atol=0.01)


def test_weights_that_only_noise_would_change_stay_as_they_are() -> None:
    x, w, b, held_out = problem(80)
    y = x @ w.transpose(0, 2, 1) + b[:, np.newaxis] + RANDOM(2).standard_normal((2, 80, 5))
    fitted, _ = regression.fit(x, y, w, np.ones((2, 80)), held_out)
    np.testing.assert_array_equal(fitted, w)


def test_nothing_is_fitted_where_nothing_is_held_out() -> None:
    x, w, b, _ = problem(100)
    y = 2 * (x @ w.transpose(0, 2, 1)) + b[:, np.newaxis]
    fitted, moments = regression.fit(x, y, w, np.ones((2, 100)), np.zeros(100, bool))
    np.testing.assert_array_equal(fitted, w)
    np.testing.assert_allclose(moments.mean_x, x.mean(1), atol=1e-6)


def test_rows_far_off_count_little() -> None:
    x, w, b, _ = problem(50)
    y = x @ w.transpose(0, 2, 1) + b[:, np.newaxis]
    y += 0.01 * RANDOM(3).standard_normal(y.shape)
    y[0, 7] += 100
    weights = regression.robust_weights(x, y, w, b)
    assert weights[0, 7] < 1e-4 * np.median(weights[0])
    assert weights[1, 7] > 0.1 * np.median(weights[1])
