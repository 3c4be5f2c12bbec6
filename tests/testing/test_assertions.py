"""graphopt.testing: what passes, and what each assertion says when it fails."""

from __future__ import annotations

import doctest
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest

import graphopt.testing
from graphopt import Context, Model, Pass, PassResult
from graphopt.errors import UsageError
from graphopt.lang.diagnostics import RuleError
from graphopt.testing import (
    assert_case,
    assert_parity,
    assert_pass,
    assert_rewrites,
    assert_unchanged,
    read_cases,
    variants_of,
    verify_rule,
)

RULE = """rule minus_minus:
    "-(-x) is x."
    match:
        y = Neg(Neg(x))
    rewrite:
        y = x
"""

WRONG = RULE.replace("Neg(Neg(x))", "Abs(x)").replace("minus_minus", "abs_is_nothing")

SCALED = """rule scale_bias<T: float32>:
    "c * (x + b) is c * x + c * b."
    equal real
    order once
    match:
        a = Add(x: T[...], const b: T[...])
        y = Mul(a, const c: T[...])
    rewrite:
        y = Add(Mul(x, c), b * c)
"""

BEFORE = "(float[4] x) => (float[4] z) { a = Neg (x)  b = Neg (a)  z = Relu (b) }"
AFTER = "(float[4] x) => (float[4] z) { z = Relu (x) }"
ONE = "(float[4] x) => (float[4] z) { a = Neg (x)  z = Relu (a) }"
NONE = "(float[4] x) => (float[4] z) { a = Abs (x)  z = Relu (a) }"

CASES = """fires: two of them
opsets: 13, 17
(float[4] x) => (float[4] z)
{
    a = Neg (x)
    z = Neg (a)
}
becomes
{
    z = Identity (x)
}

stays: one of them
(float[4] x) => (float[4] z)
{
    z = Neg (x)
}
"""


def test_the_example_of_the_page() -> None:
    found = doctest.testmod(graphopt.testing)
    assert (found.failed, found.attempted > 3) == (0, True)


def test_rules_are_named_in_many_ways(tmp_path: Path) -> None:
    file = tmp_path / "mine.rules"
    file.write_text(RULE)
    for rules in (RULE, file, tmp_path, "double_negation", [RULE, "identity_removal"]):
        assert_rewrites(BEFORE, AFTER, rules, firings=1)
        assert_unchanged(ONE, rules)


def test_constants_that_a_rule_makes_need_no_data() -> None:
    before = "(float[n,4] x) => (float[n,4] z) <float[4] b, float[1] c> { a = Add (x, b)  z = Mul (a, c) }"
    after = "(float[n,4] x) => (float[n,4] z) { a = Mul (x, scale)  z = Add (a, folded) }"
    assert_rewrites(before, after, SCALED)
    assert failure(lambda: assert_rewrites(before, after, SCALED, firings=2)) == "there are 1 firings, and not 2"


def failure(act: Callable[[], object]) -> str:
    with pytest.raises(AssertionError) as error:
        act()
    return str(error.value)


def test_what_is_said_where_nothing_fires() -> None:
    assert failure(lambda: assert_rewrites(ONE, AFTER, RULE)) == (
        "the graph becomes another one\n"
        "minus_minus@<text>:1 does not fire; farthest, at Neg(a): <text>:4:17: no node makes x: float32[4]\n"
        "   4 |         y = Neg(Neg(x))\n"
        "     |                 ^^^^^^\n"
        "--- expected\n+++ found\n@@ -1,3 +1,4 @@\n in x\n-  %0 = Relu(x)\n-out z = %0\n"
        "+  %0 = Neg(x)\n+  %1 = Relu(%0)\n+out z = %1"
    )
    assert "minus_minus@<text>:1 does not fire: the root of the rule is a Neg; the model has none\n" in failure(
        lambda: assert_rewrites(NONE, AFTER, RULE)
    )


def test_what_is_said_where_something_else_comes_out() -> None:
    assert failure(lambda: assert_rewrites(BEFORE, NONE, RULE)) == (
        "the graph becomes another one\n"
        "--- expected\n+++ found\n@@ -1,4 +1,3 @@\n in x\n-  %0 = Abs(x)\n-  %1 = Relu(%0)\n-out z = %1\n"
        "+  %0 = Relu(x)\n+out z = %0"
    )


def test_what_is_said_where_a_rule_fires_and_should_not() -> None:
    assert failure(lambda: assert_unchanged(BEFORE, RULE)).startswith("fires: minus_minus@<text>:1\n--- expected\n")


def test_a_wrong_rule_is_found_by_its_results() -> None:
    found = failure(lambda: assert_rewrites(NONE, AFTER, WRONG))
    assert found.startswith("the results are not the same (real): output z: ")


