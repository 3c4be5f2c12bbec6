"""Highlighting knows every word of the language, in Pygments and in the TextMate grammar alike."""

from __future__ import annotations

import json
import re
import tomllib
from dataclasses import dataclass
from importlib import import_module, resources
from pathlib import Path
from typing import Any

import pygments
import pytest
from pygments.formatters import NullFormatter
from pygments.token import Comment, Error, Keyword, Name, Token

from graphopt.lang import highlight
from graphopt.lang.highlight import RulesLexer
from graphopt.rewrite.library import shipped_files
from tests.lang.documents import ROOT, blocks_of

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


def textmate_scopes(text: str) -> list[tuple[str, str]]:
    """What an editor makes of a text: line by line, of all patterns the one that matches first, the first of equals.
    Gives words with the innermost scope, and what no pattern takes with none."""
    found: list[tuple[str, str]] = []
    for line in text.splitlines():
        position = 0
        while position < len(line):
            matches = [(m, rule) for rule in TEXTMATE_RULES if (m := rule.pattern.search(line, position))]
            match, rule = min(matches, key=lambda pair: pair[0].start(), default=(None, None))
            if match is None or rule is None:
                found.append((line[position:], ""))
                break
            found.append((line[position : match.start()], ""))
            inside = match.start()
            for number, scope in rule.captures:
                found += [(line[inside : match.start(number)], rule.scope), (match[number], scope)]
                inside = match.end(number)
            found.append((line[inside : match.end()], rule.scope))
            position = match.end()
    return [(word, scope.removesuffix(".graphopt-rules")) for word, scope in found if word.strip()]


@dataclass(frozen=True)
class TextmateRule:
    pattern: re.Pattern[str]
    scope: str
    captures: tuple[tuple[int, str], ...]


def textmate_rule(entry: dict[str, Any]) -> TextmateRule:
    """A pattern of its own, or, of one with a beginning and an end, all that can stand between these on one line."""
    source = entry.get("match") or f"{entry['begin']}(?:{entry['patterns'][0]['match']}|.)*?(?:{entry['end']})"
    captures = tuple((int(n), c["name"]) for n, c in sorted(entry.get("captures", {}).items()))
    return TextmateRule(re.compile(source), entry.get("name", ""), captures)


TEXTMATE_RULES = [textmate_rule(entry) for entry in TEXTMATE["repository"].values()]

PLAIN = re.compile(r"[a-z]\w*|[A-Z]\w*|_|[()\[\],:;.]|\s")
"""Names, brackets and separators have the colour of the text."""


@pytest.mark.parametrize("name", TEXTS)
def test_textmate_knows_every_word(name: str):
    left = [word for word, scope in textmate_scopes(TEXTS[name]) if not scope]
    assert [word for word in left if PLAIN.sub("", word)] == []


SAME = {
    Comment: "comment.line",
    Token.Literal.String: "string.quoted",
    Token.Literal.Number: "constant.numeric",
    Keyword.Declaration: "keyword.declaration",
    Keyword.Type: "support.type",
    Keyword.Constant: "constant.language",
    Keyword: "keyword",
    Name.Function: "entity.name.function",
    Name.Builtin: "support.function",
    Name.Attribute: "variable.parameter",
    Token.Operator.Word: "keyword.operator.word",
    Token.Operator: "keyword.operator",
}
"""Kinds of Pygments, the narrower before the wider, and the scopes that mean the same."""


def scope_of(kind: Any) -> str:
    return next((scope for known, scope in SAME.items() if kind in known), "")


@pytest.mark.parametrize("name", [f.source.name for f in shipped_files()])
def test_both_colour_what_ships_alike(name: str):
    """Letter by letter; where Pygments has a colour for names, the grammar may have none."""
    lines = [line.strip() for line in TEXTS[name].splitlines()]
    theirs = [(c, s) for line in lines for word, s in textmate_scopes(line) for c in word if c.strip()]
    tokens = [(word, kind) for line in lines for kind, word in RulesLexer().get_tokens(line)]
    ours = [(c, scope_of(kind)) for word, kind in tokens for c in word if c.strip()]
    assert [c for c, _ in theirs] == [c for c, _ in ours]
    differ = [(a, b) for a, b in zip(theirs, ours, strict=True) if b[1] and not matches(a[1], b[1])]
    assert differ == []


def matches(scope: str, wanted: str) -> bool:
    return scope.startswith(wanted) or (wanted == "keyword" and scope == "storage.modifier")


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


def test_documents_name_the_lexer():
    """Every fence of rules has a name that Pygments finds the lexer by."""
    infos = [
        b.info.split()[0]
        for path in ("docs/language.md", "docs/rule-errors.md", "rules/README.md")
        for b in blocks_of(path)
    ]
    assert {"rules"} <= set(infos) <= {*RulesLexer.aliases, "graph", "text", "python", "console"}
