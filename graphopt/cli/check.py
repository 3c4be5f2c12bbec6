"""graphopt check: whether two models give the same outputs."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from graphopt.data.sample import Sample
    from graphopt.parity.comparison import Comparison
    from graphopt.parity.contract import Contract
    from graphopt.pipeline.bisect_layers import Divergence


def check(
    reference: Annotated[Path, typer.Argument(metavar="A.onnx", help="The model to compare with.", show_default=False)],
    candidate: Annotated[
        Path | None,
        typer.Argument(metavar="B.onnx", help="The model to judge; none with --qdq.", show_default=False),
    ] = None,
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
    layers: Annotated[
        bool, typer.Option("--layers", help="Compare the values inside as well, and tell the first that departs.")
    ] = False,
    qdq: Annotated[
        bool,
        typer.Option("--qdq", help="Instead: whether the pairs of one model stand where TensorRT wants them."),
    ] = False,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON document, and nothing else.")] = False,
) -> None:
    """Run two models on the same samples in ONNX Runtime and compare all outputs. Exits with 1 if they differ."""
    from graphopt.errors import UsageError

    if qdq:
        if candidate is not None:
            raise UsageError("--qdq looks at one model", help="graphopt check --qdq MODEL")
        _lint(reference, json=json)
        return
    if candidate is None:
        raise UsageError("there is nothing to compare with", help="graphopt check A.onnx B.onnx")
    from graphopt.backends.profiles import complete, parse_shape_options
    from graphopt.cli.console import console, emit, progress
    from graphopt.errors import ParityError
    from graphopt.parity.compare import compare_models
    from graphopt.parity.contract import Contract
    from graphopt.parity.model_interface import read_interface
    from graphopt.parity.tolerance import Limits
    from graphopt.report.divergence import show_divergence
    from graphopt.report.terminal import show_comparison

    held_to = Contract.parse(contract)
    given = parse_shape_options(shape or [])
    values = complete(read_interface(reference, str(reference)), given).values
    limits = Limits(max_rel, min_sqnr, min_cosine)
    seen: list[Sample] = []
    found = compare_models(
        reference,
        candidate,
        data,
        held_to,
        profiles={name: profile for name, profile in given.items() if name not in values},
        values=values,
        count=samples,
        limits=limits if limits != Limits() else None,
        seen=seen,
        progress=progress(),
    )
    inside = _inside(reference, candidate, seen, found, held_to) if layers else None
    if json:
        document = {"schema": "graphopt.check/1", "reference": str(reference), "candidate": str(candidate)}
        emit({**document, **found.to_json(), **({} if inside is None else {"layers": inside.to_json()})})
    else:
        show_comparison(found, console())
        if inside is not None:
            show_divergence(inside, console())
    if not found.ok:
        raise ParityError(f"{candidate} is not equal to {reference}: {found.problems[0]}")


def _inside(
    reference: Path, candidate: Path, samples: list[Sample], found: Comparison, contract: Contract
) -> Divergence:
    from graphopt.cli.console import progress
    from graphopt.pipeline.bisect_layers import divergence

    return divergence(reference, candidate, samples, found, contract, progress=progress())


def _lint(path: Path, *, json: bool) -> None:
    """Look at the pairs of one model; tell what each rule found."""
    from graphopt.cli.console import console, emit
    from graphopt.errors import ParityError
    from graphopt.graph.load import load
    from graphopt.pipeline.qdq_lint import RULES, lint
    from graphopt.report.text import printable

    found = lint(load(path))
    if json:
        rules = {name: what for name, (what, _) in RULES.items()}
        document = {"schema": "graphopt.check.qdq/1", "model": str(path), "ok": not found, "rules": rules}
        emit({**document, "findings": [f.to_json() for f in found]})
    else:
        out = console()
        for name, (what, _) in RULES.items():
            broken = [f for f in found if f.rule == name]
            verdict = "ok" if not broken else f"broken at {len(broken)} nodes" if broken[1:] else "broken at 1 node"
            out.print(printable(f"{name}: {what}: {verdict}"))
            for finding in broken:
                out.print(printable(f"  {finding.node}: {finding.text}"))
    if found:
        first = found[0]
        raise ParityError(
            f"the pairs of {path} do not stand where TensorRT wants them: {first.node}: {first.text}",
            help="`graphopt compile MODEL --recipe int8 --target tensorrt-rtx` places them",
        )
