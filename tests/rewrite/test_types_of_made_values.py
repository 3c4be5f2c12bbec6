"""A type on a value that another statement of the match makes is a condition like any other."""

from __future__ import annotations

from onnx import parser

from graphopt.graph.load import from_proto
from graphopt.lang.check import check
from graphopt.lang.parse import parse
from graphopt.rewrite.engine import Engine
from graphopt.rewrite.journal import Journal

RULE = """
phase simplify

rule rows:
    "A Relu of rows is an Abs of them, for a test."
    order lower
    match:
        u = Reshape(x: _[...lead, k], _, allowzero=_)
        y = Relu(u: _[_, k])
    rewrite:
        y = Abs(Reshape(x, [-1, k]))
"""


def fires(target: str) -> bool:
    file = parse(RULE, "t.rules")
    check([file])
    model = from_proto(
        parser.parse_model(
            '<ir_version: 8, opset_import: ["" : 17]> g (float[2,3,4] x, int64[2] s) => (float[a,b] y)'
            f" <int64[2] c = {{{target}}}> {{ u = Reshape (x, {'s' if target == '0' else 'c'}) y = Relu (u) }}"
            if target != "0"
            else '<ir_version: 8, opset_import: ["" : 17]> g (float[2,3,4] x, int64[2] s) => (float[a,b] y)'
            " { u = Reshape (x, s) y = Relu (u) }"
        )
    )
    journal = Journal()
    Engine(file.rules, model, {}).run(journal, "test")
    return bool(journal.firings)


def test_dims_that_are_named_twice_must_be_equal() -> None:
    assert fires("6, 4")
    assert not fires("8, 3")


def test_dims_that_are_not_known_equal_nothing() -> None:
    assert not fires("0")
