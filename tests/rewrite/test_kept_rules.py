"""The shipped rules that are kept as trees: found as they were, never out of date, never more than trees."""

from __future__ import annotations

import hashlib
import os
import pickle
import subprocess
import sys
from pathlib import Path

import pytest

from graphopt.lang.parse import parse
from graphopt.rewrite import kept_rules
from graphopt.rewrite.library import load_rules, shipped_files

RULE = """
phase simplify
rule twice_negated:
    "Two negations are none."
    equal exact
    match:
        y = Neg(Neg(x))
    rewrite:
        y = x
"""


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("GRAPHOPT_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "rules"


def rule_folder(folder: Path, text: str = RULE) -> Path:
    folder.mkdir(exist_ok=True)
    (folder / "one.rules").write_text(text, encoding="utf-8")
    return folder


def test_kept_trees_are_the_same_trees():
    files = [parse(RULE, "one.rules")]
    kept_rules.keep("some-key", files)
    found = kept_rules.find("some-key")
    assert found == files
    assert found is not None
    assert found[0].rules[0].place == "twice_negated@one.rules:3"


def test_the_second_time_the_same_rules_come_from_the_cache(cache: Path):
    first = load_rules()
    (kept,) = cache.iterdir()
    written = kept.stat().st_mtime_ns
    assert load_rules() == first
    assert [r for f in shipped_files() for r in f.rules] == list(first)
    assert kept.stat().st_mtime_ns == written


def test_the_parser_is_not_even_imported_the_second_time(cache: Path):
    code = "import sys; from graphopt.rewrite.library import load_rules; load_rules(); print('lark' in sys.modules)"
    printed = [
        subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
        for _ in range(2)
    ]
    assert printed == ["True\n", "False\n"]


def test_another_text_has_another_key(tmp_path: Path):
    before = kept_rules.key_of(rule_folder(tmp_path / "rules"))
    assert before is not None
    assert kept_rules.key_of(rule_folder(tmp_path / "rules")) == before
    assert kept_rules.key_of(rule_folder(tmp_path / "rules", RULE.replace("none", "no one"))) != before


def test_a_further_file_has_another_key(tmp_path: Path):
    folder = rule_folder(tmp_path / "rules")
    before = kept_rules.key_of(folder)
    (folder / "two.rules").write_text(RULE.replace("twice", "thrice"), encoding="utf-8")
    assert kept_rules.key_of(folder) != before


def test_a_damaged_file_is_read_anew(cache: Path):
    rules = load_rules()
    (kept,) = cache.iterdir()
    kept.write_bytes(kept.read_bytes()[:-1] + b"x")
    assert load_rules() == rules
    assert kept_rules.find(kept.name) is not None


@pytest.mark.parametrize("foreign", [os.system, Path("x"), pickle.Unpickler, parse])
def test_a_kept_file_makes_nothing_but_trees(cache: Path, foreign: object):
    data = pickle.dumps([foreign])
    cache.mkdir(parents=True)
    (cache / "some-key").write_bytes(hashlib.sha256(data).digest() + data)
    assert kept_rules.find("some-key") is None


def test_what_the_module_of_trees_imports_is_no_tree(cache: Path):
    data = b"cgraphopt.lang.tree\ndataclass\n."
    cache.mkdir(parents=True)
    (cache / "some-key").write_bytes(hashlib.sha256(data).digest() + data)
    assert kept_rules.find("some-key") is None


def test_without_a_cache_rules_are_read_each_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("GRAPHOPT_CACHE", str(tmp_path / "file"))
    assert load_rules() == load_rules() != ()


def test_what_nobody_used_for_long_goes(cache: Path):
    load_rules()
    (kept,) = cache.iterdir()
    os.utime(kept, (0, 0))
    kept_rules.keep("another-key", [])
    assert [p.name for p in cache.iterdir()] == ["another-key"]
