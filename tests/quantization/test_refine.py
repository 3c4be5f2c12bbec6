"""The whole pass, on networks with uneven channels: what it gains, what it leaves alone, and that it repeats itself."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from graphopt.graph.dtypes import DType
from graphopt.graph.model import Model
from graphopt.graph.save import to_bytes
from graphopt.graph.validate import validate
from graphopt.quantization.layers import layers
from graphopt.quantization.pairs import pairs
from graphopt.quantization.refine import Settings, refine
from graphopt.quantization.score import outputs_of, score

from .placed import Builder, Feeds, largest, matrix_network, pictures, place, residual_network, sequences

SETTINGS = Settings(rows=1500)


def networks() -> dict[str, tuple[Model, list[Feeds], list[Feeds]]]:
    return {
        "residual": (residual_network(), pictures(16, 1), pictures(8, 2)),
        "matrix": (matrix_network(), sequences(24, 1), sequences(8, 2)),
    }


@pytest.mark.parametrize("name", ["residual", "matrix"])
def test_unseen_outputs_come_nearer_to_the_float_model(name: str) -> None:
    model, samples, unseen = networks()[name]
    placed = place(model, largest(model, samples))
    reference = outputs_of(model, unseen)
    before = score(reference, outputs_of(placed, unseen))
    refined = refine(placed, model, samples, SETTINGS)
    after = score(reference, outputs_of(placed, unseen))
    validate(placed)
    assert len(refined.layers) == len(list(layers(placed)))
    # the residual one averages much noise away at its end, before as well as after
    assert after.sqnr > before.sqnr + (3 if name == "residual" else 6)


def test_pairs_stay_as_tensorrt_wants_them() -> None:
    model, samples, _ = networks()["residual"]
    placed = place(model, largest(model, samples))
    before = Counter(node.op_type for node in placed.graph.nodes)
    refine(placed, model, samples, SETTINGS)
    after = Counter(node.op_type for node in placed.graph.nodes)
    assert all(pair.is_symmetric for pair in pairs(placed))
    for op_type in ("QuantizeLinear", "DequantizeLinear", "Conv", "Gemm"):
        assert after[op_type] == before[op_type]
    for layer in layers(placed):
        stored = layer.dequantize.inputs[0]
        assert stored is not None
        assert stored.constant is not None
        assert stored.constant.dtype is DType.int8
        assert stored.constant.numpy().min() >= -127
        bias = layer.bias()
        assert bias is not None
        assert bias.dtype == np.float32


def test_the_same_input_gives_the_same_bytes() -> None:
    model, samples, _ = networks()["residual"]
    made: list[bytes] = []
    for _ in range(2):
        placed = place(model, largest(model, samples))
        refine(placed, model, samples, SETTINGS)
        made.append(to_bytes(placed))
    assert made[0] == made[1]


def test_inputs_and_outputs_keep_their_names() -> None:
    model, samples, _ = networks()["matrix"]
    placed = place(model, largest(model, samples))
    refine(placed, model, samples, SETTINGS)
    assert [v.name for v in placed.graph.inputs] == [v.name for v in model.graph.inputs]
    assert [v.name for v in placed.graph.outputs] == [v.name for v in model.graph.outputs]


def test_without_ranges_only_weights_and_biases_change() -> None:
    model, samples, unseen = networks()["residual"]
    placed = place(model, largest(model, samples))
    before = {pair.source.name: pair.scale for pair in pairs(placed)}
    first = score(outputs_of(model, unseen), outputs_of(placed, unseen))
    refine(placed, model, samples, Settings(rows=1500, affine=False))
    assert {pair.source.name: pair.scale for pair in pairs(placed)} == before
    assert score(outputs_of(model, unseen), outputs_of(placed, unseen)).sqnr > first.sqnr


def test_two_layers_of_one_weight_get_a_weight_each() -> None:
    b = Builder(5)
    weight = b.weight((8, 8, 1, 1))
    x = b.node("Relu", [b.node("Conv", ["x", weight])])
    model = b.model({"x": (1, 8, 12, 12)}, [b.node("Conv", [x, weight])])
    samples = pictures(12, 1, channels=8)
    placed = place(model, largest(model, samples))
    dequantized = [layer.node.inputs[1] for layer in layers(placed)]
    placed.graph.redirect(dequantized[1], dequantized[0])  # pyright: ignore[reportArgumentType]
    for layer in list(layers(placed))[1:]:
        layer.node.set_input(1, dequantized[0])
    reference = outputs_of(model, samples)
    before = score(reference, outputs_of(placed, samples))
    refine(placed, model, samples, SETTINGS)
    assert len({layer.dequantize for layer in layers(placed)}) == 2
    assert score(reference, outputs_of(placed, samples)).sqnr > before.sqnr


def test_a_tensor_that_is_also_an_output_is_left_as_it_was() -> None:
    b = Builder(6)
    x = b.node("Relu", [b.node("Conv", ["x", b.weight((8, 3, 1, 1))])])
    model = b.model({"x": (1, 3, 12, 12)}, [x, b.node("Conv", [x, b.weight((4, 8, 1, 1))])])
    samples = pictures(12, 1)
    placed = place(model, largest(model, samples))
    refine(placed, model, samples, SETTINGS)
    figures = score(outputs_of(model, samples), outputs_of(placed, samples))
    assert figures.sqnr > 25
    assert placed.graph.outputs[0].name == model.graph.outputs[0].name
