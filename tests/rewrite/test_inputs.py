"""What an input of a pattern can be: a tensor, a constant, a number, nothing, anything, or all that are left."""

from __future__ import annotations

import pytest
from onnx import numpy_helper

from graphopt.testing.cases import model_of
from graphopt.testing.rewriting import rewrite
from tests.rewrite.build import apply, expected, rewritten, rule_text, rules_of, shown


def fires(rule: str, graph: str, opset: int = 17) -> bool:
    return bool(rewritten(rule, graph, opset).firings)


def clip(pattern: str) -> str:
    return rule_text(f"y = Clip({pattern})", "y = Neg(x)", order="lower", opset=">= 11")


BOUNDS = "(float[2] x, float low, float high) => (float[2] z)"
CLIPS = {
    "none": "Clip (x)",
    "low": "Clip (x, low)",
    "low and an empty high": 'Clip (x, low, "")',
    "high": 'Clip (x, "", high)',
    "both": "Clip (x, low, high)",
    "both empty": 'Clip (x, "", "")',
}


@pytest.mark.parametrize(
    ("pattern", "matched"),
    [
        ("x", {"none", "both empty"}),
        ("x, _", {"none", "low", "low and an empty high", "both empty"}),
        ("x, _, _", set(CLIPS)),
        ("x, none", {"none", "both empty"}),
        ("x, none, _", {"none", "high", "both empty"}),
        ("x, _, none", {"none", "low", "low and an empty high", "both empty"}),
    ],
)
def test_inputs_are_closed(pattern: str, matched: set[str]):
    found = {name for name, node in CLIPS.items() if fires(clip(pattern), f"{BOUNDS} {{ z = {node} }}")}
    assert found == matched


@pytest.mark.parametrize(
    ("pattern", "matched"),
    [
        ("x, a, b", {"both"}),
        ("x, a?, b", {"high", "both"}),
        ("x, a, b?", {"low", "low and an empty high", "both"}),
        ("x, a?, b?", set(CLIPS)),
    ],
)
def test_a_question_mark_is_for_what_may_be_absent(pattern: str, matched: set[str]):
    rule = rule_text(f"y = Clip({pattern})", "y = Max(x, a ?? x, b ?? x)", order="lower", opset=">= 12")
    found = {name for name, node in CLIPS.items() if fires(rule, f"{BOUNDS} {{ z = {node} }}")}
    assert found == matched


def test_what_is_absent_is_none_and_stays_absent_in_the_rewrite():
    rule = rule_text("y = Clip(Neg(x), a?, b?)", "y = Clip(x, a, b)", opset=">= 11")
    for node in CLIPS.values():
        graph = f"{BOUNDS} {{ n = Neg (x) z = {node.replace('x', 'n', 1)} }}"
        assert shown(rewritten(rule, graph)) == expected(f"{BOUNDS} {{ z = {node} }}")


ONE_OF_ALL = """
rule one_of_all:
    "The first of all inputs."
    match:
        y = {operator}(*all)
    where:
        len(all) == {count}
    rewrite:
        y = all[0]
"""


@pytest.mark.parametrize("count", [1, 2, 3])
def test_a_star_takes_what_is_left(count: int):
    graph = f"(float[2] x) => (float[2] z) {{ y = Max ({', '.join(['x'] * count)}) z = Neg (y) }}"
    rule = ONE_OF_ALL.format(operator="Max", count=count)
    assert shown(apply(rule, graph)) == expected("(float[2] x) => (float[2] z) { z = Neg (x) }")
    assert not fires(ONE_OF_ALL.format(operator="Max", count=count + 1), graph)


def test_a_star_after_named_inputs_and_its_spread():
    rule = rule_text("y = Max(a, *others)", "y = Max(others, a)", order="once", head="first_last")
    graph = "(float[2] p, float[2] q, float[2] r) => (float[2] z) { z = Max (p, q, r) }"
    assert shown(apply(rule, graph)) == expected(graph.replace("(p, q, r)", "(q, r, p)"))


def test_a_star_may_take_nothing():
    rule = rule_text("y = Max(a, *others)", "y = a", where="len(others) == 0", head="alone")
    assert fires(rule, "(float[2] p) => (float[2] z) { y = Max (p) z = Neg (y) }")
    assert not fires(rule, "(float[2] p) => (float[2] z) { y = Max (p, p) z = Neg (y) }")


# --- constants ---

CONSTANT = rule_text("y = Add(x, const c)", "y = Sub(x, c)", order="lower", head="constant")


