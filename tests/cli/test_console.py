"""What verbs write with."""

from __future__ import annotations

import json
import os
import pty
import subprocess
import sys

import pytest

from graphopt.cli.console import console, emit, output_of_run, progress, wants_json
from graphopt.progress import SILENT

TASKS = """
import sys, time
from graphopt.cli import console
console.PATIENCE = float(sys.argv[1])
shown = console.progress()
with shown.task("outer [bold]", total=10) as outer:
    outer.update(done=3, note="three \\x1b[31m")
    with shown.task("inner") as inner:
        inner.update(done=1)
        time.sleep(0.5 if console.PATIENCE < 1 else 0)
print("done")
"""


def on_a_terminal(patience: str) -> tuple[bytes, bytes]:
    """What a program shows on stdout and on a terminal that is its stderr."""
    ours, theirs = pty.openpty()
    environment = {**os.environ, "TERM": "xterm", "COLUMNS": "100"}
    process = subprocess.Popen(
        [sys.executable, "-c", TASKS, patience], stdout=subprocess.PIPE, stderr=theirs, env=environment
    )
    os.close(theirs)
    shown = b""
    while True:
        try:
            piece = os.read(ours, 4096)
        except OSError:  # the other end is closed
            break
        if not piece:
            break
        shown += piece
    os.close(ours)
    out, _ = process.communicate(timeout=60)
    assert process.returncode == 0
    return out, shown


def test_long_work_shows_bars_on_stderr() -> None:
    out, shown = on_a_terminal("0.05")
    assert out == b"done\n"
    assert b"outer [bold]" in shown
    assert b"inner" in shown
    assert rb"three \x1b[31m" in shown
    assert shown.rstrip().endswith((b"\x1b[2K", b"\x1b[?25h"))  # the line is wiped, the cursor is back


def test_short_work_shows_nothing() -> None:
    assert on_a_terminal("1000") == (b"done\n", b"")


def test_no_terminal_no_bars() -> None:
    done = subprocess.run([sys.executable, "-c", TASKS, "0"], capture_output=True, text=True)
    assert (done.stdout, done.stderr) == ("done\n", "")


def test_no_bars_under_json(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    with output_of_run(json=True):
        assert progress() is SILENT
    with output_of_run(json=False):
        assert progress() is not SILENT


def test_one_document_and_then_no_more(capsys: pytest.CaptureFixture[str]) -> None:
    with output_of_run(json=True):
        assert wants_json()
        emit({"a": [1, "é\ud800"]})
        assert not wants_json()
    assert not wants_json()
    assert json.loads(capsys.readouterr().out) == {"a": [1, "é\ud800"]}


def test_a_document_never_holds_what_json_lacks() -> None:
    with output_of_run(json=True), pytest.raises(ValueError, match="not JSON compliant"):
        emit({"a": float("nan")})


def test_names_are_no_markup(capsys: pytest.CaptureFixture[str]) -> None:
    console().print("[red]x[/red] :smile: /a[0]/b")
    assert capsys.readouterr().out == "[red]x[/red] :smile: /a[0]/b\n"
