"""Which rule comes first, where a rule is meant for, and how it all ends."""

from __future__ import annotations

import pytest

from graphopt.errors import RewriteError
from graphopt.testing.rewriting import rewrite
from tests.rewrite.build import rewritten, rule_text, rules_of, shown

RELU = "(float[2] x) => (float[2] z) { z = Relu (x) }"


def lowering(name: str, result: str, clauses: str = "", head: str = "", pattern: str = "Relu(x)") -> str:
    return (
        f'{head}\nrule {name}:\n"Lowers."\norder lower\n{clauses}\nmatch:\ny = {pattern}\nrewrite:\ny = {result}(x)\n'
    )


def operators(rules: str, graph: str = RELU, opset: int = 17, *, checked: bool = True) -> list[str]:
    nodes = rewritten(rules, graph, opset, checked=checked).model.graph.node
    return [f"{n.domain}::{n.op_type}" if n.domain else n.op_type for n in nodes]


# --- which rule first: the check refuses most rules of which that matters ---


def test_file_order_decides_between_equals():
    assert operators(lowering("a", "Abs") + lowering("b", "Neg"), checked=False) == ["Abs"]
    assert operators(lowering("b", "Neg") + lowering("a", "Abs"), checked=False) == ["Neg"]


LARGE = rule_text("y = Relu(Exp(x))", "y = Sin(x)", head="large")
RELU_OF_EXP = "(float[2] x) => (float[2] z) { e = Exp (x) z = Relu (e) }"


def test_the_larger_pattern_goes_first():
    assert operators(lowering("small", "Abs") + LARGE, RELU_OF_EXP) == ["Sin"]


def test_priority_goes_before_size():
    assert operators(LARGE + lowering("small", "Abs", "priority 1"), RELU_OF_EXP, checked=False) == ["Exp", "Abs"]
    assert operators(LARGE + lowering("small", "Abs", "priority -1"), RELU_OF_EXP) == ["Sin"]


def test_a_rule_that_declines_leaves_the_node_to_the_next():
    declines = rule_text("y = Relu(x)", "y = Reshape(x, [3])", order="lower\npriority 1", head="declines")
    assert operators(declines + lowering("next", "Abs"), checked=False) == ["Abs"]


# --- where a rule is meant for ---


@pytest.mark.parametrize(
    ("bounds", "fits"),
    [
        ("opset >= 13", {13, 17, 22}),
        ("opset > 13", {17, 22}),
        ("opset < 13", {7, 11}),
        ("opset <= 13", {7, 11, 13}),
        ("opset == 13", {13}),
        ("opset 11..17", {11, 13, 17}),
        ("opset >= 11, < 17", {11, 13}),
        ("", {7, 11, 13, 17, 22}),
    ],
)
@pytest.mark.parametrize("place", ["of the file", "of the rule"])
def test_a_range_of_opsets(bounds: str, fits: set[int], place: str):
    rule = lowering("r", "Abs", head=bounds) if place == "of the file" else lowering("r", "Abs", bounds)
    assert {opset for opset in (7, 11, 13, 17, 22) if operators(rule, opset=opset) == ["Abs"]} == fits


def test_a_rule_can_read_the_opset():
    rule = rule_text("y = Relu(x)", "y = Abs(x)", where="opset >= 13", order="lower", head="r")
    assert operators(rule, opset=11) == ["Relu"]
    assert operators(rule, opset=13) == ["Abs"]


def test_a_rule_for_an_operator_that_the_opset_lacks_waits_for_it():
    rule = rule_text("y = HardSwish(x)", "y = Abs(x)", order="lower", head="r")
    assert operators(rule, opset=11) == ["Relu"]


def test_operators_of_other_domains():
    graph = "(float[2] x) => (float[2] z) { y = test.Relu (x) z = Relu (y) }"
    assert operators(lowering("r", "Abs", pattern="test::Relu(x)"), graph) == ["Abs", "Relu"]
    assert operators(lowering("r", "other::Abs", pattern="test::Relu(x)").replace("other", "test"), graph) == [
        "test::Abs",
        "Relu",
    ]
    assert operators(lowering("r", "Abs"), graph) == ["test::Relu", "Abs"]


