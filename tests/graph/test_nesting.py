"""Bodies in bodies: which value a name means, and in which order nodes and graphs are told."""

from __future__ import annotations

from graphopt.graph.load import from_proto
from graphopt.graph.model import Model
from graphopt.testing.cases import model_of

NESTED = """(float[2] x, bool c) => (float[2] z) {
    a = Neg (x)
    b = If (c) <
        then_branch = first () => (float[2] t) {
            s = Exp (a)
            t = If (c) <
                then_branch = inner () => (float[2] u) { a = Abs (x) s = Neg (a) u = Neg (s) },
                else_branch = innermost () => (float[2] v) { v = Identity (s) }
            >
        },
        else_branch = second () => (float[2] w) { s = Sqrt (a) w = Exp (s) }
    >
    z = Add (a, b)
}"""


def nested() -> Model:
    return from_proto(model_of(NESTED))


def test_a_name_means_the_innermost_value_and_after_the_body_the_outer_one_again():
    model = nested()
    seen = {
        (node.graph.name, node.outputs[0].name): [v.producer.op_type for v in node.inputs if v and v.producer]
        for node in model.all_nodes()
        if node.graph is not None and node.outputs[0] is not None
    }
    main = model.graph.name
    assert seen == {
        (main, "a"): [],
        (main, "b"): [],
        ("first", "s"): ["Neg"],
        ("first", "t"): [],
        ("inner", "a"): [],
        ("inner", "s"): ["Abs"],
        ("inner", "u"): ["Neg"],
        ("innermost", "v"): ["Exp"],
        ("second", "s"): ["Neg"],
        ("second", "w"): ["Sqrt"],
        (main, "z"): ["Neg", "If"],
    }


def test_nodes_come_before_those_of_their_bodies_and_graphs_before_those_below():
    model = nested()
    outputs = [node.outputs[0].name for node in model.all_nodes() if node.outputs[0] is not None]
    assert outputs == ["a", "b", "s", "t", "a", "s", "u", "v", "s", "w", "z"]
    names = [graph.name for graph in model.all_graphs()]
    assert names == [model.graph.name, "first", "inner", "innermost", "second"]