def test_parity() -> None:
    assert_parity(BEFORE, AFTER, contract="exact")
    found = failure(lambda: assert_parity(NONE, AFTER))
    assert found.startswith("the results are not the same (real): output z: in float64 it is another number, off by ")
    assert_parity("(float[4] x) => (float[4] z) { z = Identity (x) }", AFTER, contract="approx", error=1e9)


def test_verification() -> None:
    (verdict,) = verify_rule(RULE, instances=20)
    assert (verdict.rule, verdict.is_trusted) == ("minus_minus", True)
    assert failure(lambda: verify_rule(WRONG, instances=20)) == (
        "abs_is_nothing@<text>:1: wrong\n  in float64 it is another number"
    )


def test_text_cases(tmp_path: Path) -> None:
    path = tmp_path / "minus_minus.txt"
    path.write_text(CASES)
    cases = read_cases(path)
    assert [(c.rule, c.title, c.fires, c.opsets) for c in cases] == [
        ("minus_minus", "two of them", True, (13, 17)),
        ("minus_minus", "one of them", False, (17,)),
    ]
    variants = [variant for case in cases for variant in variants_of(case)]
    assert [str(v) for v in variants] == [
        "minus_minus: two of them [13-float]",
        "minus_minus: two of them [17-float]",
        "minus_minus: one of them [17-float]",
    ]
    for variant in variants:
        assert_case(variant, RULE)
    twice = tmp_path / "twice" / "minus_minus.txt"
    twice.parent.mkdir()
    twice.write_text(CASES.replace("opsets: 13, 17", "firings: 2"))
    found = failure(lambda: assert_case(variants_of(read_cases(twice)[0])[0], RULE))
    assert found == "there are 1 firings, and not 2"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "the cases of r do not begin with 'fires: TITLE' or 'stays: TITLE'"),
        ("x\n" + CASES, "the cases of r do not begin with 'fires: TITLE' or 'stays: TITLE'"),
        (CASES + "\n" + CASES, "two cases of r have one title"),
        ("fires: a\n", "r: a: there is no graph\n  help: one begins with its inputs: (float[4] x) => ..."),
        (
            "stays: a\nopset: 3\n(float[4] x) => (float[4] z)\n{ z = Neg (x) }\n",
            "r: a: there is no header 'opset'\n  help: headers: opsets, dtypes, firings, in a body, not run",
        ),
        (
            "fires: a\n(float[4] x) => (float[4] z)\n{ z = Neg (x) }\n",
            "r: a: what fires has a graph behind 'becomes', and what stays has none",
        ),
    ],
)
def test_cases_that_are_none(text: str, message: str, tmp_path: Path) -> None:
    path = tmp_path / "r.txt"
    path.write_text(text)
    with pytest.raises(UsageError) as error:
        read_cases(path)
    assert str(error.value) == message


def test_rules_that_are_none(tmp_path: Path) -> None:
    with pytest.raises(UsageError) as error:
        assert_unchanged(ONE, "double_negatoin")
    assert str(error.value) == "there is no rule 'double_negatoin'\n  help: did you mean 'double_negation'?"
    with pytest.raises(RuleError, match="<text>:4:13: error GR010: there is no operator Nega"):
        assert_unchanged(ONE, RULE.replace("Neg(Neg", "Nega(Neg"))
    with pytest.raises(RuleError, match="<text>:1:1: error GR008: rules that are in no file use none"):
        assert_unchanged(ONE, f'use "other.rules"\n\n{RULE}')


@dataclass(frozen=True)
class AbsForNeg(Pass):
    """Wrong in one of several ways."""

    name: ClassVar[str] = "abs-for-neg"
    says: bool | None = None
    contract: str = "exact"
    changes: bool = True

    def apply(self, model: Model, context: Context) -> PassResult:
        found = [node for node in model.all_nodes() if node.op_type == "Neg"]
        for node in found if self.changes else []:
            node.op_type = "Abs"
        return PassResult(bool(found) if self.says is None else self.says, self.contract)


def test_a_pass() -> None:
    assert_pass(AbsForNeg(), NONE, NONE)
    assert_pass(AbsForNeg(), ONE, NONE, feeds=[{"x": -np.ones(4, np.float32) * 0}])
    assert failure(lambda: assert_pass(AbsForNeg(), ONE, NONE)).startswith(
        "the results are not the same (exact): output z: "
    )
    assert failure(lambda: assert_pass(AbsForNeg(), ONE, ONE)).startswith("the graph becomes another one\n--- expected")
    assert failure(lambda: assert_pass(AbsForNeg(says=False), ONE, NONE)) == (
        "the pass says modified=False, and the graph is another one"
    )
    assert failure(lambda: assert_pass(AbsForNeg(changes=False), ONE, ONE)) == (
        "the pass says modified=True, and the graph is as it was"
    )