@pytest.mark.parametrize(
    "graph",
    [
        "(float[2] x) => (float[2] z) <float[2] c> { z = Add (x, c) }",
        "(float[2] x) => (float[2] z) { c = Constant <value = float[2] {1, 2}> () z = Add (x, c) }",
        "(float[2] x) => (float[2] z) { c = Constant <value_float = 1.0> () z = Add (x, c) }",
        "(float[2] x) => (float[2] z) { c = Constant <value_floats = [1.0, 2.0]> () z = Add (x, c) }",
        "(int64[2] x) => (int64[2] z) { c = Constant <value_int = 1> () z = Add (x, c) }",
        "(int64[2] x) => (int64[2] z) { c = Constant <value_ints = [1, 2]> () z = Add (x, c) }",
    ],
    ids=["initializer", "value", "value_float", "value_floats", "value_int", "value_ints"],
)
def test_a_constant_is_an_initializer_or_a_constant_node(graph: str):
    assert fires(CONSTANT, graph)


@pytest.mark.parametrize(
    "graph",
    [
        "(float[2] x, float[2] c) => (float[2] z) { z = Add (x, c) }",
        "(float[2] x, float[2] c = {1, 2}) => (float[2] z) { z = Add (x, c) }",
        "(float[2] x) => (float[2] z) <float[2] w> { c = Neg (w) z = Add (x, c) }",
    ],
    ids=["an input", "an input with a default", "computed"],
)
def test_nothing_else_is_constant(graph: str):
    assert not fires(CONSTANT, graph)


# --- numbers ---


def times(number: str) -> str:
    return rule_text(f"y = Mul(x, {number})", "y = Neg(x)", order="lower")


def product(elem_type: str, value: str) -> str:
    """A product with one element; the element is converted from float32 where the text syntax has no such type."""
    if elem_type in ("float", "double", "int32", "int64"):
        return f"({elem_type}[3] x) => ({elem_type}[3] z) <{elem_type} c = {{{value}}}> {{ z = Mul (x, c) }}"
    raise AssertionError(elem_type)


@pytest.mark.parametrize(
    ("number", "value", "matches"),
    [
        ("0.5", "0.5", True),
        ("0.1", "0.1", True),
        ("0.1", "0.10000001", False),
        ("~0.1", "0.10000001", True),
        ("~0.7071067811865476", "0.70710678", True),
        ("~0.7071067811865476", "0.7071", False),
        ("~0.7071067811865476", "0.707107", True),
        ("~-0.5", "-0.5", True),
        ("~-0.5", "0.5", False),
        ("~0", "0", True),
        ("~0", "1e-30", False),
        ("0", "-0.0", True),
        ("1", "1", True),
    ],
)
def test_a_number_in_float32(number: str, value: str, matches: bool):
    assert fires(times(number), product("float", value)) == matches


@pytest.mark.parametrize(
    ("number", "value", "matches"), [("~0.1", "0.1000001", True), ("~0.1", "0.100001", False), ("0.1", "0.1", True)]
)
def test_a_number_in_float64(number: str, value: str, matches: bool):
    assert fires(times(number), product("double", value)) == matches


@pytest.mark.parametrize(
    ("number", "value", "matches"), [("~2", "2", True), ("2", "2", True), ("~2", "3", False), ("~2.4", "2", False)]
)
@pytest.mark.parametrize("elem_type", ["int32", "int64"])
def test_a_number_among_integers_is_exact(number: str, value: str, matches: bool, elem_type: str):
    assert fires(times(number), product(elem_type, value)) == matches


@pytest.mark.parametrize(
    ("to", "value", "matches"),
    [
        (10, "0.70703125", True),
        (10, "0.706", True),
        (10, "0.703", False),
        (16, "0.70703125", True),
        (16, "0.698", True),
        (16, "0.68", False),
    ],
)
def test_a_number_in_a_narrow_type_is_as_near_as_the_type_can_say(to: int, value: str, matches: bool):
    """Relative to the number: 2^-9 in float16 and 2^-6 in bfloat16, which is two to four steps of the type."""
    name = {10: "float16", 16: "bfloat16"}[to]
    model = model_of(product("float", value), dtype=name)
    assert numpy_helper.to_array(model.graph.initializer[0]).dtype.name == name
    assert bool(rewrite(model, rules_of(times("~0.7071067811865476"))).firings) == matches


