"""The command line: one file a verb; what a verb needs is imported when it runs."""

from __future__ import annotations

import os
import signal
import sys

from graphopt.cli.interrupts import forget, heard, was_interrupted
from graphopt.errors import EXIT_INTERRUPTED


def main() -> None:
    """Entry point of the `graphopt` command; ends the process with a documented exit code."""
    _replace_missing_streams()
    code = EXIT_INTERRUPTED
    try:
        code = run(sys.argv[1:])
    except KeyboardInterrupt:
        pass  # once more, while `run` was answering the first or had just given the signals back
    finally:
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # all is said: while Python ends it would only add a traceback
    sys.exit(code)


def _replace_missing_streams() -> None:
    """Whoever starts a process may close its standard output or error: what is written there then goes nowhere."""
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: SIM115 (until the process ends)


def run(arguments: list[str]) -> int:
    """Run one command line and return its exit code."""
    forget()
    with heard():
        try:
            from graphopt.cli.app import run_app

            return run_app(arguments)
        except BaseException:
            if not was_interrupted():
                raise
            print("interrupted", file=sys.stderr)
            return EXIT_INTERRUPTED
