"""The command line: one file a verb; what a verb needs is imported when it runs."""

from __future__ import annotations

import signal
import sys

from graphopt.cli.interrupts import forget, heard, was_interrupted
from graphopt.errors import EXIT_INTERRUPTED


def main() -> None:
    """Entry point of the `graphopt` command; ends the process with a documented exit code."""
    code = run(sys.argv[1:])
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # all is said: Ctrl-C while Python ends would only add a traceback
    sys.exit(code)


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
