"""Every rule is for something that somebody writes."""

from __future__ import annotations

import json

import pytest

from tests.rules.fired import PATH, default_rules, written_by

RULES = {rule.name: rule for rule in default_rules()}
FIRED: dict[str, list[str]] = json.loads(PATH.read_text("utf-8"))


def test_the_list_is_of_the_rules_that_ship():
    """`make coverage MODELS=FOLDER` writes it anew, with what benchmarks/architectures.py exports to FOLDER."""
    assert set(FIRED) == set(RULES)


@pytest.mark.parametrize("name", RULES)
def test_a_rule_fires_somewhere_or_says_who_writes_its_pattern(name: str):
    assert FIRED.get(name) or written_by(RULES[name])


def test_what_fires_need_not_say_who_writes_it():
    assert [name for name, models in FIRED.items() if models and written_by(RULES[name])] == []
