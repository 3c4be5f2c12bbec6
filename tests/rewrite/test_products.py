"""`Op*(a, b, c)`: every nest and every order of an associative, commutative operator."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import permutations

import pytest

from tests.rewrite.build import apply, expected, rewritten, rule_text, shown

Nest = str | tuple["Nest", "Nest"]


def nests(items: tuple[str, ...]) -> Iterator[Nest]:
    """Every binary tree over the items in this order."""
    if len(items) == 1:
        yield items[0]
    for cut in range(1, len(items)):
        for left in nests(items[:cut]):
            for right in nests(items[cut:]):
                yield left, right


def nodes_of(nest: Nest, operator: str) -> str:
    """The nest as nodes, the last of which makes z."""
    lines: list[str] = []

    def name(part: Nest) -> str:
        if isinstance(part, str):
            return part
        left, right = name(part[0]), name(part[1])
        lines.append(f"{operator} ({left}, {right})")
        return f"v{len(lines)}"

    name(nest)
    *inner, last = lines
    return " ".join([*(f"v{i} = {line}" for i, line in enumerate(inner, 1)), f"z = {last}"])


THREE = """
rule three:
    "Three factors, one of which is the number 0.5, and one a sine."
    match:
        y = Mul*(a, Sin(b), ~0.5)
    where:
        a.rank == 2
    rewrite:
        y = Div(a, b)
"""


@pytest.mark.parametrize("order", list(permutations(("a", "s", "half"))), ids="-".join)
def test_three_factors_in_every_nest_and_order(order: tuple[str, ...]):
    for nest in nests(order):
        signature = "(float[2,2] a, float[2] b) => (float[2,2] z)"
        graph = f"{signature} <float half = {{0.5}}> {{ s = Sin (b) {nodes_of(nest, 'Mul')} }}"
        assert shown(rewritten(THREE, graph)) == expected(f"{signature} {{ z = Div (a, b) }}"), nest


FOUR = """
rule four:
    "The operand of rank n is the n-th."
    order lower
    match:
        y = Add*(a: _[_], b: _[_, _], c: _[_, _, _], d: _[_, _, _, _])
    rewrite:
        y = Sum(a, b, c, d)
"""


@pytest.mark.parametrize("order", list(permutations("abcd")), ids="".join)
def test_four_terms_in_every_nest_and_order(order: tuple[str, ...]):
    signature = "(float[2] a, float[2,2] b, float[2,2,2] c, float[2,2,2,2] d) => (float[2,2,2,2] z)"
    for nest in nests(order):
        after = apply(FOUR, f"{signature} {{ {nodes_of(nest, 'Add')} }}")
        assert shown(after) == expected(f"{signature} {{ z = Sum (a, b, c, d) }}"), nest


def matches(graph: str) -> bool:
    rule = rule_text("y = Mul*(a, b, c)", "y = Max(a, b, c)", order="lower", head="three")
    return bool(rewritten(rule, graph).firings)


def test_two_factors_are_not_three():
    assert not matches("(float[2] a, float[2] b) => (float[2] z) { z = Mul (a, b) }")


def test_three_of_four_factors_leave_the_fourth_whole():
    rule = rule_text("y = Mul*(a, b, c)", "y = Max(a, b, c)", order="lower", head="three")
    signature = "(float[2] a, float[2] b, float[2] c, float[2] d) => (float[2] z)"
    after = rewritten(rule, f"{signature} {{ p = Mul (a, b) q = Mul (p, c) z = Mul (q, d) }}")
    operators = [n.op_type for n in after.model.graph.node]
    assert sorted(operators) == ["Max", "Mul"]


def test_one_value_three_times():
    rule = rule_text("y = Mul*(x, x, x)", "y = Pow(x, 3.0)", order="lower", head="cube")
    for nodes in ("p = Mul (a, a) z = Mul (p, a)", "p = Mul (a, a) z = Mul (a, p)"):
        after = apply(rule, f"(float[2] a) => (float[2] z) {{ {nodes} }}")
        assert [n.op_type for n in after.model.graph.node] == ["Pow"]
    assert not rewritten(rule, "(float[2] a, float[2] b) => (float[2] z) { p = Mul (a, b) z = Mul (p, a) }").firings


def test_a_square_of_a_product_is_no_nest():
    """Its inner product is read twice, so that it would have to be taken apart twice."""
    assert not matches("(float[2] a, float[2] b) => (float[2] z) { p = Mul (a, b) z = Mul (p, p) }")


@pytest.mark.parametrize(
    "graph",
    [
        "(float[2] a, float[2] b) => (float[2] z, float[2] v) { p = Mul (a, b) z = Mul (p, a) v = Neg (p) }",
        "(float[2] a, float[2] b) => (float[2] z, float[2] p) { p = Mul (a, b) z = Mul (p, a) }",
        """(float[2] a, float[2] b, bool c) => (float[2] z, float[2] v) {
            p = Mul (a, b) z = Mul (p, a)
            v = If (c) <
                then_branch = yes () => (float[2] s) { s = Neg (p) },
                else_branch = no () => (float[2] t) { t = Abs (p) }
            >
        }""",
    ],
    ids=["another reader", "an output of the graph", "read by a body"],
)
def test_an_inner_product_is_private(graph: str):
    assert not matches(graph)


def test_operators_of_one_nest_are_the_same():
    assert not matches("(float[2] a, float[2] b) => (float[2] z) { p = Add (a, b) z = Mul (p, a) }")


def test_other_nodes_may_lie_between_a_product_and_its_operands():
    rule = """
