"""Rows times weights are what ONNX Runtime's Conv computes, for every way in which a Conv walks over its input."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from graphopt.quantization import rows
from graphopt.quantization.stream import Stream

from .placed import Builder

CASES: dict[str, tuple[tuple[int, ...], tuple[int, ...], dict[str, Any]]] = {
    "plain": ((2, 4, 7, 9), (6, 4, 3, 3), {}),
    "padded unevenly": ((1, 4, 7, 9), (6, 4, 3, 2), {"pads": [0, 1, 2, 0]}),
    "strided and dilated": ((2, 4, 9, 9), (6, 4, 3, 3), {"strides": [2, 1], "dilations": [1, 2], "pads": [1] * 4}),
    "grouped": ((1, 4, 7, 9), (6, 2, 3, 3), {"group": 2, "pads": [1] * 4}),
    "depthwise": ((1, 4, 7, 9), (8, 1, 3, 3), {"group": 4}),
    "same, upper": ((1, 4, 8, 7), (6, 4, 4, 3), {"auto_pad": "SAME_UPPER", "strides": [2, 2]}),
    "same, lower": ((1, 4, 8, 7), (6, 4, 4, 3), {"auto_pad": "SAME_LOWER", "strides": [2, 2]}),
    "valid": ((1, 4, 8, 7), (6, 4, 4, 3), {"auto_pad": "VALID"}),
    "one dimension": ((2, 4, 11), (6, 4, 5), {"pads": [2, 1]}),
    "three dimensions": ((1, 2, 4, 5, 6), (3, 2, 2, 3, 2), {"pads": [1, 0, 1, 0, 1, 1]}),
}


@pytest.mark.parametrize("case", CASES)
def test_rows_times_weights_are_the_conv(case: str) -> None:
    shape, weight_shape, attributes = CASES[case]
    b = Builder(1)
    weight = b.weight(weight_shape)
    model = b.model({"x": shape}, [b.node("Conv", ["x", weight], **attributes)])
    x = np.random.default_rng(2).standard_normal(shape).astype(np.float32)
    node = next(iter(model.graph.nodes))
    assert node.outputs[0] is not None
    y = Stream(model, [{"x": x}]).values(node.outputs[0])[0]
    window = rows.Window.of(node, weight_shape, shape[2:])
    groups = attributes.get("group", 1)
    total = rows.count(y.shape, is_conv=True)
    chosen = rows.positions(total, 12, seed=3)
    assert len(chosen) == 12
    held = next(iter(model.graph.initializers)).initializer
    assert held is not None
    w = held.numpy().reshape(groups, weight_shape[0] // groups, -1)
    product = rows.conv_rows(x, window, groups, chosen) @ w.transpose(0, 2, 1)
    # sums of at most 36 float32 products of a few units each, in another order
    np.testing.assert_allclose(product, rows.conv_results(y, groups, chosen), rtol=1e-4, atol=1e-4)


def test_positions_are_all_where_there_are_few() -> None:
    assert rows.positions(5, 8, seed=0).tolist() == [0, 1, 2, 3, 4]


def test_positions_are_distinct_and_the_same_each_time() -> None:
    first = rows.positions(1000, 100, seed=4)
    assert len(set(first.tolist())) == 100
    assert first.tolist() == rows.positions(1000, 100, seed=4).tolist()
    assert first.tolist() != rows.positions(1000, 100, seed=5).tolist()
