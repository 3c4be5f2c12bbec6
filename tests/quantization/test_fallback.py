"""Ranking layers, and leaving the fewest of them in float that a goal asks for."""

from __future__ import annotations

import math

import numpy as np
import pytest

from graphopt.graph.model import Model
from graphopt.graph.validate import validate
from graphopt.quantization.fallback import Goal, fall_back, return_to_float
from graphopt.quantization.layers import layers
from graphopt.quantization.refine import Settings, refine
from graphopt.quantization.score import Outputs, outputs_of, score
from graphopt.quantization.sensitivity import sensitivities

from .placed import Feeds, copied, largest, matrix_network, pictures, place, residual_network, sequences


@pytest.fixture(scope="module")
def case() -> tuple[Model, Model, list[Feeds]]:
    """A float model, the same quantized, with one scale a hundred times too small, and samples."""
    model, samples = residual_network(), pictures(12, 1)
    scales = largest(model, samples)
    scales["t3"] /= 100
    return model, place(model, scales), samples


def sqnr(model: Model, quantized: Model, samples: list[Feeds]) -> float:
    return score(outputs_of(model, samples), outputs_of(quantized, samples)).sqnr


def test_the_layer_that_is_rounded_worst_ranks_first(case: tuple[Model, Model, list[Feeds]]) -> None:
    model, quantized, samples = case
    ranking = sensitivities(quantized, model, samples)
    assert len(ranking) == len(list(layers(quantized)))
    assert ranking[0].label == "t4"  # the depthwise Conv that reads t3
    assert ranking[0].noise > 5 * ranking[1].noise
    assert [s.noise for s in ranking] == sorted((s.noise for s in ranking), reverse=True)


def test_a_ranked_layer_is_worth_what_the_model_with_it_alone_quantized_says(
    case: tuple[Model, Model, list[Feeds]],
) -> None:
    model, quantized, samples = case
    ranking = sensitivities(quantized, model, samples)
    alone = copied(quantized)
    return_to_float(alone, model, [s.name for s in ranking[1:]])
    # the skip's pair is there, too, and rounds on its own: hence no closer than half a decibel
    assert sqnr(model, alone, samples) == pytest.approx(-10 * math.log10(ranking[0].noise), abs=0.5)


def test_a_goal_is_met_with_the_worst_layer_in_float(case: tuple[Model, Model, list[Feeds]]) -> None:
    model, quantized, samples = case
    before = sqnr(model, quantized, samples)
    changed = copied(quantized)
    result = fall_back(changed, model, samples, Goal(sqnr=before + 10))
    assert result.met
    assert result.kept == ["t4"]
    assert sqnr(model, changed, samples) >= before + 10
    assert len(list(layers(changed))) == len(list(layers(quantized))) - 1
    validate(changed)


def test_the_search_takes_a_logarithm_of_evaluations(case: tuple[Model, Model, list[Feeds]]) -> None:
    model, quantized, samples = case
    result = fall_back(copied(quantized), model, samples, Goal(sqnr=30))
    assert len(result.steps) <= 2 + math.ceil(math.log2(len(result.ranking)))
    # fewer layers in float than were left are not enough
    assert not any(step.met for step in result.steps if step.layers < len(result.kept))


def test_nothing_changes_where_the_goal_is_met_already(case: tuple[Model, Model, list[Feeds]]) -> None:
    model, quantized, samples = case
    changed = copied(quantized)
    result = fall_back(changed, model, samples, Goal(sqnr=0, cosine=0.1, agreement=0.0))
    assert (result.met, result.kept, result.ranking) == (True, [], [])
    assert len(list(layers(changed))) == len(list(layers(quantized)))


def test_a_goal_out_of_reach_is_said_to_be(case: tuple[Model, Model, list[Feeds]]) -> None:
    model, quantized, samples = case
    changed = copied(quantized)
    result = fall_back(changed, model, samples, Goal(metric=(lambda _: 0.0, 1.0)))
    assert not result.met
    assert not list(layers(changed))


def test_a_metric_of_the_user_counts(case: tuple[Model, Model, list[Feeds]]) -> None:
    model, quantized, samples = case
    reference = outputs_of(model, samples)

    def worst_error(outputs: Outputs) -> float:
        return -max(float(np.abs(o[n] - r[n]).max()) for o, r in zip(outputs, reference, strict=True) for n in r)

    least = worst_error(outputs_of(quantized, samples)) / 3
    changed = copied(quantized)
    result = fall_back(changed, model, samples, Goal(metric=(worst_error, least)))
    assert result.met
    assert worst_error(outputs_of(changed, samples)) >= least


def test_refined_layers_return_to_float_as_they_were() -> None:
    model, samples = matrix_network(), sequences(16, 1)
    quantized = place(model, largest(model, samples))
    refine(quantized, model, samples, Settings(rows=500))
    return_to_float(quantized, model, [layer.output.name for layer in layers(quantized)])
    assert not [n for n in quantized.graph.nodes if n.op_type == "DequantizeLinear"]
    # the same float32 operators again
    assert sqnr(model, quantized, samples) > 120
