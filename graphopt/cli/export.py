"""graphopt export: a torch module to an ONNX file, once."""

from __future__ import annotations

import sys
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from graphopt.errors import GraphoptError
from graphopt.report.text import printable

if TYPE_CHECKING:
    from rich.console import Console

    from graphopt.exporting import ExportResult

STDERR = 2


def export(
    factory: Annotated[
        str, typer.Argument(metavar="PACKAGE.MODULE:FACTORY", help="What gives the module and its example inputs.")
    ],
    output: Annotated[Path, typer.Option("--output", "-o", metavar="MODEL.onnx", help="The file to write.")],
    inputs: Annotated[
        str | None,
        typer.Option(metavar="PACKAGE.MODULE:FACTORY", help="What gives the example inputs of a bare module."),
    ] = None,
    dynamic: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME=AXIS:SIZE,...", help="Axes of an input that vary, as x=0:batch."),
    ] = None,
    opset: Annotated[int | None, typer.Option(metavar="N", help="Version of ONNX's operators to write.")] = None,
    exporter: Annotated[
        str, typer.Option(metavar="auto|dynamo|legacy", help="Which of torch's exporters; auto is dynamo, then legacy.")
    ] = "auto",
    cache: Annotated[bool, typer.Option("--cache/--no-cache", help="Export only what was not exported before.")] = True,
    cache_dir: Annotated[
        Path | None, typer.Option(metavar="DIR", help="The cache, instead of the user's.", show_default=False)
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON document, and nothing else.")] = False,
) -> None:
    """Export a torch module to ONNX, checked against the module's own outputs."""
    from graphopt.cli.console import console, emit, progress
    from graphopt.exporting.dynamic import parse_dynamic
    from graphopt.exporting.factory import from_factory
    from graphopt.exporting.job import export_exportable, exporter_named, require_torch, with_options
    from graphopt.exporting.noise import stdout_into

    chosen = exporter_named(exporter)
    axes = parse_dynamic(dynamic or ())
    require_torch()
    sys.path.insert(0, str(Path.cwd()))
    shown = progress()
    with stdout_into(STDERR), _notes_told():
        with shown.task(f"call {factory}"):
            exportable = with_options(from_factory(factory, inputs), axes, opset)
        result = export_exportable(
            exportable,
            output,
            origins=[name.partition(":")[0] for name in (factory, inputs) if name],
            exporter=chosen,
            cache=cache,
            cache_dir=cache_dir,
            progress=shown,
        )
    if json:
        emit(result.to_json())
    else:
        _show(result, console())


@contextmanager
def _notes_told() -> Generator[None]:
    """What exporters printed and warned of is told where they failed."""
    try:
        yield
    except GraphoptError as error:
        for note in getattr(error, "__notes__", ()):
            print(printable(note), file=sys.stderr)
        raise


def _show(result: ExportResult, out: Console) -> None:
    source = "taken from the cache, made by" if result.cached else "made by"
    out.print(f"{result.path}: {source} torch's {result.exporter} exporter, opset {result.opset}")
    if result.fallback:
        out.print(f"  dynamo did not manage: {result.fallback}")
    if result.cache_note:
        out.print(f"  cache: {result.cache_note}")
    for kind, specs in (("input", result.inputs), ("output", result.outputs)):
        for spec in specs:
            out.print(f"  {kind:<6} {spec}")
    out.print(_figures(result))
    for note in result.comparison["notes"]:
        out.print(f"note: {note}")
    for warning in result.warnings:
        out.print(f"warning: {warning}")


def _figures(result: ExportResult) -> object:
    from rich.table import Table

    table = Table(title=f"beside the module, on {result.comparison['samples']} inputs", title_justify="left")
    for heading in ("output", "largest difference / scale", "allowed", "SQNR (dB)", "cosine"):
        table.add_column(heading, justify="left" if heading == "output" else "right")
    for one in result.comparison["outputs"]:
        sqnr = "equal" if one["bitwise"] else _number(one["sqnr_db"], ".1f")
        allowed = _number(one["tolerance"]["max_rel"], ".3g")
        table.add_row(one["name"], _number(one["max_rel"], ".3g"), allowed, sqnr, _number(one["cosine"], ".9f"))
    return table


def _number(value: float | None, form: str) -> str:
    return "-" if value is None else format(value, form)
