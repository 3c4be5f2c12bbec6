"""Patterns of several statements, of several outputs, with several ways to match, and with nodes that stay."""

from __future__ import annotations

import pytest

from tests.rewrite.build import apply, expected, rewritten, shown

# --- several outputs ---

HALVES = """
rule halves_joined:
    "Two halves that are joined again are the whole."
    match:
        a, b = Split(x, axis=p, split=_, num_outputs=_)
        y = Concat(a, b, axis=q)
    where:
        p == q
    rewrite:
        y = x
"""


def test_both_outputs_of_one_node():
    graph = "(float[4] x) => (float[4] z) { a, b = Split (x) y = Concat <axis = 0> (a, b) z = Neg (y) }"
    after = apply(HALVES, graph, opset=13)
    assert shown(after) == expected("(float[4] x) => (float[4] z) { z = Neg (x) }", 13)


@pytest.mark.parametrize(
    "nodes",
    [
        "a, b = Split (x) y = Concat <axis = 0> (b, a)",
        "a, b = Split (x) y = Concat <axis = 0> (a, a)",
        "a, c = Split (x) d, b = Split (x) y = Concat <axis = 0> (a, b)",
        "a, b = Split (x) c, d = Split (x) y = Concat <axis = 0> (c, b)",
    ],
    ids=["the wrong way round", "one twice", "of two nodes", "of two nodes, crossed"],
)
def test_outputs_are_those_of_one_node_in_their_places(nodes: str):
    after = apply(HALVES, f"(float[4] x) => (float[4] z) {{ {nodes} z = Neg (y) }}", opset=13)
    assert after.firings == ()


def test_a_third_output_is_one_too_many():
    graph = "(float[6] x) => (float[4] z) { a, b, c = Split (x) y = Concat <axis = 0> (a, b) z = Neg (y) }"
    assert apply(HALVES, graph, opset=13).firings == ()


UNREAD = """
opset >= 12
rule mask_unread:
    "Nobody reads the mask."
    match:
        y, _ = Dropout(x)
    rewrite:
        y = x
"""


@pytest.mark.parametrize(
    ("graph", "fires"),
    [
        ("(float[2] x) => (float[2] z) { y = Dropout (x) z = Neg (y) }", True),
        ("(float[2] x) => (float[2] z) { y, m = Dropout (x) z = Neg (y) }", True),
        ("(float[2] x) => (float[2] z, bool[2] v) { y, m = Dropout (x) z = Neg (y) v = Not (m) }", False),
        ("(float[2] x) => (float[2] z, bool[2] m) { y, m = Dropout (x) z = Neg (y) }", False),
    ],
    ids=["absent", "unread", "read", "an output of the graph"],
)
def test_an_underscore_is_an_output_that_nothing_reads(graph: str, fires: bool):
    assert len(apply(UNREAD, graph).firings) == fires


def test_only_named_outputs_may_be_present():
    rule = """
opset >= 12
rule mask_absent:
    "There is no mask."
    match:
        y = Dropout(x)
    rewrite:
        y = x
"""
    assert len(apply(rule, "(float[2] x) => (float[2] z) { y = Dropout (x) z = Neg (y) }").firings) == 1
    assert apply(rule, "(float[2] x) => (float[2] z) { y, m = Dropout (x) z = Neg (y) }").firings == ()


def test_an_output_that_is_absent_is_not_defined_again():
    rule = """
opset >= 12
rule without_dropout:
    "Dropout keeps everything."
    order lower
    match:
        y, m = Dropout(x: float32[...])
    rewrite:
        y = x
        m = Cast(x, to=9)
"""
    after = apply(rule, "(float[2] x) => (float[2] z) { y = Dropout (x) z = Neg (y) }")
    assert shown(after) == expected("(float[2] x) => (float[2] z) { z = Neg (x) m = Cast <to = 9> (x) }")


# --- several roots ---

SIDE_BY_SIDE = """
rule side_by_side:
    "Two products of one input are one product."
    order once
    match:
        a = MatMul(x: float32[_, _], const v: float32[_, m])
        b = MatMul(x, const w: float32[_, n])
    where:
        m == n
    rewrite:
        both = MatMul(x, Concat(v, w, axis=1))
        a, b = Split(both, axis=1)
"""


