"""What verification finds: rules that are wrong, and rules of every kind that are exercised, with no help of ours."""

from __future__ import annotations

import pytest

from graphopt.verify.verify import AT_LEAST, verify_rule
from tests.verify.rule_files import rules_in

WRONG = rules_in("wrong")
RIGHT = rules_in("right")


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_rule_is_found(name: str) -> None:
    verdict = verify_rule(WRONG[name], conditions=False)
    assert verdict.kind == "wrong", verdict.notes
    assert verdict.counterexample is not None


@pytest.mark.parametrize("name", RIGHT)
def test_a_right_rule_is_exercised(name: str) -> None:
    verdict = verify_rule(RIGHT[name], conditions=False)
    assert verdict.is_trusted, (verdict.kind, verdict.notes, verdict.counterexample)
    assert verdict.instances >= AT_LEAST
