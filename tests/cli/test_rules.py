"""`graphopt rules list | check | fmt | explain | functions`: what each says of good files and of bad ones."""

from __future__ import annotations

import io
import json
import os
import signal
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from graphopt.cli import run
from graphopt.lang.registry import FUNCTIONS
from graphopt.rewrite.library import shipped_files

COMMAND = [sys.executable, "-c", "from graphopt.cli import main; main()"]

GOOD = """phase fuse

rule relu_relu:
    "Two Relus are one."
    equal exact
    match:
        y = Relu(Relu(x))
    rewrite:
        y = Relu(x)

phase simplify

rule erf_half:
    "An Erf of next to nothing is nothing."
    equal approx(1e-3)
    priority 2
    match:
        y = Erf(Mul(x, ~0.001))
    rewrite:
        y = Mul(x, 0.001)
"""

MESSY = """rule relu_relu:
  "Two Relus are one." # a comment
  equal   exact
  match:
      y=Relu( Relu(x) )
  rewrite:
    y = Relu(x)
"""

NEAT = """rule relu_relu:
    "Two Relus are one."  # a comment
    equal exact
    match:
        y = Relu(Relu(x))
    rewrite:
        y = Relu(x)
"""

BAD = """rule relu_relu:
    "Two Relus are one."
    match:
        y = Relu(Rleu(x))
    rewrite:
        y = Relu(x)

rule open:
    "A bracket."
    match:
        y = Relu(x
    rewrite:
        y = Abs(x)
"""

OPEN_BRACKET = """bad.rules:12:5: error GR001: 'rewrite' cannot stand here
  12 |     rewrite:
     |     ^^^^^^^
bad.rules:11:17: this bracket is still open
  11 |         y = Relu(x
     |                 ^"""

NO_OPERATOR = """bad.rules:4:18: error GR010: there is no operator Rleu
   4 |         y = Relu(Rleu(x))
     |                  ^^^^^^^
help: did you mean 'Relu'?"""


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    Path("good.rules").write_text(GOOD, "utf-8")
    Path("messy.rules").write_text(MESSY, "utf-8")
    Path("bad.rules").write_text(BAD, "utf-8")
    Path("binary.rules").write_bytes(b"\x7fELF\x02\xff\xfe\x00")
    Path("empty").mkdir()
    return tmp_path


def rules(*arguments: str) -> int:
    return run(["rules", *arguments])


UNREADABLE = [
    ("missing.rules", "error: cannot read the rule file missing.rules: No such file or directory\n"),
    ("binary.rules", "error: cannot read the rule file binary.rules: it is not text\n"),
    ("empty", "error: the folder empty holds no .rules files\n"),
]


@pytest.mark.parametrize("verb", ["list", "check", "fmt"])
@pytest.mark.parametrize(("path", "message"), UNREADABLE)
def test_what_cannot_be_read(verb: str, path: str, message: str, capsys: pytest.CaptureFixture[str]):
    assert rules(verb, path) == 2
    assert capsys.readouterr() == ("", message)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["fmtt"], "error: No such command 'fmtt'. Did you mean 'fmt'?\n  help: see `graphopt rules --help`\n"),
        (["fmt"], "error: Missing argument 'FILE|FOLDER|-...'.\n  help: see `graphopt rules fmt --help`\n"),
        (
            ["explain"],
            "error: explain takes a code, or --markdown for all of them\n"
            "  help: for example `graphopt rules explain GR012`; errors in rule files have their codes beside them\n",
        ),
        (["explain", "gr12"], "error: there is no error code 'gr12'\n  help: did you mean 'GR012'?\n"),
    ],
)
def test_bad_usage(arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]):
    assert rules(*arguments) == 2
    assert capsys.readouterr() == ("", message)


def test_no_verb_is_bad_usage_and_shows_the_help(capsys: pytest.CaptureFixture[str]):
    assert rules() == 2
    shown = capsys.readouterr()
    assert shown.out == ""
    assert shown.err.startswith("Usage: graphopt rules [OPTIONS] COMMAND [ARGS]...")


# --- list ---


