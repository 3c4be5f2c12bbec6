"""An If whose condition is constant: the branch that it takes stands in its place."""

from __future__ import annotations

from collections import Counter

import onnx
import pytest

from graphopt.graph.load import from_proto
from graphopt.graph.save import to_proto
from graphopt.graph.validate import interface_of_model, validate
from graphopt.rewrite.inline import inline_decided
from graphopt.testing.cases import model_of
from graphopt.testing.weights import samples
from tests.rules.oracle import assert_same_results


def inline(graph: str | onnx.ModelProto, same_as: onnx.ModelProto | None = None) -> tuple[int, onnx.ModelProto]:
    """How many there were, and what is left, which computes the same bits under the same names."""
    proto = model_of(graph) if isinstance(graph, str) else graph
    copy = onnx.ModelProto()
    copy.CopyFrom(proto)
    model = from_proto(copy)
    interface = interface_of_model(model)
    count = inline_decided(model)
    validate(model, interface)
    after = to_proto(model)
    onnx.checker.check_model(after, full_check=True)
    assert_same_results(same_as or proto, after, samples(proto), "exact")
    return count, after


def operators(model: onnx.ModelProto) -> dict[str, int]:
    return dict(Counter(node.op_type for node in model.graph.node))


def choice(condition: str, then: str = "", otherwise: str = "", after: str = "z = Neg (y)") -> str:
    """A graph whose If makes y; branches are `() => (outputs) <weights> { nodes }`."""
    then = then or "() => (float[3] p) { p = Relu (x) }"
    otherwise = otherwise or "() => (float[3] q) { r = Abs (x) q = Exp (r) }"
    return f"""(float[3] x) => (float[3] z)
    <bool c = {{{condition}}}>
    {{ y = If (c) < then_branch = yes {then}, else_branch = no {otherwise} > {after} }}"""


@pytest.mark.parametrize(("condition", "left"), [("1", {"Relu": 1, "Neg": 1}), ("0", {"Abs": 1, "Exp": 1, "Neg": 1})])
def test_the_branch_that_is_taken(condition: str, left: dict[str, int]):
    count, after = inline(choice(condition))
    assert (count, operators(after)) == (1, left)


def test_a_condition_of_one_element():
    assert inline(choice("1").replace("bool c", "bool[1] c"))[0] == 1


def test_a_condition_that_is_computed_or_given_decides_nothing():
    given = choice("1").replace("(float[3] x)", "(float[3] x, bool c)").replace("<bool c = {1}>", "")
    overridden = choice("1").replace("(float[3] x)", "(float[3] x, bool c = {1})").replace("<bool c = {1}>", "")
    for graph in (given, overridden):
        assert inline(graph)[0] == 0


def test_a_branch_that_returns_a_weight():
    count, after = inline(choice("1", "() => (float[3] p) <float[3] p = {1, 2, 3}> { }", after="z = Add (x, y)"))
    assert (count, operators(after)) == (1, {"Add": 1})
    assert [t.dims for t in after.graph.initializer if t.data_type == 1] == [[3]]


def test_a_branch_that_returns_what_it_captures():
    then = "() => (float[3] p) { p = Identity (w) }"
    count, after = inline(choice("1", then).replace("{ y = If", "{ w = Relu (x) y = If"))
    assert (count, operators(after)) == (1, {"Relu": 1, "Identity": 1, "Neg": 1})


def test_a_branch_whose_output_is_a_captured_value():
    """ONNX Runtime takes no such branch; the text of the standard leaves it open."""
    proto = model_of(choice("1").replace("{ y = If", "{ w = Relu (x) y = If"))
    node = next(n for n in proto.graph.node if n.op_type == "If")
    body = next(a.g for a in node.attribute if a.name == "then_branch")
    del body.node[:]
    body.output[0].name = "w"
    model = from_proto(proto)
    assert inline_decided(model) == 1
    validate(model)
    assert operators(to_proto(model)) == {"Relu": 1, "Neg": 1}


@pytest.mark.parametrize("condition", ["0", "1"])
def test_an_output_of_the_graph_keeps_its_name(condition: str):
    graph = choice(condition, after="z = Neg (y) w = Relu (z)").replace("(float[3] z)", "(float[3] y, float[3] w)")
    count, after = inline(graph)
    assert (count, [o.name for o in after.graph.output]) == (1, ["y", "w"])


