"""The pass `refine-weights` behind the rules that place pairs for TensorRT."""

from __future__ import annotations

import json
from typing import Any

import pytest

from graphopt.data.sample import Sample
from graphopt.errors import ParityError, RecipeError
from graphopt.graph.model import Model
from graphopt.graph.save import to_bytes
from graphopt.pipeline.calibration import Calibration
from graphopt.pipeline.manager import Manager
from graphopt.pipeline.passes import Context
from graphopt.pipeline.recipe import Recipe, parse_recipe
from graphopt.quantization.layers import layers
from graphopt.quantization.score import outputs_of, score
from graphopt.rewrite.library import common_target, load_rules

from .placed import pictures, residual_network

PLACE = """
[[pass]]
use = "calibrate"

[[pass]]
use = "apply-rules"
phases = ["quantize"]

"""
REFINE = '[[pass]]\nuse = "refine-weights"\n'


def samples(count: int = 12) -> list[Sample]:
    return [Sample(f"{number}", feeds) for number, feeds in enumerate(pictures(count, 1))]


def run(options: str, method: str = "auto") -> tuple[Model, dict[str, Any]]:
    """The model after the recipe, and the details of its last pass."""
    model = residual_network()
    context = Context(load_rules(), target=common_target(["tensorrt-rtx"]), calibration=Calibration(samples(), method))
    manager = Manager(model, context, None, "none")
    manager.run(parse_recipe(PLACE + options, "r", "r.toml"))
    return model, dict(manager.records[-1].details)


def sqnr(model: Model) -> float:
    """On samples that nothing was fitted on."""
    unseen = pictures(8, 2)
    return score(outputs_of(residual_network(), unseen), outputs_of(model, unseen)).sqnr


def test_it_brings_the_outputs_nearer_and_tells_what_it_tried() -> None:
    placed, _ = run("")
    refined, details = run(REFINE)
    assert sqnr(refined) > sqnr(placed) + 3
    assert any(node.op_type == "Sub" for node in refined.graph.nodes)
    assert details["chosen"].startswith("refined")
    assert [c["name"] for c in details["candidates"]][:2] == ["as placed", "mse"]
    assert len(details["layers"]) == len(list(layers(refined)))
    assert json.loads(json.dumps(details, allow_nan=False)) == details


def test_the_same_bytes_again() -> None:
    assert to_bytes(run(REFINE)[0]) == to_bytes(run(REFINE)[0])


def test_little_effort_chooses_thresholds_alone() -> None:
    _, details = run(f'{REFINE}effort = "fast"\n')
    assert details["layers"] == []
    assert not any(c["name"].startswith("refined") for c in details["candidates"])


def test_a_method_that_was_asked_for_stays() -> None:
    _, details = run(f'{REFINE}effort = "fast"\n', method="max")
    assert [c["name"] for c in details["candidates"]] == ["as placed"]


def test_a_goal_leaves_layers_in_float() -> None:
    model, details = run(f"{REFINE}min-sqnr = 60.0\n")
    fallback = details["fallback"]
    assert fallback["met"]
    assert len(fallback["float"]) == len(fallback["ranking"]) - len(list(layers(model))) > 0


def test_what_the_run_asks_for_goes_before_the_options() -> None:
    model = residual_network()
    calibration = Calibration(samples(), effort="fast", least={"sqnr": 60.0})
    context = Context(load_rules(), target=common_target(["tensorrt-rtx"]), calibration=calibration)
    manager = Manager(model, context, None, "none")
    manager.run(parse_recipe(f"{PLACE}{REFINE}min-sqnr = 1.0\n", "r", "r.toml"))
    details = manager.records[-1].details
    assert details["layers"] == []
    assert details["fallback"]["float"]


def test_a_goal_out_of_reach_is_an_error() -> None:
    with pytest.raises(ParityError) as raised:
        run(f'{REFINE}effort = "fast"\nmin-cosine = 1.5\n')
    assert str(raised.value) == (
        "with all 5 quantized layers back in float, the outputs do not reach what is asked: cosine 1 for 1.5\n"
        "  help: ask for less: what is added to or joined with a layer's result stays rounded"
    )


def test_without_samples_it_does_nothing() -> None:
    model = residual_network()
    context = Context(load_rules(), target=common_target(["tensorrt-rtx"]))
    manager = Manager(model, context, None, "none")
    manager.run(parse_recipe(REFINE, "r", "r.toml"))
    assert (manager.records[0].modified, manager.records[0].details) == (False, {"left out": "there are no samples"})


def test_it_stands_behind_the_rules_in_the_recipe_that_ships() -> None:
    names = [step.name for step in Recipe.load("int8").passes]
    assert names.index("refine-weights") == names.index("apply-rules") + 1


def test_an_effort_that_there_is_not_is_refused() -> None:
    with pytest.raises(RecipeError) as raised:
        parse_recipe(f'{REFINE}effort = "much"\n', "r", "r.toml")
    assert str(raised.value) == (
        "the option effort of the pass refine-weights: Input should be 'fast' or 'default'\n  at: r.toml, pass 1"
    )
