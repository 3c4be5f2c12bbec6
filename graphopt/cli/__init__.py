"""The command line: one file a verb; what a verb needs is imported when it runs."""

from __future__ import annotations

import sys


def main() -> None:
    """Entry point of the `graphopt` command; ends the process with a documented exit code."""
    sys.exit(run(sys.argv[1:]))


def run(arguments: list[str]) -> int:
    """Run one command line and return its exit code."""
    from graphopt.cli.app import run_app

    return run_app(arguments)
