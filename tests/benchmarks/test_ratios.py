from __future__ import annotations

import random

from benchmarks.optimize.ratios import Ratio, against_best, noise_of, paired


def test_a_machine_that_slows_down_does_not_change_a_paired_ratio() -> None:
    slow = [1.0 + i for i in range(20)]
    found = paired([0.5 * s for s in slow], slow)
    assert found == Ratio(0.5, 0.5, 0.5)
    assert not found.is_worse(0.0)


def test_the_bounds_hold_the_middle_ones_of_the_ratios() -> None:
    # 16 ratios: 8 ± 1.96·√16/2 are the 4.08th and 11.92th, so the 5th and the 13th in order, counted from one
    found = paired([float(i) for i in range(1, 17)], [1.0] * 16)
    assert found == Ratio(8.5, 5.0, 13.0)


def test_slower_is_only_worse_beyond_the_noise_and_surely() -> None:
    assert Ratio(1.05, 1.02, 1.08).is_worse(0.03)
    assert not Ratio(1.05, 1.02, 1.08).is_worse(0.06)
    assert not Ratio(1.05, 0.99, 1.10).is_worse(0.03)


def test_the_quickest_peer_is_not_compared_on_the_rounds_it_was_chosen_by() -> None:
    ours = [1.0] * 8
    lucky = [0.5, 1.0] * 4
    steady = [0.9] * 8
    assert against_best(ours, {"steady": steady, "lucky": lucky}) == ("lucky", Ratio(1.0, 1.0, 1.0))
    assert against_best(ours, {}) is None


def test_of_equally_quick_peers_none_gains_by_being_chosen() -> None:
    # normal noise of 5 %: the least of five medians over 100 rounds is lucky by about half a percent, the rest is not
    draw = random.Random(1)
    peers = {f"peer {i}": [1 + draw.gauss(0, 0.05) for _ in range(200)] for i in range(5)}
    found = against_best([1 + draw.gauss(0, 0.05) for _ in range(200)], peers)
    assert found is not None
    assert found[1].low < 1 < found[1].high


def test_noise_is_how_far_equal_models_are_apart() -> None:
    assert noise_of([]) == 0.0
    pairs = [Ratio(1.0, 1.0, 1.0)] * 19 + [Ratio(1.5, 1.0, 2.0)]
    assert noise_of(pairs) == 0.0
    assert abs(noise_of([*pairs, Ratio(1 / 1.25, 0.5, 1.0)]) - 0.25) < 1e-12
