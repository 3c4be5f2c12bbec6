"""Every shipped rule, at the default setting."""

from __future__ import annotations

import pytest

from graphopt.rewrite.library import load_rules
from graphopt.verify.verify import AT_LEAST, verify_rule

RULES = {rule.name: rule for rule in load_rules()}

GUARDED_BY_CHOICE = {"gemm_bn_fold": 1}
"""Conditions that keep a constant from growing, and are no matter of truth."""


@pytest.mark.parametrize("name", RULES)
def test_a_shipped_rule_holds_and_needs_its_conditions(name: str) -> None:
    verdict = verify_rule(RULES[name])
    assert (verdict.kind, verdict.notes) == ("holds", ())
    assert verdict.instances >= AT_LEAST
    needless = [c.text for c in verdict.conditions if c.kind not in ("load-bearing", "guarded")]
    assert len(needless) == GUARDED_BY_CHOICE.get(name, 0), needless
