"""`graphopt new`: a rule or a pass to begin with."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import typer

from graphopt.cli.group import group

Folder = Annotated[Path, typer.Option("--output", "-o", help="The folder to write to; it is made if it is not there.")]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON document, and nothing else.")]


def new_app() -> typer.Typer:
    """The verbs under `graphopt new`."""
    return group("Write a rule or a pass that works, with its tests, to begin with.", {"rule": rule, "pass": pass_})


def rule(
    name: Annotated[str, typer.Argument(metavar="NAME", help="As in my_rule.", show_default=False)],
    output: Folder = Path(),
    json: Json = False,
) -> None:
    """Write NAME.rules, its cases NAME.txt and test_NAME.py."""
    from graphopt.skeletons import rule_files

    _write(rule_files(name), output, json=json)


def pass_(
    name: Annotated[str, typer.Argument(metavar="NAME", help="As in my-pass.", show_default=False)],
    output: Folder = Path(),
    json: Json = False,
) -> None:
    """Write a module with the pass, and its test."""
    from graphopt.skeletons import pass_files

    _write(pass_files(name), output, json=json)


def _write(files: Mapping[str, str], folder: Path, *, json: bool) -> None:
    """All files, or none: what is there stays."""
    from graphopt.cli.console import console, emit
    from graphopt.errors import OutputError
    from graphopt.graph.files import whole_file

    paths = {folder / name: text for name, text in files.items()}
    taken = [path for path in paths if path.exists()]
    if taken:
        raise OutputError(f"{taken[0]} is there already", help="choose another name, or another folder with --output")
    written: list[Path] = []
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for path, text in paths.items():
            with whole_file(path) as stream:
                stream.write(text.encode())
            written.append(path)
    except BaseException as error:
        for path in written:
            path.unlink()
        if isinstance(error, OSError):
            raise OutputError(f"cannot write to the folder {folder}: {error.strerror}") from None
        raise
    if json:
        emit({"schema": "graphopt.new/1", "files": [str(path) for path in paths]})
        return
    for path in paths:
        console().print(str(path))
    console().print(f"try them: pytest {folder}")
