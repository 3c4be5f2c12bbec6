"""The command line as a whole: its verbs, and how a run ends."""

from __future__ import annotations

import contextlib
import errno
import io
import os
import sys
import traceback
from typing import Annotated, Any

import typer

from graphopt.cli.bisect import bisect
from graphopt.cli.calibrate import calibrate
from graphopt.cli.check import check
from graphopt.cli.compile import compile
from graphopt.cli.console import emit, output_of_run, wants_json
from graphopt.cli.explain import explain
from graphopt.cli.export import export
from graphopt.cli.inspect import inspect
from graphopt.cli.interrupts import was_interrupted
from graphopt.cli.new import new_app
from graphopt.cli.parity import parity_app
from graphopt.cli.reduce import reduce
from graphopt.cli.rules import rules_app
from graphopt.errors import EXIT_GOOD, EXIT_INPUT, EXIT_INTERRUPTED, GraphoptError, OutputError, UsageError
from graphopt.report.text import printable

VERBS = (compile, export, check, bisect, reduce, calibrate, inspect, explain)

EXIT_BUG = 70
EXIT_PIPE = 141

EXIT_CODES = """\b
Exit codes:
  0    good
  1    parity is not met: outputs differ by more than the tolerance; a rule is wrong, or was not exercised
  2    bad usage, bad input, or an output that cannot be written
  3    a backend that was asked for is missing, or refused the model
  70   a bug in graphopt, with a traceback
  130  interrupted
  141  whoever read the output stopped reading"""

# Newer versions of typer bring a click of their own, older ones install it: in both, the parent of the parent of
# BadParameter is what every complaint about a command line derives from.
_Complaint: Any = typer.BadParameter.__mro__[2]


def run_app(arguments: list[str]) -> int:
    """Run one command line; returns its exit code, whatever happens."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # a letter that the terminal lacks becomes an escape, not a traceback
            stream.reconfigure(errors="backslashreplace")
    with output_of_run(json="--json" in arguments):
        try:
            return _invoke(arguments)
        except BaseException as error:
            return _end(error)


def application() -> typer.Typer:
    """The app with all its verbs; none of them imports what it needs before it runs."""
    app = typer.Typer(
        name="graphopt",
        help="Compile ONNX models: every rewrite is declared, and each is checked.",
        epilog=EXIT_CODES,
        add_completion=False,
        rich_markup_mode=None,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    app.callback(invoke_without_command=True)(_main)
    for verb in VERBS:
        app.command()(verb)
    app.add_typer(rules_app(), name="rules")
    app.add_typer(parity_app(), name="parity")
    app.add_typer(new_app(), name="new")
    return app


def _main(
    context: typer.Context,
    version: Annotated[bool, typer.Option("--version", help="Print the version and end.", is_eager=True)] = False,
) -> None:
    if version:
        print(f"graphopt {_version()}")
        raise typer.Exit
    if context.invoked_subcommand is None:
        print(context.get_help(), file=sys.stderr)
        raise typer.Exit(EXIT_INPUT)


def _version() -> str:
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version("graphopt")
    except PackageNotFoundError:
        return "(run from its sources, not installed)"


def _invoke(arguments: list[str]) -> int:
    command = typer.main.get_command(application())
    try:
        with command.make_context("graphopt", list(arguments)) as context:
            command.invoke(context)
        code = EXIT_GOOD
    except typer.Exit as done:
        code = done.exit_code
    sys.stdout.flush()
    return code


def _end(error: BaseException) -> int:
    """Say on stderr, and as the JSON document where one is due, why a run failed; returns the exit code."""
    if isinstance(error, BrokenPipeError):
        _discard_stdout()
        return EXIT_PIPE
    if isinstance(error, KeyboardInterrupt) or was_interrupted():
        print("interrupted", file=sys.stderr)
        failure, code = GraphoptError("interrupted"), EXIT_INTERRUPTED
    elif (known := _user_error(error)) is not None:
        print(printable(f"error: {known}"), file=sys.stderr)
        failure, code = known, known.exit_code
    else:
        print(printable("".join(traceback.format_exception(error))), file=sys.stderr)
        print("this is a bug in graphopt: please report it, with the lines above", file=sys.stderr)
        failure, code = GraphoptError(f"{type(error).__name__}: {error}"), EXIT_BUG
    try:
        if wants_json():
            emit(_document(error, failure, code))
        sys.stdout.flush()
    except OSError:
        _discard_stdout()
    return code


def _user_error(error: BaseException) -> GraphoptError | None:
    """The error in the form that all user errors have; None for a bug."""
    if isinstance(error, GraphoptError):
        return error
    if isinstance(error, _Complaint):
        return _bad_usage(error)
    if isinstance(error, MemoryError):
        return GraphoptError("there is not enough memory", help="end other programs, or use a machine that has more")
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        place = error.filename if isinstance(error.filename, str) else None
        return OutputError("the disk is full", where=place, help="make room, or write elsewhere")
    return None


def _bad_usage(complaint: Any) -> UsageError:
    context = getattr(complaint, "ctx", None)
    verb = "graphopt" if context is None else context.command_path
    message = complaint.format_message().replace("Value error, ", "")  # how pydantic, in newer typers, begins
    return UsageError(message, help=f"see `{verb} --help`")


def _document(error: BaseException, failure: GraphoptError, code: int) -> dict[str, Any]:
    kind = type(failure if isinstance(failure, UsageError | OutputError) else error).__name__
    return {
        "schema": "graphopt.error/1",
        "error": {
            "kind": kind,
            "message": failure.message,
            "where": failure.where,
            "help": failure.help,
            "exit_code": code,
        },
    }


def _discard_stdout() -> None:
    """Let what is still buffered vanish, or Python would fail on it once more when it ends."""
    with contextlib.suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
