"""`graphopt rules coverage`: what came of every rule, over models."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import onnx.parser
import pytest

import graphopt
from graphopt.cli import run
from graphopt.lang.registry import FUNCTIONS
from graphopt.rewrite.library import shipped_files

RULES = """phase fold

rule relu_relu:
    "Two Relus are one."
    equal exact
    match:
        y = Relu(Relu(x: _[n, ...]))
    where:
        n != 7
        x.rank == 2 or x.rank == 3
    rewrite:
        y = Relu(x)

rule neg_neg:
    "Two Negs are none."
    equal exact
    match:
        y = Neg(Neg(x))
    rewrite:
        y = x

rule abs_abs:
    "Two Abs are one."
    equal exact
    match:
        y = Abs(Abs(x))
    rewrite:
        y = Abs(x)
"""

RECIPE = """rounds = 1
[[pass]]
use = "apply-rules"
phases = ["fold"]
rules = ["relu_relu", "neg_neg", "abs_abs"]

[[pass]]
use = "apply-rules"
phases = ["simplify"]
"""

ALL = 3 + sum(len(file.rules) for file in shipped_files())

UNUSED = "Not used: no pass of the recipe has their phase, or no model their opset"

CHAIN = """{ a = Relu(x) b = Relu(a) c = Neg(b) y = Neg(c) }"""


def save(path: Path, shape: str, body: str = CHAIN) -> str:
    text = f'<ir_version: 8, opset_import: ["" : 17]> g (float{shape} x) => (float{shape} y) {body}'
    path.write_bytes(onnx.parser.parse_model(text).SerializeToString())
    return str(path)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    Path("mine.rules").write_text(RULES, "utf-8")
    Path("mine.toml").write_text(RECIPE, "utf-8")
    save(Path("fires.onnx"), "[2,3]")
    save(Path("seven.onnx"), "[7,3]")
    save(Path("rank.onnx"), "[2]")
    save(Path("unknown.onnx"), "[n,3]")
    return tmp_path


def cover(*arguments: str) -> int:
    return run(["rules", "coverage", *arguments, "--rules", "mine.rules", "--recipe", "mine.toml"])


def mine(shown: str) -> list[str]:
    """The lines of the tables, without those of rules that ship and without what follows from their lengths."""
    lines = [re.sub(" +", " ", line.strip()) for line in shown.splitlines()]
    return [line for line in lines if line and not line.startswith("─") and "/" not in line]


def test_one_model(folder: Path, capsys: pytest.CaptureFixture[str]):
    assert cover("fires.onnx") == 0
    shown = capsys.readouterr()
    assert shown.err == ""
    *found, title, header = mine(shown.out)  # the recipe leaves out rules of ours
    assert (title, header) == (UNUSED, "rule phase")
    assert found == [
        f"1 model: 2 of {ALL} rules fired",
        "Fired",
        "rule tried matched fired models",
        "relu_relu@mine.rules:3 1 1 1 1",
        "neg_neg@mine.rules:14 1 1 1 1",
        "Never fired",
        "rule tried matched",
        "abs_abs@mine.rules:22 0 0",
    ]


def test_several_models_and_which_condition_declined(folder: Path, capsys: pytest.CaptureFixture[str]):
    assert cover("fires.onnx", "seven.onnx", "rank.onnx", "unknown.onnx") == 0
    assert mine(capsys.readouterr().out)[:-2] == [
        f"4 models: 3 of {ALL} rules fired",
        "Fired",
        "rule tried matched fired models declined unknown",
        "neg_neg@mine.rules:14 4 4 4 4",
        "relu_relu@mine.rules:3 4 4 1 1 2 1",
        "9:9 n != 7 1 1",
        "10:9 x.rank == 2 or x.rank == 3 1",
        "Never fired",
        "rule tried matched",
        "abs_abs@mine.rules:22 0 0",
    ]


def test_a_model_that_cannot_be_read_is_named_and_the_others_count(folder: Path, capsys: pytest.CaptureFixture[str]):
    Path("broken.onnx").write_bytes(b"no model")
    assert cover("missing.onnx", "fires.onnx", "broken.onnx") == 2
    shown = capsys.readouterr()
    assert shown.out.startswith(f"1 model: 2 of {ALL} rules fired\n")
    assert shown.err == (
        "error: 2 of 3 models are left out\n"
        "  missing.onnx: there is no file missing.onnx\n"
        "  broken.onnx: broken.onnx is not an ONNX model, or is cut short\n"
        "    help: a model is a binary protobuf file, whole; export or download it again\n"
    )


def test_a_model_that_cannot_be_rewritten_is_left_out(folder: Path, capsys: pytest.CaptureFixture[str]):
    @graphopt.rule_function("broken(rank: int) -> bool")
    def broken(rank: int) -> bool:
        "Whether it is broken."
        return bool([True][rank - 1])

    with Path("mine.rules").open("a", encoding="utf-8") as file:
        file.write('rule sin_sin:\n"A."\nmatch:\ny = Sin(Sin(x))\nwhere:\nbroken(x.rank)\nrewrite:\ny = Sin(x)\n')
    Path("mine.toml").write_text(RECIPE.replace('"abs_abs"', '"abs_abs", "sin_sin"'), "utf-8")
    save(Path("sines.onnx"), "[2,3]", "{ a = Neg(x) b = Neg(a) c = Sin(b) y = Sin(c) }")
    try:
        assert cover("sines.onnx", "fires.onnx") == 2
    finally:
        del FUNCTIONS["broken"]
    shown = capsys.readouterr()
    assert "neg_neg@mine.rules:14 1 1 1 1" in mine(shown.out)
    assert shown.err == (
        "error: 1 of 2 models is left out\n"
        "  sines.onnx: the rule function broken failed: IndexError: list index out of range\n"
        f"    at: {__name__}.{broken.__qualname__}\n"
        "    help: mend the function; where a rule does not apply it raises ValueError\n"
    )


def test_a_single_model_that_cannot_be_read(folder: Path, capsys: pytest.CaptureFixture[str]):
    assert cover("missing.onnx") == 2
    assert capsys.readouterr() == ("", "error: there is no file missing.onnx\n")


def test_the_document(folder: Path, capsys: pytest.CaptureFixture[str]):
    assert cover("seven.onnx", "unknown.onnx", "missing.onnx", "--json") == 2
    shown = capsys.readouterr()
    found: dict[str, Any] = json.loads(shown.out)
    assert found["schema"] == "graphopt.rules.coverage/1"
    assert found["models"] == ["seven.onnx", "unknown.onnx"]
    assert found["failures"] == [
        {"model": "missing.onnx", "message": "there is no file missing.onnx", "where": None, "help": None}
    ]
    assert next(r for r in found["rules"] if r["name"] == "relu_relu") == {
        "rule": "relu_relu@mine.rules:3",
        "name": "relu_relu",
        "phase": "fold",
        "used": True,
        "tried": 2,
        "matched": 2,
        "fired": 0,
        "models": 0,
        "declined": 1,
        "unknown": 1,
        "conditions": [{"place": "mine.rules:9:9", "text": "n != 7", "declined": 1, "unknown": 1}],
    }
    assert len(found["rules"]) == ALL
    assert shown.err == "error: 1 of 3 models is left out\n  missing.onnx: there is no file missing.onnx\n"


def test_a_rule_that_is_skipped_is_not_counted(folder: Path, capsys: pytest.CaptureFixture[str]):
    assert cover("fires.onnx", "--skip", "neg_neg", "--json") == 0
    assert "neg_neg" not in [r["name"] for r in json.loads(capsys.readouterr().out)["rules"]]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "error: Missing argument 'MODEL...'.\n  help: see `graphopt rules coverage --help`\n"),
        (["m.onnx", "--skip", "neg"], "error: there is no rule 'neg' to skip\n"),
        (["fires.onnx", "--recipe", "nope.toml"], "error: there is no recipe file nope.toml\n"),
    ],
)
def test_bad_usage(arguments: list[str], message: str, folder: Path, capsys: pytest.CaptureFixture[str]):
    assert run(["rules", "coverage", *arguments]) == 2
    assert capsys.readouterr() == ("", message)


def test_the_model_is_not_changed(folder: Path):
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    assert cover("fires.onnx", "unknown.onnx") == 0
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before


def test_it_counts_what_a_compile_does(folder: Path, capsys: pytest.CaptureFixture[str]):
    """The figures are those of the journal."""
    assert cover("fires.onnx", "--json") == 0
    counted = {r["rule"]: r["fired"] for r in json.loads(capsys.readouterr().out)["rules"] if r["fired"]}
    options = ["--rules", "mine.rules", "--recipe", "mine.toml", "--check", "none", "--allow-unproved"]
    assert run(["compile", "fires.onnx", "-o", "out", *options]) == 0
    lines = Path("out/journal.jsonl").read_text("utf-8").splitlines()
    journal = [json.loads(line)["rule"] for line in lines]
    assert counted == {rule: journal.count(rule) for rule in journal}


def test_rules_that_no_pass_has_are_told_from_those_that_did_not_match(
    folder: Path, capsys: pytest.CaptureFixture[str]
):
    Path("mine.rules").write_text(RULES.replace("phase fold", "phase quantize"), "utf-8")
    assert run(["rules", "coverage", "fires.onnx", "--rules", "mine.rules"]) == 0
    assert mine(capsys.readouterr().out)[-5:] == [
        UNUSED,
        "rule phase",
        "relu_relu@mine.rules:3 quantize",
        "neg_neg@mine.rules:14 quantize",
        "abs_abs@mine.rules:22 quantize",
    ]
