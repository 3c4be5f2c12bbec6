"""Element types, ranks and dims of a pattern, and what is unknown."""

from __future__ import annotations

import pytest

from graphopt.testing.cases import model_of
from graphopt.testing.rewriting import rewrite
from tests.rewrite.build import rewritten, rule_text, rules_of


def fires(head: str, pattern: str, graph: str, where: str = "") -> bool:
    rule = rule_text(pattern, "y = Neg(x)", where=where, order="lower", head=f"tested{head}")
    return bool(rewritten(rule, graph).firings)


def relu(shape: str, elem_type: str = "float") -> str:
    return f"({elem_type}{shape} x) => ({elem_type}{shape} z) {{ z = Relu (x) }}"


UNKNOWN_RANK = "(float[N,M] x) => (float[A,B] z) { r = Squeeze (x) z = Relu (r) }"
UNKNOWN_DIM = "(float[2,?] x) => (float[2,?] z) { z = Relu (x) }"


@pytest.mark.parametrize(
    ("dims", "matched"),
    [
        ("", {"[]"}),
        ("_", {"[3]"}),
        ("_, _", {"[2,3]", "[N,3]", "[2,?]"}),
        ("2, 3", {"[2,3]"}),
        ("_, 3", {"[2,3]", "[N,3]"}),
        ("...", {"[]", "[3]", "[2,3]", "[N,3]", "[2,?]", "[2,3,4]", "unknown"}),
        ("2, ...", {"[2,3]", "[2,?]", "[2,3,4]"}),
        ("..., 3", {"[3]", "[2,3]", "[N,3]"}),
        ("_, ..., _", {"[2,3]", "[N,3]", "[2,?]", "[2,3,4]"}),
        ("2, ..., 4", {"[2,3,4]"}),
    ],
)
def test_dims(dims: str, matched: set[str]):
    graphs = {shape: relu("" if shape == "[]" else shape) for shape in ("[]", "[3]", "[2,3]", "[N,3]", "[2,3,4]")}
    graphs |= {"[2,?]": UNKNOWN_DIM, "unknown": UNKNOWN_RANK}
    assert {s for s, graph in graphs.items() if fires("", f"y = Relu(x: _[{dims}])", graph)} == matched


def test_a_named_rest_is_the_list_of_its_dims():
    pattern = "y = Relu(x: _[n, ...inner, m])"
    assert fires("", pattern, relu("[2,3,4,5]"), "n == 2\ninner == [3, 4]\nm == 5")
    assert fires("", pattern, relu("[2,5]"), "n == 2\nlen(inner) == 0\nm == 5")
    assert not fires("", pattern, relu("[2,3,4,5]"), "n == 2\ninner == [4, 3]\nm == 5")


@pytest.mark.parametrize(
    ("left", "right", "matches"),
    [
        ("[3,2]", "[3,4]", True),
        ("[3,2]", "[2,3]", False),
        ("[N,2]", "[N,4]", True),
        ("[N,2]", "[M,4]", False),
        ("[N,2]", "[3,4]", False),
        ("[?,2]", "[?,4]", False),
    ],
    ids=["equal sizes", "other sizes", "one symbol", "two symbols", "symbol and size", "both unknown"],
)
def test_a_name_used_twice_means_provably_equal(left: str, right: str, matches: bool):
    graph = f"(float{left} x, float{right} w) => (float[A,B] z) {{ z = test.Pair (x, w) }}"
    rule = rule_text("y = test::Pair(x: _[n, _], w: _[n, _])", "y = test::Matched(x, w)", order="lower")
    assert bool(rewritten(rule, graph).firings) == matches


# --- element types ---


def test_an_element_type_by_name():
    assert fires("", "y = Relu(x: float32[...])", relu("[2]"))
    assert not fires("", "y = Relu(x: float32[...])", relu("[2]", "double"))


def test_a_generic_is_one_of_its_types_and_the_same_everywhere():
    head = "<T: float32|float64>"
    both = "({a}[2] x, {b}[2] w) => ({a}[2] z) {{ z = Add (x, w) }}"
    for elem_type, fits in (("float", True), ("double", True), ("int32", False)):
        graph = both.format(a=elem_type, b=elem_type)
        assert fires(head, "y = Add(x: T[...], w: T[...])", graph, "w.rank == 1") == fits
    mixed = "(float[2] x, double w) => (float[2] z) { z = Pow (x, w) }"
    assert not fires(head, "y = Pow(x: T[...], w: T[...])", mixed, "w.rank == 0")
    assert fires("<T: float32|float64, S: float32|float64>", "y = Pow(x: T[...], w: S[...])", mixed, "w.rank == 0")


def test_a_generic_as_a_value():
    head, pattern = "<T: float32|float64>", "y = Relu(x: T[...])"
    assert fires(head, pattern, relu("[2]"), "T == float32")
    assert not fires(head, pattern, relu("[2]", "double"), "T == float32")
    assert fires(head, pattern, relu("[2]", "double"), "x.dtype == T")


def test_a_generic_over_operators_is_the_same_operator_everywhere():
    rule = rule_text("y = G(G(x))", "y = G(x)", head="tested<G: Relu|Abs|Ceil>")
    for first, second, count in (("Relu", "Relu", 1), ("Abs", "Abs", 1), ("Relu", "Abs", 0), ("Sin", "Sin", 0)):
        after = rewritten(rule, f"(float[2] x) => (float[2] z) {{ y = {first} (x) z = {second} (y) }}")
        assert len(after.firings) == count
        assert [n.op_type for n in after.model.graph.node] == ([first] if count else [first, second])


