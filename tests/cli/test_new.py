"""`graphopt new`: what it writes works as it is, and nothing is written over."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from graphopt.cli import run
from graphopt.lang.format import format_text


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def outcome_of(folder: Path) -> str:
    """The last line of what pytest says of a folder."""
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-W", "error", "."]
    env = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1"}
    ended = subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True, check=False)
    return ended.stdout.splitlines()[-1].partition(" in ")[0]


def test_a_rule(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["new", "rule", "my_rule"]) == 0
    assert capsys.readouterr().out == "my_rule.rules\nmy_rule.txt\ntest_my_rule.py\ntry them: pytest .\n"
    text = (folder / "my_rule.rules").read_text()
    assert format_text(text, "my_rule.rules") == text
    assert run(["rules", "verify", "my_rule.rules", "--instances", "20"]) == 0
    assert "redundant" not in capsys.readouterr().out
    assert outcome_of(folder) == "7 passed"


def test_a_pass(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["new", "pass", "my-pass", "-o", "mine/passes"]) == 0
    assert capsys.readouterr().out == (
        "mine/passes/my_pass.py\nmine/passes/test_my_pass.py\ntry them: pytest mine/passes\n"
    )
    assert outcome_of(folder / "mine" / "passes") == "3 passed"


def test_json(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["new", "pass", "other", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {"schema": "graphopt.new/1", "files": ["other.py", "test_other.py"]}


def test_what_is_there_stays(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "test_mine.py").write_text("mine")
    assert run(["new", "rule", "mine"]) == 2
    assert capsys.readouterr().err == (
        "error: test_mine.py is there already\n  help: choose another name, or another folder with --output\n"
    )
    assert [p.name for p in folder.iterdir()] == ["test_mine.py"]
    assert (folder / "test_mine.py").read_text() == "mine"


def test_a_folder_that_is_a_file(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "file").write_text("mine")
    assert run(["new", "rule", "mine", "-o", "file"]) == 2
    assert capsys.readouterr().err == "error: cannot write to the folder file: File exists\n"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["rule", "My-Rule"], "'My-Rule' is no name of a rule\n  help: small letters, digits and _: my_rule"),
        (["rule", "../up"], "'../up' is no name of a rule\n  help: small letters, digits and _: my_rule"),
        (["pass", "my_pass"], "'my_pass' is no name of a pass\n  help: small letters and digits, joined by -: my-pass"),
        (["pass", ""], "'' is no name of a pass\n  help: small letters and digits, joined by -: my-pass"),
        (["rule"], "Missing argument 'NAME'.\n  help: see `graphopt new rule --help`"),
    ],
)
def test_bad_usage(arguments: list[str], message: str, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["new", *arguments]) == 2
    assert capsys.readouterr().err == f"error: {message}\n"
    assert list(folder.iterdir()) == []