@pytest.mark.parametrize(
    "branch", ["() => (float[3] p) <float[3] p = {1, 2, 3}> { }", "() => (float[3] p) { p = Identity (x) }"]
)
def test_an_output_of_the_graph_that_is_a_weight_or_an_input(branch: str):
    count, after = inline(choice("1", branch, after="").replace("(float[3] z)", "(float[3] y)"))
    assert (count, [o.name for o in after.graph.output]) == (1, ["y"])


def test_several_outputs_one_of_which_nobody_reads():
    graph = """(float[3] x) => (float[3] z)
    <bool c = {1}>
    {
        a, b, d = If (c) <
            then_branch = yes () => (float[3] p, float[3] q, float[3] r) { p = Relu (x) q = Abs (x) r = Neg (x) },
            else_branch = no () => (float[3] s, float[3] t, float[3] u) { s = Neg (x) t = Exp (x) u = Abs (x) }
        >
        z = Sub (a, d)
    }"""
    assert inline(graph)[0] == 1


def test_one_result_under_two_outputs():
    """ONNX Runtime gives zeros for the first of two such outputs of an If: the judge is a model with an Identity."""
    graph = """(float[3] x) => (float[3] a, float[3] b)
    <bool c = {1}>
    {
        a, b = If (c) <
            then_branch = yes () => (float[3] p, float[3] p2) { p = Relu (x) p2 = Identity (p) },
            else_branch = no () => (float[3] s, float[3] t) { s = Neg (x) t = Exp (x) }
        >
    }"""
    proto, judge = model_of(graph), model_of(graph)
    body = next(a.g for a in proto.graph.node[0].attribute if a.name == "then_branch")
    del body.node[1]
    body.output[1].name = "p"
    count, after = inline(proto, judge)
    assert (count, [o.name for o in after.graph.output]) == (1, ["a", "b"])


def test_a_branch_with_bodies_of_its_own():
    then = """() => (float[3] p)
    {
        s = Relu (x)
        k = Constant <value = int64 {3}> ()
        g = Constant <value = bool {1}> ()
        p = Loop (k, g, s) <body = b (int64 i, bool c0, float[3] v) => (bool d, float[3] w)
            { d = Identity (c0) t = Add (v, s) w = Mul (t, x) }>
    }"""
    count, after = inline(choice("1", then))
    assert count == 1
    assert operators(after)["Loop"] == 1


@pytest.mark.parametrize(("outer", "inner"), [("0", "0"), ("0", "1"), ("1", "0"), ("1", "1")])
def test_decided_within_decided(outer: str, inner: str):
    nested = f"""() => (float[3] p) <bool e = {{{inner}}}>
    {{
        m = Exp (x)
        p = If (e) < then_branch = yes2 () => (float[3] i) {{ i = Relu (m) }},
                     else_branch = no2 () => (float[3] j) {{ j = Abs (m) }} >
    }}"""
    count, after = inline(choice(outer, nested))
    assert count == (2 if outer == "1" else 1)
    assert "If" not in operators(after)


def test_decided_within_what_is_not():
    graph = """(float[3] x, bool c) => (float[3] z)
    <bool e = {1}>
    {
        z = If (c) <
            then_branch = yes () => (float[3] p) {
                p = If (e) < then_branch = yes2 () => (float[3] i) { m = Exp (x) i = Relu (m) },
                             else_branch = no2 () => (float[3] j) { j = Abs (x) } >
            },
            else_branch = no () => (float[3] q) { q = Neg (x) }
        >
    }"""
    count, after = inline(graph)
    assert (count, operators(after)) == (1, {"If": 1})


def test_branches_of_two_ifs_that_use_the_same_names():
    graph = """(float[3] x) => (float[3] z)
    <bool c = {1}, bool d = {0}>
    {
        a = If (c) < then_branch = yes () => (float[3] p) <float w = {2}> { t = Mul (x, w) p = Relu (t) },
                     else_branch = no () => (float[3] q) <float w = {3}> { t = Mul (x, w) q = Abs (t) } >
        b = If (d) < then_branch = yes () => (float[3] p) <float w = {4}> { t = Mul (a, w) p = Relu (t) },
                     else_branch = no () => (float[3] q) <float w = {5}> { t = Mul (a, w) q = Abs (t) } >
        z = Sub (a, b)
    }"""
    count, after = inline(graph)
    assert (count, operators(after)) == (2, {"Mul": 2, "Relu": 1, "Abs": 1, "Sub": 1})


