"""Which pairs may round by another scale, and which may not since others round by the same."""

from __future__ import annotations

import pytest

from graphopt.graph.model import Model
from graphopt.quantization.pairs import pairs, rescale_all
from graphopt.quantization.score import telling

from .placed import Builder, place


@pytest.fixture
def joined() -> Model:
    """x into two layers; their results are joined and go into a third."""
    b = Builder(3)
    first = b.node("Relu", [b.node("Conv", ["x", b.weight((8, 4, 1, 1))])])
    second = b.node("Relu", [b.node("Conv", ["x", b.weight((8, 4, 1, 1))])])
    both = b.node("Concat", [first, second], axis=1)
    model = place(b.model({"x": (1, 4, 6, 6)}, [b.node("Conv", [both, b.weight((4, 16, 1, 1))])]), {})
    return model


def test_what_a_concat_makes_shares_its_scale(joined: Model) -> None:
    assert [(pair.source.name, pair.shares_scale) for pair in pairs(joined)] == [("x", False), ("t4", True)]


def test_pairs_of_one_constant_share_it(joined: Model) -> None:
    first, second = pairs(joined)
    first.quantize.set_input(1, second.quantize.inputs[1])
    assert first.shares_scale


def test_constants_of_each_node_are_not_shared(joined: Model) -> None:
    first = next(pairs(joined))
    own = joined.graph.add_initializer(first.quantize.inputs[1].constant, "own")  # pyright: ignore
    first.dequantize.set_input(1, own)
    assert not first.shares_scale


def test_scales_change_where_they_may_and_nowhere_else(joined: Model) -> None:
    before = {pair.source.name: pair.scale for pair in pairs(joined)}
    rescale_all(joined, {"x": 0.5, "t4": 0.25, "elsewhere": 1.0})
    after = {pair.source.name: pair.scale for pair in pairs(joined)}
    assert after == {"x": 0.5, "t4": before["t4"]}
    for pair in pairs(joined):
        assert pair.quantize.inputs[1] is pair.dequantize.inputs[1]


def test_a_model_is_judged_before_what_squashes() -> None:
    b = Builder(1)
    x = b.node("Conv", ["x", b.weight((4, 4, 1, 1))])
    y = b.node("Flatten", [b.node("Softmax", [x], axis=1)])
    assert telling(b.model({"x": (1, 4, 6, 6)}, [y, x])) == [x, x]
