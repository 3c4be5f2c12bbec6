"""Every shipped rule, at the default setting, and the list of what is known of them."""

from __future__ import annotations

import pytest

from graphopt.rewrite.library import load_rules
from graphopt.verify.content import rule_digest
from graphopt.verify.proof_state import shipped_verdicts
from graphopt.verify.verify import AT_LEAST, verify_rule

RULES = {rule.name: rule for rule in load_rules()}

BY_CHOICE = {"gemm_bn_fold": 1, "cast_cast": 1}
"""Conditions that verification does not find to be needed: one keeps a constant from growing, the other is about text
that hardly ever differs."""


@pytest.mark.parametrize("name", RULES)
def test_a_shipped_rule_holds_and_needs_its_conditions(name: str) -> None:
    verdict = verify_rule(RULES[name])
    assert verdict.is_trusted, verdict
    assert verdict.notes == ()
    assert verdict.instances >= AT_LEAST
    needless = [c.text for c in verdict.conditions if c.kind not in ("load-bearing", "guarded")]
    assert len(needless) <= BY_CHOICE.get(name, 0), needless


def test_the_list_of_shipped_verdicts_is_of_the_rules_that_ship() -> None:
    """`python -m tests.verify.shipped_list` writes it anew."""
    assert set(shipped_verdicts()) == {rule_digest(rule) for rule in RULES.values()}
