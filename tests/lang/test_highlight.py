"""Highlighting knows every word of the language, in Pygments and in the TextMate grammar alike."""

from __future__ import annotations

import json
import re
import tomllib
from importlib import import_module, resources
from pathlib import Path

import pygments
import pytest
from pygments.formatters import NullFormatter
from pygments.token import Error, Keyword, Name, Token

from graphopt.lang import highlight
from graphopt.lang.highlight import RulesLexer
from graphopt.rewrite.library import shipped_files
from tests.lang.documents import ROOT

PASS = sorted((Path(__file__).parent / "pass").glob("*.rules"))
TEXTS = {f.source.name: f.source.text for f in shipped_files()} | {p.name: p.read_text("utf-8") for p in PASS}
TEXTMATE = json.loads((ROOT / "docs/highlighting/graphopt-rules.tmLanguage.json").read_text("utf-8"))
GRAMMAR = resources.files("graphopt.lang").joinpath("grammar.lark").read_text("utf-8")

PIECE = """phase fold
rule gelu<T: float16|float32>:
    "A # sentence."  # a comment
    equal approx(1e-3)
    match:
        shared y = Mul*(x: T[n, ...], ~0.5, com.microsoft::Erf(x, axis=-1))
    let:
        k = sqrt(var + eps) if not true else x.rank
"""


@pytest.mark.parametrize("name", TEXTS)
def test_every_word_is_known(name: str):
    tokens = list(RulesLexer().get_tokens(TEXTS[name]))
    assert [value for kind, value in tokens if kind in Error] == []


@pytest.mark.parametrize("name", TEXTS)
def test_nothing_is_added_or_lost(name: str):
    text = TEXTS[name].replace("\r\n", "\n")
    assert pygments.highlight(text, RulesLexer(stripnl=False, ensurenl=False), NullFormatter()) == text


@pytest.mark.parametrize(
    ("word", "kind"),
    [
        ("phase", Keyword.Declaration),
        ("rule", Keyword.Declaration),
        ("gelu", Name.Class),
        ("float16", Keyword.Type),
        ('"A # sentence."', Token.Literal.String.Double),
        ("# a comment", Token.Comment.Single),
        ("equal", Keyword),
        ("match", Keyword),
        ("shared", Keyword),
        ("Mul", Name.Function),
        ("com.microsoft::Erf", Name.Function),
        ("axis", Name.Attribute),
        ("k", Name.Variable),
        ("sqrt", Name.Builtin),
        ("not", Token.Operator.Word),
        ("true", Keyword.Constant),
        ("0.5", Token.Literal.Number),
    ],
)
def test_kinds_of_words(word: str, kind: object):
    assert (kind, word) in list(RulesLexer().get_tokens(PIECE))


def test_every_word_of_the_grammar_is_highlighted():
    known = {
        *(*highlight.SECTIONS, *highlight.STATEMENTS, *highlight.CLAUSES),
        *(*highlight.OPERATOR_WORDS, *highlight.MODIFIERS, *highlight.CONSTANTS),
    }
    rules = re.sub(r"//[^\n]*", "", GRAMMAR)
    quoted = set(re.findall(r'"([a-z]+)"', rules))
    keywords = set(re.findall(r"^[A-Z_]+(?:\.\d)?: /([a-z]+)\(\?=", rules, re.MULTILINE))
    assert quoted | keywords == known


def test_textmate_has_the_same_words():
    patterns = {name: entry["match"] for name, entry in TEXTMATE["repository"].items() if "match" in entry}
    for name, words in {
        "statement": highlight.STATEMENTS,
        "section": highlight.SECTIONS,
        "clause": highlight.CLAUSES,
        "modifier": highlight.MODIFIERS,
        "word": highlight.OPERATOR_WORDS,
        "constant": highlight.CONSTANTS,
    }.items():
        assert f"({'|'.join(words)})" in patterns[name]
    for pattern in patterns.values():
        re.compile(pattern)


def test_textmate_finds_what_pygments_finds():
    repository = TEXTMATE["repository"]
    found = {name: set(re.findall(repository[name]["match"], PIECE)) for name in ("node", "attribute", "dtype")}
    assert found == {
        "node": {"Mul", "com.microsoft::Erf"},
        "attribute": {"axis"},
        "dtype": {"float16", "float32"},
    }
    assert [include["include"].removeprefix("#") for include in TEXTMATE["patterns"]] == list(repository)


def test_the_package_offers_the_lexer():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    (place,) = project["entry-points"]["pygments.lexers"].values()
    module, _, name = place.partition(":")
    assert getattr(import_module(module), name) is RulesLexer