def test_list_is_by_phase(capsys: pytest.CaptureFixture[str]):
    assert rules("list", "good.rules") == 0
    lines = [line.rstrip() for line in capsys.readouterr().out.splitlines()]
    assert [line for line in lines if line] == [
        " rule        phase      equal           what it does",
        " ────────────────────────────────────────────────────────────────────────────",
        " erf_half    simplify   approx(0.001)   An Erf of next to nothing is nothing.",
        " relu_relu   fuse       exact           Two Relus are one.",
    ]


def test_list_of_what_ships(capsys: pytest.CaptureFixture[str]):
    assert rules("list", "--json") == 0
    listed = {rule["name"] for rule in json.loads(capsys.readouterr().out)["rules"]}
    assert {rule.name for file in shipped_files() for rule in file.rules} <= listed


def test_list_as_json(capsys: pytest.CaptureFixture[str]):
    assert rules("list", "good.rules", "--json") == 0
    document = json.loads(capsys.readouterr().out)
    assert document["schema"] == "graphopt.rules.list/1"
    assert document["rules"][0] == {
        "name": "erf_half",
        "phase": "simplify",
        "equal": "approx",
        "error": 0.001,
        "order": "shrink",
        "priority": 2,
        "opset": [None, None],
        "doc": "An Erf of next to nothing is nothing.",
        "place": "good.rules:13",
    }


# --- check ---


def test_check_of_good_files(capsys: pytest.CaptureFixture[str]):
    assert rules("check", "good.rules") == 0
    assert capsys.readouterr() == ("1 file, 2 rules: no errors\n", "")


def test_check_of_what_ships(capsys: pytest.CaptureFixture[str]):
    files = shipped_files()
    assert rules("check") == 0
    count = sum(len(file.rules) for file in files)
    assert capsys.readouterr() == (f"{len(files)} files, {count} rules: no errors\n", "")


def test_check_tells_all_errors(capsys: pytest.CaptureFixture[str]):
    assert rules("check", "bad.rules") == 2
    assert capsys.readouterr() == (
        f"{NO_OPERATOR}\n\n{OPEN_BRACKET}\n",
        "error: 2 errors in 1 file, 1 rule\n  help: `graphopt rules explain CODE` tells of GR001, GR010\n",
    )


def test_check_as_json(capsys: pytest.CaptureFixture[str]):
    assert rules("check", "bad.rules", "--json") == 2
    shown = capsys.readouterr()
    document = json.loads(shown.out)
    assert (document["schema"], document["files"], document["rules"]) == ("graphopt.rules.check/1", 1, 1)
    assert document["errors"][0] == {
        "code": "GR010",
        "message": "there is no operator Rleu",
        "file": "bad.rules",
        "line": 4,
        "column": 18,
        "end_line": 4,
        "end_column": 25,
        "help": "did you mean 'Relu'?",
        "other": None,
    }
    assert document["errors"][1]["other"] == {
        "file": "bad.rules",
        "line": 11,
        "column": 17,
        "end_line": 11,
        "end_column": 18,
        "note": "this bracket is still open",
    }
    assert shown.err.startswith("error: 2 errors in 1 file, 1 rule\n")


def test_check_holds_files_against_the_rules_that_ship(capsys: pytest.CaptureFixture[str]):
    text = (
        'rule identity_removal:\n    "A."\n    match:\n        y = Relu(Relu(x))\n    rewrite:\n        y = Relu(x)\n'
    )
    Path("mine.rules").write_text(text, "utf-8")
    assert rules("check", "mine.rules") == 2
    out = capsys.readouterr().out.splitlines()
    assert out[0] == "mine.rules:1:6: error GR002: there are two rules named identity_removal"
    assert out[3].endswith(": the other one is here")
    assert out[-1] == "help: give one of them another name"


# --- fmt ---


def test_fmt_writes_what_changes_and_names_it(capsys: pytest.CaptureFixture[str]):
    Path("messy.rules").chmod(0o640)
    before = Path("good.rules").stat().st_mtime_ns
    assert rules("fmt", "messy.rules", "good.rules") == 0
    assert capsys.readouterr() == ("messy.rules\n", "")
    assert Path("messy.rules").read_text("utf-8") == NEAT
    assert stat.S_IMODE(Path("messy.rules").stat().st_mode) == 0o640
    assert Path("good.rules").stat().st_mtime_ns == before
    assert rules("fmt", "messy.rules") == 0
    assert capsys.readouterr() == ("", "")


