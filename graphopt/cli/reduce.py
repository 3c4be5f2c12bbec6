"""`graphopt reduce`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def reduce(
    model: Annotated[Path, typer.Argument(help="The ONNX model.", show_default=False)],
    output: Annotated[Path, typer.Option("--output", "-o", help="The folder for the case.", show_default=False)],
    recipe: Annotated[str, typer.Option(help="The recipe that fails: its name, or a TOML file.")] = "default",
    rules: Annotated[
        list[Path] | None, typer.Option(help="A rule file of yours, or a folder. May be repeated.")
    ] = None,
    data: Annotated[str | None, typer.Option(help="Samples, as for `graphopt compile`.")] = None,
    shape: Annotated[
        list[str] | None, typer.Option(help="NAME=MIN:OPT:MAX or NAME=SHAPE, as x=1x3x32x32. May be repeated.")
    ] = None,
    samples: Annotated[int | None, typer.Option(min=1, help="Most samples of the data, or made of each shape.")] = None,
    contract: Annotated[
        str | None,
        typer.Option(metavar="CONTRACT", help="exact, real, approx(ERROR), quant. [default: as the passes promise]"),
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON document, and nothing else.")] = False,
) -> None:
    """Make a model small at which a compile fails: the few nodes, and their inputs, that fail as the whole model does.

    The folder then holds model.onnx, inputs, rules and recipe, and suite.toml, which `graphopt parity run` runs.
    """
    from graphopt.backends.profiles import complete, parse_shape_options
    from graphopt.cli.console import console, emit, progress
    from graphopt.parity.contract import Contract
    from graphopt.parity.model_interface import read_interface, read_model
    from graphopt.parity.samples import parity_samples
    from graphopt.pipeline.output import refuse_to_replace
    from graphopt.suite.failure import Setting
    from graphopt.suite.reduce import reduce_model, write_case

    refuse_to_replace(output, [model])
    setting = Setting(recipe, tuple(rules or ()), None if contract is None else Contract.parse(contract))
    shapes = parse_shape_options(shape or [])
    values = complete(read_interface(model, str(model)), shapes).values
    profiles = {name: found for name, found in shapes.items() if name not in values}
    drawn = parity_samples(model, data, profiles=profiles, values=values, count=samples, progress=progress())
    found = reduce_model(read_model(model, str(model)), drawn.samples, setting, progress())
    suite = write_case(found, setting, output)
    if json:
        emit(
            {
                "schema": "graphopt.reduce/1",
                "failure": found.failure,
                "nodes": {"before": found.nodes, "after": len(found.model.graph.node)},
                "operators": [node.op_type for node in found.model.graph.node],
                "trials": found.trials,
                "suite": str(suite),
            }
        )
        return
    operators = ", ".join(node.op_type for node in found.model.graph.node)
    console().print(f"{found.failure}: {found.nodes} nodes -> {len(found.model.graph.node)} ({operators})")
    console().print(f"{output}: {found.trials} trials; again: graphopt parity run {suite}")
