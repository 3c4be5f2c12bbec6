"""docs/rule-errors.md is what the command prints."""

from __future__ import annotations

import pytest

from graphopt.cli import run
from graphopt.lang.codes import all_codes
from tests.lang.documents import ROOT

PAGE = ROOT / "docs" / "rule-errors.md"


def test_the_page_is_current(capsys: pytest.CaptureFixture[str]):
    """If this fails: graphopt rules explain --markdown > docs/rule-errors.md"""
    assert run(["rules", "explain", "--markdown"]) == 0
    assert capsys.readouterr().out == PAGE.read_text(encoding="utf-8")


def test_codes_are_in_order_and_their_examples_have_the_look():
    from graphopt.lang.format import format_text

    codes = all_codes()
    assert list(codes) == sorted(codes)
    texts = [c.good for c in codes.values()] + [c.bad for c in codes.values() if c.code != "GR001"]
    assert [text for text in texts if format_text(text) != text] == []