def test_what_reads_the_result_stands_in_a_body():
    graph = """(float[3] x, bool e) => (float[3] z)
    <bool c = {1}>
    {
        y = If (c) < then_branch = yes () => (float[3] p) { p = Relu (x) },
                     else_branch = no () => (float[3] q) { q = Abs (x) } >
        z = If (e) < then_branch = yes2 () => (float[3] i) { i = Neg (y) },
                     else_branch = no2 () => (float[3] j) { j = Exp (y) } >
    }"""
    assert inline(graph)[0] == 1


def squeezed(
    then: str = "p = Squeeze (x, last)",
    otherwise: str = "q = Identity (x)",
    reader: str = "u = Unsqueeze (y, first) z = LSTM <hidden_size = 2> (u, w, r)",
    outputs: str = "float[1,1,4,2] z",
) -> str:
    """What torch scripts make of x.squeeze(-1): whether there is something to squeeze is decided as the model runs."""
    return f"""(float[4,3,1] x) => ({outputs})
    <float[1,8,3] w, float[1,8,2] r, int64[1] last = {{-1}}, int64[1] first = {{0}}, int64[1] one = {{1}}>
    {{
        s = Shape (x)
        n = Gather (s, last)
        c = Equal (n, one)
        y = If (c) < then_branch = yes () => (float[a,b] p) {{ {then} }},
                     else_branch = no () => (float[a,b,d] q) {{ {otherwise} }} >
        {reader}
    }}"""


@pytest.mark.parametrize("operator", ["LSTM", "GRU", "RNN"])
def test_a_branch_whose_rank_a_recurrent_operator_does_not_take(operator: str):
    reader, gates = f"u = Unsqueeze (y, first) z = {operator} <hidden_size = 2> (u, w, r)", {"GRU": 6, "RNN": 2}
    graph = squeezed(reader=reader).replace("[1,8,", f"[1,{gates.get(operator, 8)},")
    count, after = inline(graph)
    assert (count, "If" in operators(after)) == (1, False)
    assert [n.op_type for n in after.graph.node].count("Squeeze") == 1


def test_ranks_are_what_bodies_make_and_not_what_they_declare():
    """By what it declares, the second branch of the second If has rank 1; what it reads has rank 2 or 3."""
    second = """t = Size (s) k = Equal (t, t)
        v = If (k) < then_branch = yes2 () => (float[a,b] i) { i = Identity (y) },
                     else_branch = no2 () => (float[a] j) { j = Squeeze (y, first) } >
        u = Unsqueeze (v, first) z = LSTM <hidden_size = 2> (u, w, r)"""
    count, after = inline(squeezed(reader=second))
    assert (count, operators(after)["If"]) == (0, 2)
    third = second.replace("float[a] j", "float[a,b] j").replace("Squeeze (y", "Unsqueeze (y")
    count, after = inline(squeezed(reader=third))
    assert (count, "If" in operators(after)) == (2, False)


def test_a_convolution_takes_the_rank_of_its_weight():
    reader = "v = Relu (y) u = Unsqueeze (v, first) z = Conv (u, k)"
    graph = squeezed(reader=reader, outputs="float[1,5,3] z").replace(
        "<float[1,8,3] w", "<float[5,4,1] k, float[1,8,3] w"
    )
    assert inline(graph)[0] == 1


@pytest.mark.parametrize(
    ("outputs", "reader"),
    [
        pytest.param("float[4,3] z", "z = Relu (y)", id="any rank"),
        pytest.param("float[4,3] z", "h = Relu (y) z = Transpose <perm = [0, 1]> (h)", id="nothing that is looked at"),
        pytest.param(
            "float[a,b,d] z, float[4,3] v",
            """v = Relu (y) e = Not (c)
            z = If (e) < then_branch = yes2 () => (float[1,1,4,2] i)
                            { u = Unsqueeze (y, first) i = LSTM <hidden_size = 2> (u, w, r) },
                         else_branch = no2 () => (float[4,3,1] j) { j = Identity (x) } >""",
            id="a reader that need not run",
        ),
    ],
)
def test_a_rank_that_nobody_insists_on_decides_nothing(outputs: str, reader: str):
    assert inline(squeezed(outputs=outputs, reader=reader))[0] == 0


def test_two_branches_of_one_rank_are_not_told_apart():
    assert inline(squeezed(otherwise="q = Squeeze (x, last)").replace("(float[a,b,d] q)", "(float[a,b] q)"))[0] == 0
