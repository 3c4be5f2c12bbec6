"""The tables that the parser reads are those of the grammar."""

from __future__ import annotations

import hashlib
import json
from importlib import resources

from graphopt.lang.parse import Brackets
from graphopt.lang.tables import build_parser, load_parser

LANGUAGE = resources.files("graphopt.lang")
GRAMMAR = LANGUAGE.joinpath("grammar.lark").read_text(encoding="utf-8")


def test_the_tables_are_made_from_the_grammar_that_is_there():
    """If not: `python -m graphopt.lang.tables`."""
    stored = json.loads(LANGUAGE.joinpath("grammar.json").read_text(encoding="utf-8"))
    assert stored["grammar"] == hashlib.sha256(GRAMMAR.encode()).hexdigest()


def test_a_parser_without_tables_reads_the_same():
    text = 'rule r:\n"A sentence."\nmatch:\ny = Neg(Neg(x))\nrewrite:\ny = x\n'
    assert load_parser(Brackets()).parse(text) == build_parser(Brackets()).parse(text)