# --- how it ends ---


def test_once_fires_once_at_a_place():
    rule = rule_text("y = Max(x, x)", "y = Max(Max(x, x), x)", order="once", head="twice")
    after = rewritten(rule, "(float[2] x) => (float[2] z) { z = Max (x, x) }")
    assert len(after.firings) == 1
    assert [n.op_type for n in after.model.graph.node] == ["Max", "Max"]


def test_once_fires_at_every_other_place():
    rule = rule_text("y = Max(x, x)", "y = Max(Max(x, x), x)", order="once", head="twice")
    after = rewritten(rule, "(float[2] x) => (float[2] z) { y = Max (x, x) z = Max (y, y) }")
    assert len(after.firings) == 2


def test_once_holds_in_a_later_run():
    """The mark is in the file."""
    rule = rule_text("y = Max(x, x)", "y = Max(Max(x, x), x)", order="once", head="twice")
    first = rewritten(rule, "(float[2] x) => (float[2] z) { z = Max (x, x) }")
    assert rewrite(first.model, rules_of(rule)).firings == ()


def test_lower_goes_on_until_the_operator_is_gone():
    graph = "(float[2] x) => (float[2] z) { a = Relu (x) b = Relu (a) z = Relu (b) }"
    assert operators(lowering("r", "Abs"), graph) == ["Abs", "Abs", "Abs"]


UNDO = rule_text("shared n = Neg(x)\nz = Abs(n)", "z = Max(x, n)", head="out") + rule_text(
    "shared n = Neg(x)\nz = Max(x, n)", "z = Abs(n)", head="back_in"
)


def test_two_rules_that_undo_each_other_end_in_an_error():
    with pytest.raises(RewriteError) as caught:
        rewritten(UNDO, "(float[2] x) => (float[2] z) { n = Neg (x) z = Abs (n) }")
    assert str(caught.value) == (
        "the rules fired 1000 times and have not come to an end; lately: out@test.rules:1, back_in@test.rules:9\n"
        "  help: one of these rules undoes what another does; give one a stricter condition, "
        "or leave it out with --skip"
    )


def test_a_rule_that_changes_nothing_is_an_error():
    rule = rule_text("y = Relu(x)", "y = Relu(x)", order="once", head="idle")
    with pytest.raises(RewriteError) as caught:
        rewritten(rule, RELU)
    assert str(caught.value) == (
        "the rule idle@test.rules:1 fired at Relu(z) and changed nothing\n"
        "  help: add a condition that is false where there is nothing to do"
    )


@pytest.mark.parametrize(
    ("rewrite", "graph"),
    [
        ("Add(x, c)", "(float[2] x) => (float[2] z) <float[2] c> { z = Add (x, c) }"),
        ("Add(x, c * 1)", "(float[2] x) => (float[2] z) <float[2] c> { z = Add (x, c) }"),
    ],
    ids=["the same operands", "an equal constant"],
)
def test_nothing_is_changed_by_the_same_node(rewrite: str, graph: str):
    rule = rule_text("y = Add(x, const c)", f"y = {rewrite}", order="once", head="idle")
    with pytest.raises(RewriteError, match=r"^the rule idle@test\.rules:1 fired at Add\(z\) and changed nothing\n"):
        rewritten(rule, graph)


def test_a_limit_that_is_reached_by_work_is_not_an_error():
    """Eight firings a node are allowed, and never fewer than a thousand in all."""
    count = 300
    chain = " ".join(f"v{i} = Identity (v{i - 1})" for i in range(1, count))
    rule = rule_text("y = Identity(x)", "y = x", head="identity_out")
    after = rewritten(rule, f"(float[2] v0) => (float[2] z) {{ {chain} z = Neg (v{count - 1}) }}")
    assert len(after.firings) == count - 1
    assert shown(after) == "in v0\n  %0 = Neg(v0)\nout z = %0"
