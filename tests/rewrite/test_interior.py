"""What lies inside a match is read by nobody else, whoever reads."""

from __future__ import annotations

import pytest

from tests.rewrite.build import apply, expected, shown

ADD_TO_GEMM = """
rule add_to_gemm:
    "A product and what is added to it."
    match:
        y = MatMul(a: float32[_, _], b: float32[_, _])
        z = Add(y, c)
    rewrite:
        z = Gemm(a, b, c)
"""

NESTED = """
rule add_to_gemm:
    "A product and what is added to it, the product without a name."
    match:
        z = Add(MatMul(a: float32[_, _], b: float32[_, _]), c)
    rewrite:
        z = Gemm(a, b, c)
"""


@pytest.mark.parametrize("rule", [ADD_TO_GEMM, NESTED], ids=["named", "nested"])
@pytest.mark.parametrize(
    "nodes",
    [
        "y = MatMul (x, w) z = Add (y, y)",
        "y = MatMul (x, w) v = Relu (y) z = Add (y, v)",
        "y = MatMul (x, w) v = Add (y, x) z = Mul (v, y)",
    ],
    ids=["as the other operand", "through another node", "behind the match"],
)
def test_another_reader_keeps_the_rule_away(rule: str, nodes: str):
    graph = f"(float[3,3] x) => (float[3,3] z) <float[3,3] w> {{ {nodes} }}"
    after = apply(rule, graph)
    assert after.firings == ()
    assert shown(after) == expected(graph)
