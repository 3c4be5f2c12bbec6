"""Whatever file the grammar allows, formatting it changes the look alone, and formatting it again nothing."""

from __future__ import annotations

import re
from collections import Counter

import pytest
from hypothesis import HealthCheck, given, settings

from graphopt.lang.format import format_text
from graphopt.lang.names import outline
from graphopt.lang.parse import parse
from tests.lang.rule_texts import files

COMMENT = re.compile(r'"(?:\\.|[^"\\\n])*"|(#[^\n]*)')


def comments_of(text: str) -> Counter[str]:
    return Counter(found[1].rstrip() for found in COMMENT.finditer(text) if found[1])


def only_the_look_changes(text: str) -> None:
    formatted = format_text(text)
    assert outline(parse(formatted).statements) == outline(parse(text).statements)
    assert comments_of(formatted) == comments_of(text)
    assert format_text(formatted) == formatted
    assert not re.search(r"[ \t]$|\n\n\n|\A\n|\r", formatted, re.MULTILINE)


def holds(examples: int) -> None:
    profile = settings(
        max_examples=examples,
        derandomize=True,
        deadline=None,
        database=None,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
    )
    profile(given(files())(only_the_look_changes))()


def test_random_files_keep_their_meaning():
    holds(100)


@pytest.mark.slow
def test_random_files_keep_their_meaning_at_length():
    holds(2000)
