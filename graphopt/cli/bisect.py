"""`graphopt bisect`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

if TYPE_CHECKING:
    from graphopt.pipeline.recipe import Recipe


def bisect(
    model: Annotated[Path, typer.Argument(help="The ONNX model.", show_default=False)],
    recipe: Annotated[str, typer.Option(help="Whose changes to search: a recipe's name, or a TOML file.")] = "default",
    passes: Annotated[
        list[str] | None, typer.Option("--pass", help="A pass to run in place of a recipe. May be repeated.")
    ] = None,
    against: Annotated[
        str | None, typer.Option(help="The recipe whose result is right. [default: the model as it is]")
    ] = None,
    against_pass: Annotated[
        list[str] | None, typer.Option(help="A pass to run in place of that recipe. May be repeated.")
    ] = None,
    data: Annotated[str | None, typer.Option(help="Samples, as for `graphopt compile`.")] = None,
    shape: Annotated[
        list[str] | None, typer.Option(help="NAME=MIN:OPT:MAX or NAME=SHAPE, as x=1x3x32x32. May be repeated.")
    ] = None,
    samples: Annotated[int | None, typer.Option(min=1, help="Most samples of the data, or made of each shape.")] = None,
    rules: Annotated[
        list[Path] | None, typer.Option(help="A rule file of yours, or a folder. May be repeated.")
    ] = None,
    skip: Annotated[list[str] | None, typer.Option(help="A rule to leave out. May be repeated.")] = None,
    contract: Annotated[
        str | None,
        typer.Option(metavar="CONTRACT", help="exact, real, approx(ERROR), quant. [default: as the passes promise]"),
    ] = None,
    max_rel: Annotated[float | None, typer.Option(min=0, help="Instead: the largest relative difference.")] = None,
    min_sqnr: Annotated[float | None, typer.Option(help="Instead: the smallest signal-to-noise ratio, dB.")] = None,
    min_cosine: Annotated[float | None, typer.Option(min=-1, max=1, help="Instead: the smallest cosine.")] = None,
    fold_budget: Annotated[str, typer.Option(help="Bytes that constant folding may add to the model.")] = "1MB",
    initializer_inputs: Annotated[
        Literal["auto", "keep", "freeze"],
        typer.Option(help="Initializers that are also inputs: defaults that callers override (keep), or constants."),
    ] = "auto",
    json: Annotated[bool, typer.Option("--json", help="Print one JSON document, and nothing else.")] = False,
) -> None:
    """Find the one firing of a recipe after which a model is no longer what it was. Exits with 1 if there is one."""
    from graphopt.backends.profiles import parse_shape_options
    from graphopt.cli.console import emit, progress
    from graphopt.cli.sizes import parse_size
    from graphopt.errors import ParityError
    from graphopt.parity.contract import Contract
    from graphopt.parity.tolerance import Limits
    from graphopt.pipeline.bisect_request import Request
    from graphopt.pipeline.bisect_request import bisect as search
    from graphopt.report.text import printable
    from graphopt.rewrite.library import load_rules

    limits = Limits(max_rel, min_sqnr, min_cosine)
    found = search(
        Request(
            source=model,
            recipe=_recipe(recipe, passes or []),
            against=_recipe(against, against_pass or []) if against or against_pass else None,
            rules=load_rules(rules or [], skip or []),
            skip=skip or [],
            data=data,
            shapes=parse_shape_options(shape or []),
            samples=samples,
            contract=None if contract is None else Contract.parse(contract),
            limits=limits if limits != Limits() else None,
            fold_budget=parse_size(fold_budget, "--fold-budget"),
            overridable=initializer_inputs,
        ),
        progress(),
    )
    if json:
        culprit = None if found is None else found.to_json()
        emit({"schema": "graphopt.bisect/1", "model": str(model), "culprit": culprit})
    elif found is None:
        print(printable(f"{model}: no change of this recipe breaks it"))
    else:
        print(printable("\n".join([*found.comparison.problems, *found.lines()])))
    if found is not None:
        raise ParityError(f"{model} departs with {found.event}")


def _recipe(name: str | None, passes: list[str]) -> Recipe:
    """The recipe of this name, or one of passes, each run once with its defaults."""
    from graphopt.pipeline.recipe import Recipe, make_pass

    if not passes:
        return Recipe.load(name or "default")
    return Recipe("custom", "passes given by name", tuple(make_pass({"use": p}, "--pass") for p in passes))
