"""What a firing leaves behind: names, types, constants, attributes, outputs of the graph."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper

from graphopt.testing.cases import model_of
from graphopt.testing.rewriting import rewrite
from graphopt.testing.weights import DTYPES
from tests.rewrite.build import apply, expected, rewritten, rule_text, rules_of, shown


def lowering(pattern: str, result: str) -> str:
    return rule_text(f"y = {pattern}", f"y = {result}", order="lower", head="r")


def weights(model: onnx.ModelProto) -> dict[str, np.ndarray]:
    return {t.name: numpy_helper.to_array(t) for t in model.graph.initializer}


# --- outputs of the graph ---

PASS = rule_text("y = Relu(x)", "y = x", head="relu_out")


def test_a_value_takes_the_name_of_an_output():
    after = apply(PASS, "(float[2] x) => (float[2] z) { a = Abs (x) z = Relu (a) }")
    (node,) = after.model.graph.node
    assert (node.op_type, list(node.output)) == ("Abs", ["z"])


def test_its_other_readers_read_it_under_that_name():
    graph = "(float[2] x) => (float[2] z, float[2] v) { a = Abs (x) z = Relu (a) v = Neg (a) }"
    after = apply(PASS, graph)
    assert shown(after) == expected("(float[2] x) => (float[2] z, float[2] v) { z = Abs (x) v = Neg (z) }")


def test_an_input_or_an_output_is_copied_to_an_output():
    graph = "(float[2] x) => (float[2] z) { z = Relu (x) }"
    wanted = "(float[2] x) => (float[2] z) { z = Identity (x) }"
    assert shown(rewritten(PASS, graph)) == expected(wanted)
    graph = "(float[2] x) => (float[2] z, float[2] a) { a = Abs (x) z = Relu (a) }"
    wanted = "(float[2] x) => (float[2] z, float[2] a) { a = Abs (x) z = Identity (a) }"
    assert shown(apply(PASS, graph)) == expected(wanted)


BOTH = rule_text("a = Relu(x)\nb = Abs(x)", "a = x\nb = {b}", head="both")


def test_two_outputs_of_one_value():
    graph = "(float[2] x) => (float[2] p, float[2] q) { m = Abs (x) p = Relu (m) q = Abs (m) }"
    wanted = "(float[2] x) => (float[2] p, float[2] q) { p = Abs (x) q = Identity (p) }"
    assert shown(apply(BOTH.format(b="x"), graph)) == expected(wanted)


def test_a_new_node_reads_a_value_that_took_the_name_of_an_output():
    graph = "(float[2] x) => (float[2] p, float[2] q) { m = Exp (x) p = Relu (m) q = Abs (m) }"
    wanted = "(float[2] x) => (float[2] p, float[2] q) { p = Exp (x) q = Max (p, p) }"
    assert shown(apply(BOTH.format(b="Max(x, x)"), graph)) == expected(wanted)


TWINS = rule_text("a = Relu(x)\nb = Relu(x)", "a = Relu(x)\nb = a", head="twins")


@pytest.mark.parametrize(
    ("graph", "wanted"),
    [
        (
            "(float[2] x) => (float[2] p, float[2] q) { a = Relu (x) b = Relu (x) p = Neg (a) q = Abs (b) }",
            "(float[2] x) => (float[2] p, float[2] q) { a = Relu (x) p = Neg (a) q = Abs (a) }",
        ),
        (
            "(float[2] x) => (float[2] a, float[2] q) { a = Relu (x) b = Relu (x) q = Abs (b) }",
            "(float[2] x) => (float[2] a, float[2] q) { a = Relu (x) q = Abs (a) }",
        ),
        (
            "(float[2] x) => (float[2] b, float[2] q) { b = Relu (x) a = Relu (x) q = Abs (a) }",
            "(float[2] x) => (float[2] b, float[2] q) { b = Relu (x) q = Abs (b) }",
        ),
    ],
    ids=["neither is an output", "one is an output", "the other is an output"],
)
def test_two_names_for_one_new_value(graph: str, wanted: str):
    assert shown(apply(TWINS, graph)) == expected(wanted)


def test_two_outputs_for_one_new_value():
    after = apply(TWINS, "(float[2] x) => (float[2] a, float[2] b) { a = Relu (x) b = Relu (x) }")
    assert sorted(n.op_type for n in after.model.graph.node) == ["Identity", "Relu"]


# --- names ---


def test_fresh_names_avoid_every_scope():
    """The name that the new weight would get is taken in a body, by a node, and by an outer value."""
    graph = """(float[2] x, bool c) => (float[2] z, float[2] v) <float[2] w> {
        z = Sub (x, w)
        "z.c_1" = Neg (x)
        v = If (c) <
            then_branch = yes () => (float[2] p) { "z.w" = Neg (x) p = Add ("z.w", "z.c_1") },
            else_branch = no () => (float[2] q) { "z.constant" = Abs (x) q = Add ("z.constant", x) }
        >
    }"""
    rule = lowering("Sub(x, const w)", "Add(x, -w)")
    after = apply(rule, graph)
    (name,) = [t.name for t in after.model.graph.initializer]
    assert name not in {"z.w", "z.c_1", "z.constant"}


def test_an_output_that_shares_its_name_with_a_value_inside_a_body():
    """The standard allows that where the body comes before it; what the body captures must not get that name then.
    (ONNX Runtime refuses the graph.)"""
    graph = """(float[2] x, bool c) => (float[2] v, float[2] z) {
        m = Abs (x)
        v = If (c) <
            then_branch = yes () => (float[2] p) { z = Neg (x) p = Add (z, m) },
            else_branch = no () => (float[2] q) { q = Abs (m) }
        >
        z = Relu (m)
    }"""
    assert shown(rewritten(PASS, graph)) == expected(graph.replace("z = Relu (m)", "z = Identity (m)"))


def test_a_node_keeps_its_name_through_a_change_of_its_operands():
    graph = '(float[2] x) => (float[2] z) { n = Neg (x) ["layer 1"] z = Abs (n) }'
    rule = rule_text("y = Abs(Neg(x))", "y = Abs(x)", head="even")
    (node,) = apply(rule, graph).model.graph.node
    assert node.name == "layer 1"


def test_a_new_node_is_named_after_the_one_it_stands_for():
    graph = '(float[2] x) => (float[2] z) { ["layer 1"] z = Relu (x) }'
    (node,) = rewritten(lowering("Relu(x)", "Abs(x)"), graph).model.graph.node
    assert node.name == "layer 1.Abs"


# --- constants ---


@pytest.mark.parametrize("dtype", ["float", "float16", "double", "bfloat16"])
def test_a_number_takes_the_type_of_what_it_meets(dtype: str):
    rule = lowering("Relu(x)", "Mul(x, 1 / 3)")
    after = rewrite(model_of("(float[2] x) => (float[2] z) { z = Relu (x) }", dtype=dtype), rules_of(rule))
    (weight,) = weights(after.model).values()
    expected_type = helper.tensor_dtype_to_np_dtype(DTYPES[dtype])
    assert (weight, weight.dtype) == (np.asarray(1 / 3).astype(expected_type), expected_type)


def test_computing_is_in_float64_and_rounds_once():
    """(1 + 2^-30) - 1 is 0 in float32, and 2^-30 here."""
    rule = lowering("Mul(x, const c)", "Div(x, (c + 2 ** -30) - 1)")
    after = rewritten(rule, "(float[2] x) => (float[2] z) <float c = {1}> { z = Mul (x, c) }")
    (weight,) = weights(after.model).values()
    assert weight == 2.0**-30


@pytest.mark.parametrize(
    ("computed", "elem_type"),
    [
        ("c * 1e39", "float"),
        ("c / 0", "float"),
        ("sqrt(-c)", "float"),
        ("log(c - c)", "float"),
        ("c + 2147483647", "int32"),
        ("c * 9223372036854775807 * 2", "int64"),
        ("c / 2", "int32"),
    ],
)
def test_a_constant_that_does_not_fit_declines(computed: str, elem_type: str):
    rule = lowering("Mul(x, const c)", f"Add(x, {computed})")
    graph = f"({elem_type}[2] x) => ({elem_type}[2] z) <{elem_type} c = {{1}}> {{ z = Mul (x, c) }}"
    assert rewritten(rule, graph).firings == ()


def test_weights_that_nobody_reads_any_more_are_gone():
    rule = lowering("Add(x, const c)", "Sub(x, -c)")
    after = apply(rule, "(float[2] x) => (float[2] z) <float[2] c> { z = Add (x, c) }")
    assert list(weights(after.model)) == ["constant"]


def test_an_overridable_default_stays_although_nobody_reads_it():
    rule = lowering("Add(x, c)", "Neg(x)").replace("rewrite", "where:\nc.rank == 1\nrewrite")
    after = rewritten(rule, "(float[2] x, float[2] c = {1, 2}) => (float[2] z) { z = Add (x, c) }")
    assert [i.name for i in after.model.graph.input] == ["x", "c"]
    assert list(weights(after.model)) == ["c"]


# --- attributes ---


@pytest.mark.parametrize(
    ("result", "wanted"),
    [
        ("LeakyRelu(x, alpha=0)", "LeakyRelu <alpha = 0.0> (x)"),
        ("LeakyRelu(x, alpha=0.01)", "LeakyRelu (x)"),
        ("LeakyRelu(x, alpha=none)", "LeakyRelu (x)"),
        ("Concat(x, axis=4 // 2 - 2)", "Concat <axis = 0> (x)"),
        ("Cast(x, to=float32)", "Cast <to = 1> (x)"),
        ("Cast(x, to=x.dtype)", "Cast <to = 1> (x)"),
        ("Transpose(x, perm=reverse(range(x.rank)))", "Transpose <perm = [0]> (x)"),
        ("MaxPool(x, kernel_shape=rep(1, 0) ++ [1])", None),
    ],
)
def test_an_attribute_is_of_the_kind_that_its_operator_has(result: str, wanted: str | None):
    after = rewritten(lowering("Relu(x)", result), "(float[2] x) => (float[2] z) { z = Relu (x) }")
    assert len(after.firings) == (wanted is not None)
    if wanted is not None:
        assert shown(after) == expected(f"(float[2] x) => (float[2] z) {{ z = {wanted} }}")


@pytest.mark.parametrize("result", ["Transpose(x, perm=x.shape)", "Concat(x, axis=x.shape[0])"])
def test_an_attribute_that_is_not_known_declines(result: str):
    after = rewritten(lowering("Relu(x)", result), "(float[N] x) => (float[N] z) { z = Relu (x) }")
    assert after.firings == ()


@pytest.mark.parametrize("axis", ["1 / 2", "[0]", '"first"'])
def test_an_attribute_of_another_kind_declines_where_no_check_finds_it(axis: str):
    graph = "(float[2] x) => (float[2] z) { z = Relu (x) }"
    assert rewritten(lowering("Relu(x)", f"Concat(x, axis={axis})"), graph, checked=False).firings == ()


def test_a_default_that_is_written_out_is_left_out():
    rule = lowering("Relu(x)", "LeakyRelu(x, alpha=0.01)")
    (node,) = rewritten(rule, "(float[2] x) => (float[2] z) { z = Relu (x) }").model.graph.node
    assert not node.attribute


# --- types ---


def test_an_operator_that_does_not_take_the_type_declines():
    """Relu takes integers since opset 14."""
    rule = lowering("Neg(x)", "Relu(x)")
    for opset, fires in ((13, 0), (14, 1)):
        assert len(rewritten(rule, "(int32[2] x) => (int32[2] z) { z = Neg (x) }", opset).firings) == fires


def test_another_element_type_declines():
    rule = lowering("Relu(x)", "Cast(x, to=11)")
    assert not rewritten(rule, "(float[2] x) => (float[2] z) { z = Relu (x) }").firings


def test_what_the_match_takes_out_cannot_be_read():
    rule = rule_text("a = Relu(x)\ny = Neg(a)", "y = Abs(a)", where="x.rank == 1", head="r")
    assert not rewritten(rule, "(float[2] x) => (float[2] z) { a = Relu (x) z = Neg (a) }", checked=False).firings


def test_an_intermediate_value_of_the_rewrite():
    rule = lowering("Relu(x)", "Abs(half)").replace("rewrite:\n", "rewrite:\nhalf = Mul(x, 0.5)\n")
    graph = "(float[2] x) => (float[2] z) { z = Relu (x) }"
    wanted = "(float[2] x) => (float[2] z) { h = Mul (x, c) z = Abs (h) }"
    assert shown(rewritten(rule, graph)) == expected(wanted)


def test_a_rewrite_that_chooses():
    rule = lowering("Transpose(x, perm=p)", "x if p == range(x.rank) else Reshape(x, y.shape)")
    for perm, node in (([0, 1], "Neg (x)"), ([1, 0], None)):
        graph = f"(float[1,3] x) => (float[A,B] z) {{ y = Transpose <perm = {perm}> (x) z = Neg (y) }}"
        after = apply(rule, graph)
        operators = [n.op_type for n in after.model.graph.node]
        assert operators == (["Neg"] if node else ["Reshape", "Neg"])
