"""graphopt inspect: what is in a model."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from graphopt.errors import UsageError

if TYPE_CHECKING:
    from graphopt.graph.accounting import Account


def inspect(
    model: Annotated[Path, typer.Argument(metavar="MODEL", help="The .onnx file.", show_default=False)],
    dim: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME=SIZE", help="Count MACs with this size of a dynamic dim, instead of 1."),
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON document, and nothing else.")] = False,
) -> None:
    """Tell what is in a model: operators, parameters, MACs, bytes, dtypes, shapes, opsets."""
    from graphopt.cli.console import console, emit
    from graphopt.graph.accounting import account
    from graphopt.graph.load import load
    from graphopt.report.contents import contents_json, show_contents

    sizes = dict(_size(text) for text in dim or ())
    loaded = load(model, overridable="keep")
    found = account(loaded, file=model, sizes=sizes)
    _refuse_unknown(sizes, found)
    if json:
        emit(contents_json(model, loaded, found))
    else:
        show_contents(model, loaded, found, console())


def _size(text: str) -> tuple[str, int]:
    name, _, size = text.rpartition("=")
    if not name or not size.isdecimal():
        raise UsageError(f"--dim {text!r} is not of the form NAME=SIZE", help="write, say, --dim batch=8")
    return name, int(size)


def _refuse_unknown(sizes: dict[str, int], found: Account) -> None:
    for name in sizes:
        if name not in found.dynamic_dims:
            known = ", ".join(found.dynamic_dims)
            raise UsageError(
                f"no input has a dynamic dim {name!r}", help=f"there is {known}" if known else "every dim has its size"
            )