@pytest.mark.parametrize(
    ("graph", "matches"),
    [
        ("(float[3] x) => (float[3] z) <float[1] c = {0.5}> { z = Mul (x, c) }", True),
        ("(float x) => (float[1] z) <float[1] c = {0.5}> { z = Mul (x, c) }", False),
        ("(float[3] x) => (float[1,3] z) <float[1,1] c = {0.5}> { z = Mul (x, c) }", False),
        ("(float[2,3] x) => (float[2,3] z) <float[1,1] c = {0.5}> { z = Mul (c, x) }", True),
        ("(float[3] x) => (float[3] z) <float[3] c = {0.5, 0.5, 0.5}> { z = Mul (x, c) }", False),
        ("(float[3] x, float c = {0.5}) => (float[3] z) { z = Mul (x, c) }", False),
        ("(float[N,M] x) => (float[A,B] z) <float[1] c = {0.5}> { r = Squeeze (x) z = Mul (r, c) }", False),
    ],
    ids=["rank 1", "lifts a scalar", "lifts rank 1", "rank 2", "several", "overridable", "unknown rank"],
)
def test_a_number_is_one_element_that_lifts_no_rank(graph: str, matches: bool):
    assert fires(times("0.5"), graph) == matches


def test_a_truth_value_is_no_number():
    rule = rule_text("y = And(x, 1)", "y = Not(x)", order="lower")
    assert not fires(rule, "(bool[3] x) => (bool[3] z) <bool one = {1}> { z = And (x, one) }")


# --- attributes ---


def leaky(attributes: str, rewrite: str = "Neg(x)") -> str:
    return rule_text(f"y = LeakyRelu(x{attributes})", f"y = {rewrite}", order="lower")


@pytest.mark.parametrize(
    ("pattern", "node", "matches"),
    [
        ("", "LeakyRelu (x)", True),
        ("", "LeakyRelu <alpha = 0.01> (x)", True),
        ("", "LeakyRelu <alpha = 0.02> (x)", False),
        (", alpha=0.01", "LeakyRelu (x)", True),
        (", alpha=0.02", "LeakyRelu (x)", False),
        (", alpha=0.02", "LeakyRelu <alpha = 0.02> (x)", True),
        (", alpha=_", "LeakyRelu <alpha = 7.0> (x)", True),
    ],
)
def test_attributes_are_closed(pattern: str, node: str, matches: bool):
    assert fires(leaky(pattern), f"(float[2] x) => (float[2] z) {{ z = {node} }}") == matches


@pytest.mark.parametrize(("node", "value"), [("LeakyRelu (x)", 0.01), ("LeakyRelu <alpha = 0.5> (x)", 0.5)])
def test_a_variable_gets_the_default_where_nothing_is_said(node: str, value: float):
    after = rewritten(leaky(", alpha=a", "Elu(x, alpha=a)"), f"(float[2] x) => (float[2] z) {{ z = {node} }}")
    assert shown(after) == expected(f"(float[2] x) => (float[2] z) {{ z = Elu <alpha = {value}> (x) }}")


def test_a_question_mark_is_for_an_attribute_without_a_default():
    rule = rule_text("y = Transpose(x, perm=p{mark})", "y = Neg(x)", where="p == {value}", order="lower", head="order")
    absent = "(float[2,2] x) => (float[2,2] z) { z = Transpose (x) }"
    given = "(float[2,2] x) => (float[2,2] z) { z = Transpose <perm = [0, 1]> (x) }"
    assert fires(rule.format(mark="?", value="none"), absent)
    assert not fires(rule.format(mark="?", value="none"), given)
    assert fires(rule.format(mark="?", value="[0, 1]"), given)
    assert fires(rule.format(mark="", value="[0, 1]"), given)
    assert not fires(rule.format(mark="", value="none"), absent)


def test_the_rest_is_captured_and_spent():
    rule = rule_text("y = Conv(Neg(x), w, group=g, **conv)", "y = Conv(x, w, group=g, **conv)", head="below")
    graph = """(float[1,2,5,5] x) => (float[1,2,2,2] z) <float[2,1,3,3] w> {{
        {neg} z = Conv <group = 2, strides = [2, 2], kernel_shape = [3, 3]> ({input}, w)
    }}"""
    after = rewritten(rule, graph.format(neg="n = Neg (x)", input="n"))
    assert shown(after) == expected(graph.format(neg="", input="x"))


def test_one_name_for_two_rests_means_that_they_are_the_same():
    rule = rule_text("y = MaxPool(MaxPool(x, **pool), **pool)", "y = MaxPool(x, **pool)")
    graph = """(float[1,1,9,9] x) => (float[1,1,A,B] z) {{
        y = MaxPool <kernel_shape = [1, 1]{more}> (x)
        z = MaxPool <kernel_shape = [1, 1]> (y)
    }}"""
    assert fires(rule, graph.format(more=""))
    assert not fires(rule, graph.format(more=", ceil_mode = 1"))


def test_a_complex_element_is_no_number():
    graph = "(float[3] x) => (float[3] z) <complex64 c> { z = test.Pair (x, c) }"
    rule = rule_text("y = test::Pair(x, ~1)", "y = Neg(x)", order="lower")
    assert not fires(rule, graph)
