"""What is written down of a firing: the journal, and the metadata of the nodes that it made."""

from __future__ import annotations

from typing import Any

import onnx

from graphopt.graph.load import from_proto
from graphopt.rewrite.engine import Engine
from graphopt.rewrite.journal import Firing, Journal
from graphopt.rewrite.mark import AND_MORE, FROM, NAMES_AT_MOST, RULES
from graphopt.testing.cases import model_of
from tests.rewrite.build import apply, rules_of

RULES_TEXT = """
rule double_neg:
    "-(-x) = x"
    match:
        y = Neg(Neg(x))
    rewrite:
        y = x

rule even:
    "|-x| = |x|"
    match:
        y = Abs(Neg(x))
    rewrite:
        y = Abs(x)

rule magnitude_of_magnitude:
    "||x|| = |x|"
    match:
        y = Abs(Abs(x))
    rewrite:
        y = Abs(x)
"""

GRAPH = """(float[2] x) => (float[2] z) {
    ["negated"] n = Neg (x)
    m = Abs (n)
    ["outer"] z = Abs (m)
}"""


def described(firing: Firing) -> dict[str, Any]:
    entry = firing.to_json()
    assert entry.pop("microseconds") >= 0
    return entry


def metadata(node: onnx.NodeProto) -> dict[str, list[str]]:
    return {p.key: p.value.split("\n") for p in node.metadata_props}


def test_an_entry_for_each_firing():
    after = apply(RULES_TEXT, GRAPH)
    assert [described(f) for f in after.firings] == [
        {
            "number": 1,
            "pass_name": "test",
            "rule": "even@test.rules:9",
            "graph": "case",
            "removed": ("Abs(m)", "negated"),
            "added": ("Abs(m).Abs",),
        },
        {
            "number": 2,
            "pass_name": "test",
            "rule": "magnitude_of_magnitude@test.rules:16",
            "graph": "case",
            "removed": ("outer", "Abs(m).Abs"),
            "added": ("outer",),
        },
    ]


def test_a_node_says_where_it_comes_from():
    (node,) = apply(RULES_TEXT, GRAPH).model.graph.node
    assert metadata(node) == {
        FROM: ["outer", "Abs(m)", "negated"],
        RULES: ["even@test.rules:9", "magnitude_of_magnitude@test.rules:16"],
    }
    assert (FROM, RULES) == ("graphopt.from", "graphopt.rules")


def test_a_node_that_stands_for_very_many_names_the_first_hundred():
    chain = "\n".join(f'["n{i}"] v{i + 1} = Abs (v{i})' for i in range(300))
    (node,) = apply(RULES_TEXT, f"(float[2] v0) => (float[2] v300) {{ {chain} }}").model.graph.node
    names = metadata(node)[FROM]
    assert len(names) == NAMES_AT_MOST + 1
    assert names[-1] == AND_MORE
    assert len(set(names)) == len(names)
    assert set(names[:-1]) <= {f"n{i}" for i in range(300)}


def test_a_node_that_no_rule_made_says_nothing():
    after = apply(RULES_TEXT, "(float[2] x) => (float[2] z) { n = Neg (x) m = Neg (n) z = Exp (m) }")
    (node,) = after.model.graph.node
    assert metadata(node) == {}
    assert after.firings[0].added == ()


def test_metadata_of_the_original_stays_beside_it():
    model = model_of(GRAPH)
    model.graph.node[2].metadata_props.add(key="owner", value="someone")
    model.graph.node[2].doc_string = "the outer one"
    from graphopt.testing.rewriting import rewrite

    (node,) = rewrite(model, rules_of(RULES_TEXT)).model.graph.node
    assert metadata(node)["owner"] == ["someone"]
    assert node.doc_string == "the outer one"


def test_the_graph_of_an_entry_is_the_body():
    graph = """(float[2] x, bool c) => (float[2] z) {
        z = If (c) <
            then_branch = yes () => (float[2] p) { a = Neg (x) p = Abs (a) },
            else_branch = no () => (float[2] q) { q = Exp (x) }
        >
    }"""
    (firing,) = apply(RULES_TEXT, graph).firings
    assert firing.graph == "yes"


def test_a_journal_goes_on_over_several_runs():
    journal = Journal()
    for _ in range(2):
        Engine(rules_of(RULES_TEXT), from_proto(model_of(GRAPH)), {}).run(journal, "test")
    assert [f.number for f in journal.firings] == [1, 2, 3, 4]
    assert journal.counts() == {"even@test.rules:9": 2, "magnitude_of_magnitude@test.rules:16": 2}
    assert journal.counts(since=3) == {"magnitude_of_magnitude@test.rules:16": 1}


def test_whoever_watches_sees_every_entry():
    seen: list[int] = []
    journal = Journal()
    engine = Engine(rules_of(RULES_TEXT), from_proto(model_of(GRAPH)), {})
    assert engine.run(journal, "test", after=lambda firing: seen.append(firing.number)) == 2
    assert seen == [1, 2]
