"""graphopt check: whether two models give the same outputs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def check(
    reference: Annotated[Path, typer.Argument(metavar="A.onnx", help="The model to compare with.", show_default=False)],
    candidate: Annotated[Path, typer.Argument(metavar="B.onnx", help="The model to judge.", show_default=False)],
    data: Annotated[
        str | None,
        typer.Option(
            metavar="SOURCE",
            help="Samples: .npz or .npy, a folder of them, Polygraphy's .json or FILE.py[:FUNCTION]. Made if left out.",
        ),
    ] = None,
    shape: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME=SHAPE", help="Keep an input to a shape, or to MIN:OPT:MAX. May be repeated."),
    ] = None,
    samples: Annotated[
        int | None, typer.Option(min=1, help="How many samples of the data to use (8), or to make of each shape (2).")
    ] = None,
    contract: Annotated[
        str, typer.Option(metavar="CONTRACT", help="How equal: exact, real (but for rounding), approx(ERROR), quant.")
    ] = "real",
    max_rel: Annotated[
        float | None, typer.Option(min=0, help="Instead: the largest difference, relative to an output's scale.")
    ] = None,
    min_sqnr: Annotated[
        float | None, typer.Option(help="Instead: the smallest signal-to-noise ratio of an output, in dB.")
    ] = None,
    min_cosine: Annotated[
        float | None, typer.Option(min=-1, max=1, help="Instead: the smallest cosine of an output.")
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON document, and nothing else.")] = False,
) -> None:
    """Run two models on the same samples in ONNX Runtime and compare all outputs. Exits with 1 if they differ."""
    from graphopt.backends.profiles import complete, parse_shape_options
    from graphopt.cli.console import console, emit, progress
    from graphopt.errors import ParityError
    from graphopt.parity.compare import compare_models
    from graphopt.parity.contract import Contract
    from graphopt.parity.model_interface import read_interface
    from graphopt.parity.tolerance import Limits
    from graphopt.report.terminal import show_comparison

    held_to = Contract.parse(contract)
    given = parse_shape_options(shape or [])
    values = complete(read_interface(reference, str(reference)), given).values
    limits = Limits(max_rel, min_sqnr, min_cosine)
    found = compare_models(
        reference,
        candidate,
        data,
        held_to,
        profiles={name: profile for name, profile in given.items() if name not in values},
        values=values,
        count=samples,
        limits=limits if limits != Limits() else None,
        progress=progress(),
    )
    if json:
        document = {"schema": "graphopt.check/1", "reference": str(reference), "candidate": str(candidate)}
        emit({**document, **found.to_json()})
    else:
        show_comparison(found, console())
    if not found.ok:
        raise ParityError(f"{candidate} is not equal to {reference}: {found.problems[0]}")