def test_an_unknown_element_type_matches_no_type_but_any():
    graph = "(float[2] x) => (float[2] z) { u = test.Unknown (x) z = Relu (u) }"
    assert not fires("", "y = Relu(x: float32[...])", graph)
    assert not fires("<T: float32|float64>", "y = Relu(x: T[...])", graph)
    assert fires("", "y = Relu(x: _[...])", graph)
    assert fires("", "y = Relu(x)", graph)


# --- three-valued conditions ---

UNKNOWN = "x.shape[1] == 3"
TRUE, FALSE = "x.shape[0] == 2", "x.shape[0] == 5"


@pytest.mark.parametrize(
    ("condition", "holds"),
    [
        (TRUE, True),
        (FALSE, False),
        (UNKNOWN, False),
        (f"not {UNKNOWN}", False),
        (f"{UNKNOWN} or {TRUE}", True),
        (f"{UNKNOWN} or {FALSE}", False),
        (f"{UNKNOWN} and {TRUE}", False),
        (f"not ({UNKNOWN} and {FALSE})", True),
        ("x.shape[1] == x.shape[1]", False),
        ("x.shape[1] in [1, 3]", False),
        ("2 in x.shape", True),
        ("7 in x.shape", False),
        ("x.shape == [2, 3]", False),
        ("x.shape == [5, 3]", False),
        ("not (x.shape == [5, 3])", True),
        ("not (x.shape == [2, 3, 1])", True),
        ("x.shape[1] >= 0", False),
        ("broadcasts_to(x.shape, [2, 3])", False),
        (f"(true if {UNKNOWN} else true)", False),
        (f"all([{FALSE}, {UNKNOWN}]) == false", True),
    ],
)
def test_an_unknown_condition_never_fires(condition: str, holds: bool):
    assert fires("", "y = Relu(x)", UNKNOWN_DIM, condition) == holds


@pytest.mark.parametrize(
    ("condition", "holds"),
    [
        ("x.shape[1] == x.shape[1]", True),
        ("x.shape == x.shape", True),
        ("x.shape[1] <= x.shape[1]", True),
        ("x.shape[1] < x.shape[1]", False),
        ("x.shape[1] * 1 == x.shape[1]", True),
        ("x.shape[1] + 0 == x.shape[1]", True),
        ("x.shape[1] * 2 == x.shape[1] * 2", False),
        ("x.shape[1] == x.shape[2]", False),
        ("not (x.shape[1] == x.shape[2])", False),
        ("broadcasts_to(x.shape, x.shape)", True),
        ("broadcasts_to([1, 1, 1], x.shape)", True),
        ("broadcasts_to([1, 4, 1], x.shape)", False),
    ],
)
def test_a_dynamic_dim_equals_itself_and_is_not_known_to_differ(condition: str, holds: bool):
    assert fires("", "y = Relu(x)", relu("[2,N,M]"), condition) == holds


def test_an_unknown_rank_makes_everything_about_it_unknown():
    for condition in ("x.rank == 2", "not (x.rank == 2)", "len(x.shape) >= 0", "x.size == 1"):
        assert not fires("", "y = Relu(x)", UNKNOWN_RANK, condition)


def test_the_report_tells_unknown_from_false():
    from graphopt.graph.load import from_proto
    from graphopt.rewrite.engine import Engine
    from graphopt.rewrite.journal import Journal
    from graphopt.rewrite.watch import Tally

    rule = rules_of(rule_text("y = Relu(x)", "y = Neg(x)", where=UNKNOWN, order="lower"))
    tallies: dict[str, Tally] = {}
    for shape in ("[2,?]", "[2,4]"):
        model = from_proto(model_of(relu(shape)))
        Engine(rule, model, {}, tallies).run(Journal(), "test")
    (tally,) = tallies.values()
    assert (tally.tried, tally.fired) == (2, 0)
    assert [(span.place, count) for span, count in tally.unknown.items()] == [("test.rules:7:1", 1)]
    assert [(span.place, count) for span, count in tally.declined.items()] == [("test.rules:7:1", 1)]


def test_types_of_the_result_are_checked_even_if_the_rule_is_wrong():
    """The rewrite changes a shape that is known: it declines instead."""
    rule = rule_text("y = Relu(x)", "y = Transpose(x)", order="lower")
    assert not rewrite(model_of(relu("[2,3]")), rules_of(rule)).firings
    assert rewrite(model_of(relu("[3,3]")), rules_of(rule)).firings


def test_new_values_are_told_apart_while_they_have_no_names():
    """A value of the model may have any name, such as the one that a new value or constant has in a draft."""
    rule = rule_text("y = Gemm(a, b, none)", "y = MatMul(Neg(a), Neg(b))", order="lower", opset=">= 11")
    proto = model_of("(float[2,3] a, float[3,4] b) => (float[2,4] z) { z = Gemm (a, b) }")
    for name, new in (("a", "0"), ("b", "c1")):
        next(i for i in proto.graph.input if i.name == name).name = new
    proto.graph.node[0].input[:] = ["0", "c1"]
    assert len(rewrite(proto, rules_of(rule)).firings) == 1
