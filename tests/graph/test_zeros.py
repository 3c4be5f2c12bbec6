"""What is known to be zeros, whatever its shape."""

from __future__ import annotations

import pytest

from graphopt.graph.load import from_proto
from graphopt.graph.zeros import is_zeros
from graphopt.testing.cases import model_of

ZEROS = [
    "y = ConstantOfShape (n)",
    "y = ConstantOfShape <value = float[1] {0}> (n)",
    "y = Expand (z, n)",
    "a = ConstantOfShape (n) y = Slice (a, i, j)",
    "a = ConstantOfShape (n) b, y = Split <axis = 0> (a, m)",
    "a = ConstantOfShape (n) b = Unsqueeze (a, i) c = Squeeze (b, i) y = Transpose (c)",
    "a = ConstantOfShape (n) b = Expand (z, n) y = Concat <axis = 0> (a, b)",
    "y = Identity (z)",
]

CHAIN = " ".join(f"a{i} = Identity (a{i - 1})" for i in range(1, 10))

OTHERS = [
    "y = ConstantOfShape <value = float[1] {1}> (n)",
    "y = ConstantOfShape <value = float[1] {-0.0}> (n)",
    "y = Expand (v, n)",
    "y = Expand (negative, n)",
    "a = ConstantOfShape (n) y = Concat <axis = 0> (a, x)",
    "a = ConstantOfShape (n) y = Exp (a)",
    "y = Gather (x, i)",
    "a = ConstantOfShape (n) y = Gather (x, t)",
    "y = Identity (x)",
    "a = ConstantOfShape (n) y = test.Slice (a, i, j)",
    f"a0 = ConstantOfShape (n) {CHAIN} y = Identity (a9)",
]


def found(nodes: str) -> bool:
    weights = """<float z = {0}, float negative = {-0.0}, float v = {2}, int64[1] i = {0}, int64[1] j = {1},
        int64[2] m = {1, 1}, int64[2] t = {0, 0}>"""
    text = f"(float[2,N] x, int64[2] n) => (float[a,b] y) {weights} {{ {nodes} }}"
    return is_zeros(from_proto(model_of(text)).graph.outputs[0])


@pytest.mark.parametrize("nodes", ZEROS)
def test_zeros(nodes: str):
    assert found(nodes)


@pytest.mark.parametrize("nodes", OTHERS)
def test_what_is_not_known_to_be_zeros(nodes: str):
    assert not found(nodes)