def test_fmt_check_changes_nothing(capsys: pytest.CaptureFixture[str]):
    assert rules("fmt", "--check", "messy.rules", "good.rules") == 2
    assert capsys.readouterr() == (
        "messy.rules\n",
        "error: 1 of 2 files would change\n  help: format with `graphopt rules fmt`\n",
    )
    assert Path("messy.rules").read_text("utf-8") == MESSY
    assert rules("fmt", "--check", "good.rules") == 0
    assert capsys.readouterr() == ("", "")


def test_fmt_changes_all_files_or_none_and_tells_the_errors_of_all(capsys: pytest.CaptureFixture[str]):
    Path("worse.rules").write_text("rule\n", "utf-8")
    names = sorted(os.listdir())
    assert rules("fmt", "messy.rules", "bad.rules", "worse.rules") == 2
    assert capsys.readouterr() == (
        "",
        f"error: {OPEN_BRACKET}\n\nworse.rules:1:1: error GR001: 'rule' cannot stand here\n   1 | rule\n     | ^^^^\n",
    )
    assert Path("messy.rules").read_text("utf-8") == MESSY
    assert sorted(os.listdir()) == names


def test_fmt_of_a_folder_and_of_a_link(capsys: pytest.CaptureFixture[str]):
    Path("many/deep").mkdir(parents=True)
    Path("many/deep/one.rules").write_text(MESSY, "utf-8")
    Path("many/link.rules").symlink_to(Path("messy.rules").resolve())
    assert rules("fmt", "many") == 0
    assert capsys.readouterr().out == "many/deep/one.rules\nmany/link.rules\n"
    assert Path("many/link.rules").is_symlink()
    assert Path("messy.rules").read_text("utf-8") == NEAT


def stdin(monkeypatch: pytest.MonkeyPatch, text: bytes) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(text)))


