"""How a run of the command ends: exit codes, and what is said where."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import onnx
import onnx.parser
import pytest
import typer

import graphopt.graph.load
from graphopt.cli import run
from graphopt.cli.app import EXIT_CODES, application
from graphopt.errors import (
    BackendError,
    DataError,
    ExportError,
    GraphoptError,
    ModelError,
    OutputError,
    ParityError,
    RecipeError,
    RewriteError,
    UsageError,
)

DOCS = Path(__file__).parents[2] / "docs" / "command-line.md"
COMMAND = [sys.executable, "-c", "from graphopt.cli import main; main()"]
MODEL = '<ir_version: 8, opset_import: ["" : 17]> g (float[n,2] x) => (float[n,2] y) { y = Relu(x) }'


@pytest.fixture
def model(tmp_path: Path) -> Path:
    path = tmp_path / "model.onnx"
    path.write_bytes(onnx.parser.parse_model(MODEL).SerializeToString())
    return path


def test_help_tells_the_exit_codes(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["--help"]) == 0
    shown = capsys.readouterr().out
    for line in EXIT_CODES.splitlines()[1:]:
        assert line.strip() in shown


def test_the_docs_tell_the_exit_codes() -> None:
    text = DOCS.read_text("utf-8")
    for line in EXIT_CODES.splitlines()[2:]:
        code, meaning = line.split(maxsplit=1)
        assert f"| {code} | {meaning}" in text


def test_no_verb_is_bad_usage_and_shows_the_help(capsys: pytest.CaptureFixture[str]) -> None:
    assert run([]) == 2
    shown = capsys.readouterr()
    assert shown.out == ""
    assert shown.err.startswith("Usage: graphopt [OPTIONS] COMMAND [ARGS]...")


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["--version"]) == 0
    assert capsys.readouterr().out.startswith("graphopt ")


def test_the_command_is_a_module_as_well() -> None:
    command = [sys.executable, "-m", "graphopt", "inspect"]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (ended.returncode, ended.stdout) == (2, "")
    assert ended.stderr == "error: Missing argument 'MODEL'.\n  help: see `graphopt inspect --help`\n"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--nope"], "error: No such option: --nope\n  help: see `graphopt --help`\n"),
        (["inspect"], "error: Missing argument 'MODEL'.\n  help: see `graphopt inspect --help`\n"),
        (["inspect", "m", "--nope"], "error: No such option: --nope\n  help: see `graphopt inspect --help`\n"),
        (["inspect", "m", "--dim"], "error: Option '--dim' requires an argument.\n  help: see `graphopt --help`\n"),
        (
            ["inspect", "m", "--dim", "3"],
            "error: --dim '3' is not of the form NAME=SIZE\n  help: write, say, --dim batch=8\n",
        ),
    ],
)
def test_bad_usage(arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(arguments) == 2
    assert capsys.readouterr() == ("", message)


def test_a_verb_that_is_not_there(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["inspekt"]) == 2
    shown = capsys.readouterr()  # newer versions of typer also say what was meant
    assert shown.err.startswith("error: No such command 'inspekt'.")
    assert shown.err.endswith("\n  help: see `graphopt --help`\n")


def test_a_user_error_has_its_place_and_help(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "bad.onnx"
    path.write_bytes(onnx.parser.parse_model(MODEL.replace("Relu", "Rleu")).SerializeToString())
    assert run(["inspect", str(path)]) == 2
    assert capsys.readouterr() == (
        "",
        "error: there is no operator Rleu in opset 17\n  at: node Rleu(y)\n  help: did you mean 'Relu'?\n",
    )


def test_under_json_the_error_is_a_document_too(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["inspect", str(tmp_path), "--json"]) == 2
    shown = capsys.readouterr()
    assert shown.err == f"error: {tmp_path} is a folder, not a model file\n  help: name the .onnx file inside it\n"
    assert json.loads(shown.out) == {
        "schema": "graphopt.error/1",
        "error": {
            "kind": "ModelError",
            "message": f"{tmp_path} is a folder, not a model file",
            "where": None,
            "help": "name the .onnx file inside it",
            "exit_code": 2,
        },
    }


def test_bad_usage_under_json_is_a_document_too(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["inspect", "--json"]) == 2
    assert json.loads(capsys.readouterr().out)["error"]["kind"] == "UsageError"


def raising(error: BaseException) -> Callable[..., Any]:
    def fail(*_: Any, **__: Any) -> Any:
        raise error

    return fail


@pytest.mark.parametrize(
    ("kind", "code"),
    [
        (GraphoptError, 2),
        (UsageError, 2),
        (ModelError, 2),
        (DataError, 2),
        (RecipeError, 2),
        (OutputError, 2),
        (RewriteError, 2),
        (ExportError, 2),
        (ParityError, 1),
        (BackendError, 3),
    ],
)
def test_every_kind_of_error_has_its_exit_code(
    kind: type[GraphoptError], code: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(graphopt.graph.load, "load", raising(kind("no", where="here", help="do")))
    assert run(["inspect", "m", "--json"]) == code
    shown = capsys.readouterr()
    assert shown.err == "error: no\n  at: here\n  help: do\n"
    error = json.loads(shown.out)["error"]
    assert (error["kind"], error["exit_code"]) == (kind.__name__, code)


def test_a_bug_shows_its_traceback(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(graphopt.graph.load, "load", raising(ZeroDivisionError("by zero")))
    assert run(["inspect", "m", "--json"]) == 70
    shown = capsys.readouterr()
    assert shown.err.startswith("Traceback (most recent call last):\n")
    assert "ZeroDivisionError: by zero\n" in shown.err
    assert shown.err.endswith("this is a bug in graphopt: please report it, with the lines above\n")
    assert json.loads(shown.out)["error"] == {
        "kind": "ZeroDivisionError",
        "message": "ZeroDivisionError: by zero",
        "where": None,
        "help": None,
        "exit_code": 70,
    }


def test_what_could_steer_a_terminal_is_escaped(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    proto = onnx.parser.parse_model(MODEL)
    proto.graph.node[0].op_type = "\x1b[2J\x07\x9b31mRelu\u202e"
    path = tmp_path / "evil.onnx"
    path.write_bytes(proto.SerializeToString())
    assert run(["inspect", str(path)]) == 2
    shown = capsys.readouterr().err
    assert all(c.isprintable() or c == "\n" for c in shown)
    assert shown.startswith(r"error: there is no operator \x1b[2J\x07\x9b31mRelu\u202e in opset 17")


# --- in a process of its own ---


class Reader:
    """A run of `graphopt inspect` that waits for its model at the end of a pipe."""

    def __init__(self, folder: Path, *options: str) -> None:
        self.fifo = folder / "model.onnx"
        os.mkfifo(self.fifo)
        self.process = subprocess.Popen(
            [*COMMAND, "inspect", str(self.fifo), *options],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        self.end = self.fifo.open("wb")  # returns once the child has opened the other end

    def finish(self) -> tuple[int, str, str]:
        out, err = self.process.communicate(timeout=60)
        return self.process.returncode, out, err


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_is_said_and_has_its_code(tmp_path: Path, number: signal.Signals) -> None:
    reader = Reader(tmp_path)
    reader.process.send_signal(number)
    assert reader.finish() == (130, "", "interrupted\n")
    reader.end.close()


def test_an_interrupt_under_json_is_a_document_too(tmp_path: Path) -> None:
    reader = Reader(tmp_path, "--json")
    reader.process.send_signal(signal.SIGINT)
    code, out, err = reader.finish()
    reader.end.close()
    assert (code, err) == (130, "interrupted\n")
    assert json.loads(out)["error"]["kind"] == "KeyboardInterrupt"


@pytest.mark.parametrize("options", [[], ["--json"]])
def test_a_reader_that_went_away(tmp_path: Path, options: list[str]) -> None:
    reader = Reader(tmp_path, *options)
    assert reader.process.stdout is not None
    assert reader.process.stderr is not None
    reader.process.stdout.close()
    with reader.end:
        reader.end.write(onnx.parser.parse_model(MODEL).SerializeToString())
    errors = reader.process.stderr.read()
    reader.process.stderr.close()
    assert (reader.process.wait(timeout=60), errors) == (141, "")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no device that is always full")
@pytest.mark.parametrize("options", [[], ["--json"]])
def test_a_full_disk_behind_stdout(model: Path, options: list[str]) -> None:
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [*COMMAND, "inspect", str(model), *options], stdout=full, stderr=subprocess.PIPE, text=True
        )
    assert (done.returncode, done.stderr) == (2, "error: the disk is full\n  help: make room, or write elsewhere\n")


def test_too_little_memory(tmp_path: Path) -> None:
    """A file of 64 GB, all of it a hole, and a process that may have 4 GB."""
    path = tmp_path / "huge.onnx"
    with path.open("wb") as file:
        file.truncate(64 << 30)
    program = (
        f"import resource; resource.setrlimit(resource.RLIMIT_AS, ({4 << 30}, {4 << 30}));"
        "from graphopt.cli import main; main()"
    )
    done = subprocess.run([sys.executable, "-c", program, "inspect", str(path)], capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (
        2,
        "",
        "error: there is not enough memory\n  help: end other programs, or use a machine that has more\n",
    )


def test_a_terminal_without_unicode_gets_escapes(tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    proto = onnx.parser.parse_model(MODEL)
    proto.metadata_props.add(key="author", value="Gödel")
    path.write_bytes(proto.SerializeToString())
    environment = {**os.environ, "PYTHONIOENCODING": "ascii", "LC_ALL": "C"}
    done = subprocess.run([*COMMAND, "inspect", str(path)], capture_output=True, env=environment)
    assert (done.returncode, done.stderr) == (0, b"")
    assert rb"G\xf6del" in done.stdout


@pytest.mark.parametrize("closed", [">&-", "2>&-", ">&- 2>&-"])
@pytest.mark.parametrize(("file", "code"), [("model.onnx", 0), ("none.onnx", 2)])
def test_a_closed_stream_changes_no_exit_code(model: Path, closed: str, file: str, code: int) -> None:
    line = [*COMMAND, "inspect", str(model.with_name(file))]
    done = subprocess.run(["sh", "-c", f'"$@" {closed}', "sh", *line], capture_output=True, text=True)
    missing = "" if code == 0 or "2>" in closed else f"error: there is no file {model.with_name(file)}\n"
    assert (done.returncode, done.stderr) == (code, missing)


def verbs(command: Any, path: str = "") -> Iterator[tuple[str, list[str]]]:
    """Each verb, those below a verb as well, with its options."""
    for name, verb in command.commands.items():
        if hasattr(verb, "commands"):
            yield from verbs(verb, f"{path}{name} ")
        else:
            options = [option for p in verb.params for option in (*p.opts, *p.secondary_opts)]
            yield f"{path}{name}", [option for option in options if option.startswith("-")]


def test_the_docs_name_every_verb_and_option() -> None:
    text = DOCS.read_text("utf-8")
    found = dict(verbs(typer.main.get_command(application())))
    assert {"compile", "export", "check", "inspect", "rules list"} <= found.keys()
    for name, options in found.items():
        assert f"| `graphopt {name}" in text
        section = text.partition(f"### {name}\n")[2].partition("\n#")[0]
        missing = [option for option in options if f"`{option}`" not in section]
        assert (name, missing) == (name, [])
