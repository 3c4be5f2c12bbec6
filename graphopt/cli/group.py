"""Verbs below a verb: `graphopt rules list`."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping

import typer

from graphopt.errors import EXIT_INPUT


def group(help: str, verbs: Mapping[str, Callable[..., None]]) -> typer.Typer:
    """The verbs by their names, in this order; without one of them, the help is shown, and it is bad usage."""
    app = typer.Typer(help=help, no_args_is_help=False, rich_markup_mode=None)
    app.callback(invoke_without_command=True)(_help)
    for name, verb in verbs.items():
        app.command(name)(verb)
    return app


def _help(context: typer.Context) -> None:
    if context.invoked_subcommand is None:
        print(context.get_help(), file=sys.stderr)
        raise typer.Exit(EXIT_INPUT)