@pytest.mark.parametrize("nodes", ["p = MatMul (x, v) q = MatMul (x, w)", "q = MatMul (x, w) p = MatMul (x, v)"])
def test_two_roots_that_share_an_input(nodes: str):
    after = apply(
        SIDE_BY_SIDE.replace("rule side", "opset 13..17\nrule side"),
        f"""(float[2,3] x) => (float[2,4] y, float[2,4] z) <float[3,4] v, float[3,4] w> {{
            {nodes} y = Neg (p) z = Abs (q)
        }}""",
        opset=13,
    )
    (firing,) = after.firings
    assert len(firing.removed) == 2
    assert {n.op_type for n in after.model.graph.node} == {"Concat", "MatMul", "Split", "Neg", "Abs"}


CYCLE = """
opset 13..17
rule split_and_add:
    "Wrong on purpose where the other operand comes from the second half."
    order once
    match:
        a, b = Split(x)
        c = Add(a, d)
    rewrite:
        b = Neg(x)
        c = Sub(b, d)
"""


def test_a_rewrite_that_would_read_what_it_defines_declines():
    graph = "(float[2] x) => (float[1] p, float[1] q) { a, b = Split (x) d = Relu (b) p = Add (a, d) q = Abs (b) }"
    assert apply(CYCLE, graph, opset=13).firings == ()


TWO_ROOTS = """
rule identity_out:
    "Identity is its input."
    match:
        y = Identity(x)
    rewrite:
        y = x

rule pair:
    "A marked pair."
    order lower
    match:
        a = {first}
        b = {second}
    rewrite:
        a = Ceil(x)
        b = Floor(x)
"""


@pytest.mark.parametrize(
    "identity", ["i = Identity (n) p = Relu (i) q = Sigmoid (w)", "q = Sigmoid (w) i = Identity (n) p = Relu (i)"]
)
@pytest.mark.parametrize(("first", "second"), [("Relu(Neg(x))", "Sigmoid(x)"), ("Sigmoid(x)", "Relu(Neg(x))")])
def test_a_firing_near_one_root_finds_the_other(identity: str, first: str, second: str):
    rules = TWO_ROOTS.format(first=first, second=second)
    graph = f"(float[2] x) => (float[2] p, float[2] q) {{ w = Abs (x) n = Neg (w) {identity} }}"
    before_the_pair = rewritten(rules, graph)
    assert [f.rule.split("@")[0] for f in before_the_pair.firings] == ["identity_out", "pair"]


def test_three_roots_of_which_two_meet_in_the_third_alone():
    rule = """
rule three:
    "The middle one reads what the others read."
    order lower
    match:
        b = Mul(x, w)
        a = Relu(x)
        c = Sigmoid(w)
    rewrite:
        a = Neg(x)
        b = Sub(x, w)
        c = Abs(w)
"""
    signature = "(float[2] x, float[2] w) => (float[2] a, float[2] b, float[2] c)"
    after = rewritten(rule, f"{signature} {{ a = Relu (x) b = Mul (x, w) c = Sigmoid (w) }}")
    assert shown(after) == expected(f"{signature} {{ a = Neg (x) b = Sub (x, w) c = Abs (w) }}")


# --- alternatives ---

EITHER = """
rule halved:
    "Half, however it is written."
    order lower
    match:
        y = Mul(x, ~0.5) | Div(x, ~2)
    rewrite:
        y = Sum(x, x)
"""


@pytest.mark.parametrize(
    ("node", "fires"), [("Mul (x, h)", 1), ("Div (x, t)", 1), ("Mul (x, t)", 0), ("Div (t, x)", 0)]
)
def test_either_of_two_roots(node: str, fires: int):
    graph = f"(float[2] x) => (float[2] z) <float h = {{0.5}}, float t = {{2}}> {{ z = {node} }}"
    assert len(rewritten(EITHER, graph).firings) == fires


