"""Every shipped rule against the cases of its file: structure, interface, validity and numbers."""

from __future__ import annotations

import pytest

from graphopt.testing.cases import Variant
from graphopt.testing.rewriting import rewrite
from graphopt.testing.structure import structure
from graphopt.testing.weights import samples
from tests.rules.oracle import assert_same_results
from tests.rules.shipped import CASES, FILES, ONE_EACH, RULES, VARIANTS


def test_every_rule_has_a_file_and_every_file_a_rule():
    assert sorted(RULES) == [path.stem for path in FILES]


@pytest.mark.parametrize("name", [path.stem for path in FILES])
def test_a_rule_has_cases_of_both_kinds(name: str):
    assert {case.fires for case in CASES if case.rule == name} == {True, False}


@pytest.mark.parametrize("variant", VARIANTS, ids=str)
def test_case(variant: Variant):
    case, before = variant.case, variant.model
    rule = RULES[case.rule]
    after = rewrite(before, [rule])
    assert structure(after.model) == structure(case.expected(variant.opset, variant.dtype))
    assert after.count(rule.name) == case.firings
    if case.not_run is None:
        assert_same_results(before, after.model, samples(before), rule.equal)


@pytest.mark.parametrize("variant", [v for v in ONE_EACH if v.case.not_run is None], ids=str)
def test_all_rules_together_keep_the_numbers(variant: Variant):
    before = variant.model
    after = rewrite(before, list(RULES.values()))
    assert_same_results(before, after.model, samples(before), "real")
