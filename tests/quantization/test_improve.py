"""What is tried, what is judged on samples kept apart, and what is taken."""

from __future__ import annotations

import pytest

from graphopt.errors import DataError
from graphopt.graph.save import to_bytes
from graphopt.quantization.fallback import Goal
from graphopt.quantization.improve import improve, split, spread
from graphopt.quantization.refine import Settings
from graphopt.quantization.score import outputs_of, score

from .placed import largest, pictures, place, residual_network

SETTINGS = Settings(rows=1000)


def test_the_best_thresholds_are_taken_where_only_those_are_tried() -> None:
    model, samples = residual_network(), pictures(16, 1)
    good = largest(model, samples)
    bad = {name: scale * 30 for name, scale in good.items()}
    placed = place(model, bad)
    result = improve(placed, model, samples, scales={"bad": bad, "good": good}, effort="fast")
    assert [c.name for c in result.candidates] == ["as placed", "bad", "good"]
    assert result.chosen == "good"
    assert to_bytes(placed) != to_bytes(place(model, bad))
    unseen = pictures(8, 2)
    reached = score(outputs_of(model, unseen), outputs_of(placed, unseen)).sqnr
    # float32 scales that pass through the same graph: the same rounding, up to a few codes on a tie
    assert reached == pytest.approx(
        score(outputs_of(model, unseen), outputs_of(place(model, good), unseen)).sqnr, abs=0.1
    )


def test_more_effort_is_better_on_samples_that_nobody_saw() -> None:
    model, samples, unseen = residual_network(), pictures(24, 1), pictures(8, 2)
    reference = outputs_of(model, unseen)
    reached: list[float] = []
    for effort in ("fast", "default"):
        placed = place(model, largest(model, samples))
        result = improve(placed, model, samples, effort=effort, settings=SETTINGS)
        reached.append(score(reference, outputs_of(placed, unseen)).sqnr)
    assert result.chosen.startswith("refined")
    assert len(result.layers) == 6
    assert reached[1] > reached[0] + 3


def test_a_goal_is_met_after_all_that() -> None:
    model, samples = residual_network(), pictures(16, 1)
    placed = place(model, largest(model, samples))
    result = improve(placed, model, samples, goal=Goal(sqnr=60), settings=SETTINGS)
    assert result.fallback is not None
    assert result.fallback.met
    assert result.fallback.kept
    _, judged = split(samples)
    assert score(outputs_of(model, judged), outputs_of(placed, judged)).sqnr >= 60


def test_no_samples_are_refused() -> None:
    model = residual_network()
    with pytest.raises(DataError) as raised:
        improve(place(model, {}), model, [])
    assert str(raised.value) == (
        "there are no samples to judge a quantized model by\n  help: give samples: --data SOURCE"
    )


def test_samples_are_taken_from_all_over_and_kept_apart() -> None:
    samples = pictures(20, 0)
    assert spread(samples, 5) == [samples[0], samples[4], samples[8], samples[12], samples[16]]
    assert spread(samples, 30) == samples
    fitted, judged = split(samples)
    assert (len(fitted), len(judged)) == (15, 5)
    assert not {id(s) for s in fitted} & {id(s) for s in judged}
    assert split(samples[:3]) == (samples[:3], samples[:3])