def test_alternatives_inside_a_pattern_nest():
    rule = """
rule either:
    "One of three, below Neg."
    match:
        y = Neg(Relu(x) | (Sigmoid(x) | Neg(Abs(x) | Exp(x))))
    rewrite:
        y = Tanh(x)
"""
    for below, fires in (("Relu (x)", 1), ("Sigmoid (x)", 1), ("Tanh (x)", 0)):
        graph = f"(float[2] x) => (float[2] z) {{ y = {below} z = Neg (y) }}"
        assert len(rewritten(rule, graph).firings) == fires
    for below, fires in (("Abs (x)", 1), ("Exp (x)", 1), ("Tanh (x)", 0)):
        graph = f"(float[2] x) => (float[2] z) {{ u = {below} y = Neg (u) z = Neg (y) }}"
        assert len(rewritten(rule, graph).firings) == fires


def test_an_alternative_that_the_opset_lacks_leaves_the_others():
    rule = """
opset 13..26
rule either:
    "An activation."
    order lower
    match:
        y = Relu(x) | Gelu(x, approximate=_)
    rewrite:
        y = Tanh(x)
"""
    assert len(rewritten(rule, "(float[2] x) => (float[2] z) { z = Relu (x) }", opset=13).firings) == 1


def test_a_condition_that_fails_makes_the_matcher_try_the_next_order():
    rule = """
rule larger_first:
    "The operand of the higher rank is a."
    order lower
    match:
        y = Add(a, b)
    where:
        a.rank > b.rank
    rewrite:
        y = Sub(a, b)
"""
    graph = "(float[2] v, float[3,2] m) => (float[3,2] z) { z = Add (v, m) }"
    wanted = "(float[2] v, float[3,2] m) => (float[3,2] z) { z = Sub (m, v) }"
    assert shown(rewritten(rule, graph)) == expected(wanted)


# --- shared ---

SHARED = """
rule through:
    "What is below reads what is above."
    match:
        shared y = Abs(x)
        z = Abs(y)
    rewrite:
        z = Abs(x)
"""


def test_a_shared_node_goes_when_nobody_reads_it_any_more():
    graph = "(float[2] x) => (float[2] z) { y = Abs (x) z = Abs (y) }"
    assert shown(apply(SHARED, graph)) == expected("(float[2] x) => (float[2] z) { z = Abs (x) }")


def test_a_shared_node_stays_for_its_other_readers():
    graph = "(float[2] x) => (float[2] z, float[2] v) { y = Abs (x) z = Abs (y) v = Neg (y) }"
    wanted = "(float[2] x) => (float[2] z, float[2] v) { z = Abs (x) y = Abs (x) v = Neg (y) }"
    assert shown(apply(SHARED, graph)) == expected(wanted)


def test_a_shared_node_may_lie_outside_the_body():
    graph = """(float[2] x, bool c) => (float[2] z) {
        y = Abs (x)
        z = If (c) <
            then_branch = yes () => (float[2] p) { p = Abs (y) },
            else_branch = no () => (float[2] q) { q = Neg (y) }
        >
    }"""
    after = apply(SHARED, graph)
    assert len(after.firings) == 1
    assert shown(after) == expected(graph.replace("p = Abs (y)", "p = Abs (x)"))


def test_a_value_that_loses_a_reader_far_above_is_tried_again():
    """Cos goes since nobody reads the quotient any more; so the Neg becomes private to its other reader."""
    rules = """
rule quotient_out:
    "u / k * k = u"
    match:
        shared r = Div(u, k)
        z = Mul(r, k)
    rewrite:
        z = u

rule even:
    "|-x| = |x|"
    match:
        y = Abs(Neg(x))
    rewrite:
        y = Abs(x)
"""
    signature = "(float[2] m, float[2] u) => (float[2] w, float[2] z)"
    graph = f"{signature} {{ n = Neg (m) w = Abs (n) k = Cos (n) r = Div (u, k) y = Mul (r, k) z = Exp (y) }}"
    after = rewritten(rules, graph)
    assert shown(after) == expected(f"{signature} {{ w = Abs (m) z = Exp (u) }}")
