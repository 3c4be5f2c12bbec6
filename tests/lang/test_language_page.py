"""docs/language.md: its rules are read, its graphs become what it says, and its tables tell the truth."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from graphopt.cli import run
from graphopt.lang.check import check
from graphopt.lang.diagnostics import RuleError
from graphopt.lang.evaluate import compile_expression
from graphopt.lang.format import format_text
from graphopt.lang.functions import FUNCTIONS
from graphopt.lang.parse import parse
from graphopt.lang.values import equal
from graphopt.lang.words import ORDERS, PHASES
from graphopt.parity.contract import KINDS
from graphopt.testing.cases import Case, Variant, parse_cases, variants_of
from graphopt.testing.rewriting import rewrite
from graphopt.testing.structure import structure
from graphopt.testing.weights import samples
from tests.lang.documents import ROOT, Block, blocks_of, table_of
from tests.rules.oracle import assert_same_results

PATH = "docs/language.md"
BLOCKS = blocks_of(PATH)
RULES = [b for b in BLOCKS if b.info == "rules"]


def rules_before(block: Block) -> Block:
    """The rules that a graph of the page is about: the last ones above it."""
    return max((b for b in RULES if b.line < block.line), key=lambda b: b.line)


CASES: list[tuple[Block, Case]] = [
    (rules_before(block), case)
    for block in BLOCKS
    if block.info == "graph"
    for case in parse_cases(block.text, "language.md")
]
VARIANTS = [(rules, variant) for rules, case in CASES for variant in variants_of(case)]


def test_every_block_is_of_a_kind_that_is_tested():
    assert {b.info for b in BLOCKS} == {"rules", "graph", "rules refused", "text", "python", "console"}


@pytest.fixture
def python_functions() -> Iterator[None]:
    """What the page's Python registers, for as long as a test runs."""
    known = dict(FUNCTIONS)
    for block in BLOCKS:
        if block.info == "python":
            exec(compile(block.text, f"{PATH}, {block}", "exec"), {"__name__": "page"})
    yield
    FUNCTIONS.clear()
    FUNCTIONS.update(known)


@pytest.mark.parametrize("block", RULES, ids=str)
@pytest.mark.usefixtures("python_functions")
def test_rules_are_read(block: Block):
    file = parse(block.text, "language.md")
    check([file])
    assert file.rules or file.axes


@pytest.mark.parametrize(("block", "variant"), VARIANTS, ids=str)
def test_graphs_become_what_the_page_says(block: Block, variant: Variant):
    rules = parse(block.text, "language.md").rules
    before = variant.model
    after = rewrite(before, rules)
    assert structure(after.model) == structure(variant.case.expected(variant.opset, variant.dtype))
    assert len(after.firings) == variant.case.firings
    assert_same_results(before, after.model, samples(before), "real")


def test_the_rule_in_the_readme_is_sound_and_has_the_look():
    (text,) = re.findall(r"^```rules\n(.*?)^```$", (ROOT / "README.md").read_text("utf-8"), re.MULTILINE | re.DOTALL)
    check([parse(text, "README.md")])
    assert format_text(text) == text


def test_refused_rules_are_refused_in_these_words():
    refused = [b for b in BLOCKS if b.info == "rules refused"]
    words = [b for b in BLOCKS if b.info == "text"]
    assert len(refused) == len(words) > 0
    for rules, text in zip(refused, words, strict=True):
        with pytest.raises(RuleError) as caught:
            check([parse(rules.text, "my.rules")])
        assert f"{caught.value}\n" == text.text


def test_commands_print_what_the_page_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    """With the last rules and the last graph above them in files."""
    monkeypatch.chdir(tmp_path)
    (block,) = [b for b in BLOCKS if b.info == "console"]
    rules, variant = VARIANTS[-1]
    Path("my.rules").write_text(rules.text, "utf-8")
    Path("model.onnx").write_bytes(variant.model.SerializeToString())
    commands = re.split(r"^\$ ", block.text, flags=re.MULTILINE)[1:]
    for command in commands:
        line, _, said = command.partition("\n")
        program, *arguments = line.split()
        assert (program, run(arguments)) == ("graphopt", 0)
        assert capsys.readouterr() == (said, "")
    assert Path("my.rules").read_text("utf-8") == rules.text


# --- tables ---


def wrapped(statement: str, rewrite_line: str = "y = test::Made(x)") -> str:
    return f'rule r:\n"A rule."\norder once\nmatch:\n{statement}\nrewrite:\n{rewrite_line}\n'


@pytest.mark.parametrize("row", table_of(PATH, "Input"), ids=lambda row: row[0])
def test_inputs(row: tuple[str, ...]):
    parse(wrapped(f"y = test::Op({row[0]})"))


@pytest.mark.parametrize("row", table_of(PATH, "Attribute"), ids=lambda row: row[0])
def test_attributes(row: tuple[str, ...]):
    parse(wrapped(f"y = test::Op(x, {row[0]})"))


@pytest.mark.parametrize("row", table_of(PATH, "Dims"), ids=lambda row: row[0])
def test_dims(row: tuple[str, ...]):
    parse(wrapped(f"y = test::Op(x: _[{row[0]}])"))


@pytest.mark.parametrize("row", table_of(PATH, "Expression"), ids=lambda row: row[0])
def test_expressions(row: tuple[str, ...]):
    left, right = (compile_expression(_expression(text))({}) for text in row)
    assert equal(left, right) is True


def _expression(text: str):
    (rule,) = parse(f'rule r:\n"A rule."\nwhere:\n{text}\n').rules
    return rule.where[0]


def words_of(first_column: str) -> list[str]:
    """The second words of a table's entries: `order once` tells of `once`."""
    return [re.split(r"[ (]", row[0])[1] for row in table_of(PATH, first_column)]


def test_every_word_of_the_language_has_its_line():
    assert words_of("Order") == list(ORDERS)
    assert words_of("Contract") == list(KINDS)
    assert [row[0] for row in table_of(PATH, "Section")] == ["match:", "let:", "where:", "when:", "rewrite:"]
    phases = next(row[1] for row in table_of(PATH, "Statement") if row[0].startswith("phase"))
    assert set(PHASES) <= set(re.findall(r"[a-z]+", phases))


def test_every_function_has_its_line():
    listed = {row[0]: row[1] for row in table_of(PATH, "Function")}
    assert listed == {
        "; ".join(map(str, f.signatures)): f.doc for f in FUNCTIONS.values() if f.origin.startswith("graphopt.")
    }