@pytest.mark.parametrize("ends", ["\n", "\r\n"])
def test_fmt_of_stdin(ends: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    stdin(monkeypatch, MESSY.replace("\n", ends).encode())
    assert rules("fmt", "-") == 0
    assert capsys.readouterr() == (NEAT, "")


def test_fmt_check_of_stdin(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    stdin(monkeypatch, NEAT.encode())
    assert rules("fmt", "-", "--check") == 0
    stdin(monkeypatch, MESSY.encode())
    assert rules("fmt", "-", "--check") == 2
    assert capsys.readouterr().err.startswith("error: 1 of 1 file would change\n")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (b"\xff\xfe\x00", "error: what comes from stdin is not text\n"),
        (b"rule", "error: <stdin>:1:1: error GR001: 'rule' cannot stand here\n   1 | rule\n     | ^^^^\n"),
    ],
)
def test_fmt_of_what_stdin_should_not_hold(
    text: bytes, message: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    stdin(monkeypatch, text)
    assert rules("fmt", "-") == 2
    assert capsys.readouterr() == ("", message)


def test_an_interrupt_while_stdin_is_awaited():
    pipe = subprocess.PIPE
    process = subprocess.Popen([*COMMAND, "rules", "fmt", "-", "messy.rules"], stdin=pipe, stdout=pipe, stderr=pipe)
    assert process.stdin is not None
    process.stdin.write(b"x" * (1 << 17))  # more than a pipe holds: once all is written, it is being read
    process.send_signal(signal.SIGINT)
    assert process.communicate(timeout=60) == (b"", b"interrupted\n")
    assert process.returncode == 130
    assert Path("messy.rules").read_text("utf-8") == MESSY


# --- explain ---


def test_explain(capsys: pytest.CaptureFixture[str]):
    assert rules("explain", "gr012") == 0
    assert capsys.readouterr() == (
        """GR012: no such attribute

The operator does not have the attribute, in some opset of the rule. Where only some versions have it, a pattern may
still mention it with its default, as optional or as `_`, which older nodes fulfil; a rewrite may not.

Wrong:

    rule leaky_one:
        "A LeakyRelu with slope 1 is its input."
        match:
            y = LeakyRelu(x, slope=1.0)
        rewrite:
            y = x

Right:

    rule leaky_one:
        "A LeakyRelu with slope 1 is its input."
        match:
            y = LeakyRelu(x, alpha=1.0)
        rewrite:
            y = x

""",
        "",
    )


def test_explain_as_json(capsys: pytest.CaptureFixture[str]):
    assert rules("explain", "GR012", "--json") == 0
    document = json.loads(capsys.readouterr().out)
    assert sorted(document) == ["bad", "beside", "code", "good", "schema", "text", "title"]
    assert (document["code"], document["title"]) == ("GR012", "no such attribute")


# --- functions ---

PACKAGE = """
import graphopt


@graphopt.rule_function("is_tiny(value: const) -> bool")
def is_tiny(value):
    "Whether every element of a constant is next to nothing."
    return abs(value).max() < 1e-6
"""

TINY = """rule add_tiny:
    "Adding next to nothing changes nothing."
    equal approx(1e-6)
    match:
        y = Add(x, const c: float32[])
    where:
        is_tiny(c)
    rewrite:
        y = x
"""


@pytest.fixture
def installed(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A package that brings a rule and a function, as an installer would have put it there."""
    site = folder / "site"
    package, information = site / "tiny_rules", site / "tiny_rules-0.1.dist-info"
    package.mkdir(parents=True)
    information.mkdir()
    (package / "__init__.py").write_text(PACKAGE, "utf-8")
    (package / "tiny.rules").write_text(TINY, "utf-8")
    (information / "METADATA").write_text("Metadata-Version: 2.1\nName: tiny-rules\nVersion: 0.1\n", "utf-8")
    (information / "entry_points.txt").write_text("[graphopt.rules]\ntiny = tiny_rules\n", "utf-8")
    monkeypatch.syspath_prepend(site)
    yield package
    sys.modules.pop("tiny_rules", None)
    FUNCTIONS.pop("is_tiny", None)


def test_functions(capsys: pytest.CaptureFixture[str]):
    assert rules("functions", "--json") == 0
    document = json.loads(capsys.readouterr().out)
    assert document["schema"] == "graphopt.rules.functions/1"
    assert [f["name"] for f in document["functions"]] == sorted(FUNCTIONS)
    assert document["functions"][0] == {
        "name": "abs",
        "signatures": ["abs(value: N) -> N", "abs(value: const) -> const"],
        "doc": "Magnitude of a number or of each element.",
        "from": None,
    }


def test_functions_for_people(capsys: pytest.CaptureFixture[str]):
    assert rules("functions") == 0
    lines = [line.rstrip() for line in capsys.readouterr().out.splitlines()]
    assert any(line.startswith(" sqrt(value: const) -> const") for line in lines)


def test_a_package_brings_functions_and_rules(installed: Path, capsys: pytest.CaptureFixture[str]):
    assert rules("functions", "--json") == 0
    found = {f["name"]: f for f in json.loads(capsys.readouterr().out)["functions"]}
    assert found["is_tiny"] == {
        "name": "is_tiny",
        "signatures": ["is_tiny(value: const) -> bool"],
        "doc": "Whether every element of a constant is next to nothing.",
        "from": "tiny_rules",
    }
    assert rules("list", "--json") == 0
    places = {rule["name"]: rule["place"] for rule in json.loads(capsys.readouterr().out)["rules"]}
    assert places["add_tiny"] == "tiny/tiny.rules:1"


def test_a_package_that_cannot_be_imported(installed: Path, capsys: pytest.CaptureFixture[str]):
    (installed / "__init__.py").write_text("raise ValueError('it is Monday')\n", "utf-8")
    assert rules("list") == 2
    assert capsys.readouterr() == (
        "",
        "error: the rules tiny of an installed package cannot be read: it is Monday\n"
        "  help: install the package tiny_rules anew, or remove it\n",
    )
