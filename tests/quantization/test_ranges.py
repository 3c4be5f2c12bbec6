"""Centres, spreads and scales: one-sided and uneven channels get all of int8."""

from __future__ import annotations

import numpy as np

from graphopt.quantization.ranges import Choice, choose

ROWS = 800


def noise(x: np.ndarray, choice: Choice) -> np.ndarray:
    """The mean square error of each channel."""
    codes = np.clip(np.rint((x - choice.centre) / choice.spread / choice.scale), -128, 127)
    return np.square(codes * choice.scale * choice.spread + choice.centre - x).mean(0)


def channels(ranges: list[float], seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(seed)
    return random.uniform(0, 1, (ROWS, len(ranges))) * ranges, np.arange(ROWS) // (ROWS // 16)


def test_what_is_one_sided_is_centred_where_it_may_be() -> None:
    x, sample = channels([1.0, 1.0])
    weights = [np.ones((1, 4, 2, 1))]
    centred = choose(x, sample, weights, others=0, shift=True)
    fixed = choose(x, sample, weights, others=0, shift=False)
    np.testing.assert_allclose(centred.centre, 0.5, atol=0.02)
    assert not fixed.centre.any()
    # half the range is half the step, a quarter of the noise
    assert noise(x, centred).sum() < 0.3 * noise(x, fixed).sum()


def test_channels_of_a_depthwise_layer_all_use_the_whole_range() -> None:
    x, sample = channels([1.0, 0.1, 0.01])
    choice = choose(x, sample, [np.ones((3, 1, 1, 9))], others=0, shift=False)
    np.testing.assert_allclose(choice.spread, [1.0, 0.1, 0.01], rtol=0.05)


def test_a_channel_that_hardly_moves_keeps_a_range() -> None:
    x, sample = channels([1.0, 0.0])
    choice = choose(x, sample, [np.ones((2, 1, 1, 9))], others=0, shift=True)
    assert choice.spread[1] >= 0.9e-4


def test_a_lone_outlier_is_clipped() -> None:
    x, sample = channels([1.0])
    x[5] = 40.0
    choice = choose(x, sample, [np.ones((1, 1, 1, 1))], others=0, shift=False)
    assert choice.scale * 127 < 41
    plain, _ = channels([1.0])
    assert noise(plain, choice).sum() <= noise(plain, Choice(np.zeros(1), np.ones(1), 40 / 127)).sum()


def test_ranges_reach_beyond_what_few_samples_show() -> None:
    random = np.random.default_rng(3)
    x, sample = random.standard_normal((12, 40)), np.arange(12)
    choice = choose(x, sample, [np.ones((40, 1, 1, 1))], others=0, shift=False)
    unseen = np.random.default_rng(4).standard_normal((4000, 40))
    shown = Choice(np.zeros(40), np.abs(x).max(0), 1 / 127)
    assert noise(unseen, choice).mean() < 0.7 * noise(unseen, shown).mean()
