"""A stream gives what the whole model gives, runs each node once, and keeps no more than what is still to be read."""

from __future__ import annotations

import numpy as np
import pytest

from graphopt.errors import ModelError
from graphopt.graph.model import Model
from graphopt.quantization.score import outputs_of
from graphopt.quantization.stream import Stream, tensor_of

from .placed import largest, pictures, place, residual_network


@pytest.fixture(scope="module")
def model() -> Model:
    return residual_network()


def test_the_pieces_give_what_the_whole_gives(model: Model) -> None:
    samples = pictures(2, 0)
    stream = Stream(model, samples)
    for node in list(model.graph.nodes):
        assert node.outputs[0] is not None
        last = stream.values(node.outputs[0])
    whole = outputs_of(model, samples)
    for piece, outputs in zip(last, whole, strict=True):
        # the same float32 kernels; only optimizations of the whole graph may add in another order
        np.testing.assert_allclose(piece, next(iter(outputs.values())), rtol=1e-4, atol=1e-5)


def test_what_nothing_reads_any_more_is_dropped(model: Model) -> None:
    stream = Stream(model, pictures(1, 0))
    nodes = list(model.graph.nodes)
    first = nodes[0].outputs[0]
    assert first is not None
    stream.values(first)
    assert stream.has_run(nodes[0])
    assert not stream.has_run(nodes[1])
    stream.values(model.graph.outputs[0])
    with pytest.raises(ModelError) as raised:
        stream.values(first)
    assert str(raised.value) == f"the value {first.name!r} is not at hand any more"


def test_a_weight_counts_as_it_is_when_its_node_runs(model: Model) -> None:
    samples = pictures(1, 0)
    placed = place(model, largest(model, samples))
    stream = Stream(placed, samples)
    before = Stream(placed, samples).values(placed.graph.outputs[0])[0]
    final = placed.graph.outputs[0].producer
    assert final is not None
    bias = final.inputs[2]
    assert bias is not None
    assert bias.constant is not None
    assert final.inputs[0] is not None
    stream.values(final.inputs[0])
    final.set_input(2, placed.graph.add_initializer(tensor_of(bias.constant.numpy() + 1), "bias"))
    after = stream.values(placed.graph.outputs[0])[0]
    # one more float32 addition
    np.testing.assert_allclose(after, before + 1, rtol=1e-5, atol=1e-5)