rule silu_gate:
    "x * sigmoid(x) * g"
    match:
        y = Mul*(x, Sigmoid(x), g)
    rewrite:
        y = Max(x, g)
"""
    for nodes in (
        "s = Sigmoid (x) p = Mul (x, s) z = Mul (p, g)",
        "s = Sigmoid (x) p = Mul (s, g) z = Mul (x, p)",
        "s = Sigmoid (x) p = Mul (g, x) z = Mul (s, p)",
    ):
        after = rewritten(rule, f"(float[2] x, float[2] g) => (float[2] z) {{ {nodes} }}")
        assert [n.op_type for n in after.model.graph.node] == ["Max"]
        assert list(after.model.graph.node[0].input) == ["x", "g"]


def test_five_operands_of_one_node_in_any_order():
    rule = rule_text(
        "y = Sum(a: _[_], b: _[_, _], Sin(c), Cos(d), e: _[_, _, _])", "y = test::Five(a, b, c, d, e)", order="lower"
    )
    signature = "(float[2] a, float[2,2] b, float[2] c, float[2] d, float[2,2,2] e) => (float[2,2,2] z)"
    wanted = expected(f"{signature} {{ z = test.Five (a, b, c, d, e) }}")
    for order in (("a", "b", "s", "t", "e"), ("e", "t", "s", "b", "a"), ("t", "a", "e", "s", "b")):
        graph = f"{signature} {{ s = Sin (c) t = Cos (d) z = Sum ({', '.join(order)}) }}"
        assert shown(rewritten(rule, graph)) == wanted


def test_a_product_of_many_factors_is_no_more_than_a_product():
    """Trying every order of twenty operands would never end; of those that fit nowhere none is tried further."""
    names = [f"v{i}" for i in range(20)]
    rule = rule_text(f"y = Mul*({', '.join(['Sin(x)', *names[1:]])})", f"y = Max(x, {', '.join(names[1:])})")
    chain = " ".join(f"p{i} = Mul (p{i - 1}, b)" for i in range(1, 20))
    graph = f"(float[2] p0, float[2] b) => (float[2] z) {{ {chain} z = Neg (p19) }}"
    assert rewritten(rule, graph).firings == ()
