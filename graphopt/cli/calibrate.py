"""`graphopt calibrate`: what a model's tensors hold on samples."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from graphopt.errors import UsageError

if TYPE_CHECKING:
    from graphopt.calibration.statistics import Statistics
    from graphopt.data.attempts import ReadableSamples, Unreadable
    from graphopt.graph.model import Model


def calibrate(
    what: Annotated[
        list[Path],
        typer.Argument(
            metavar="MODEL", help="The ONNX model; with --merge or --show, files of statistics.", show_default=False
        ),
    ],
    data: Annotated[
        str | None,
        typer.Option(
            metavar="SOURCE",
            help="Samples: .npz or .npy, a folder of them or of pictures, Polygraphy's .json or FILE.py[:FUNCTION].",
        ),
    ] = None,
    preprocess: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="How pictures become inputs, in TOML. [default: graphopt-data.toml there]"),
    ] = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", metavar="STATS", help="The file of statistics to write.")
    ] = None,
    recipe: Annotated[
        str | None, typer.Option(help="First do what this recipe does before it calibrates, for `compile --stats`.")
    ] = None,
    target: Annotated[
        list[str] | None, typer.Option(help="With --recipe: what the model is to run on. May be repeated.")
    ] = None,
    samples: Annotated[int | None, typer.Option(min=1, help="Most samples to run. [default: all]")] = None,
    tensor: Annotated[
        list[str] | None, typer.Option(metavar="NAME", help="Only this tensor, in detail. May be repeated.")
    ] = None,
    memory: Annotated[str, typer.Option(metavar="SIZE", help="Bytes of tensors to hold at once.")] = "512MB",
    merge: Annotated[bool, typer.Option("--merge", help="Merge files of statistics into one.")] = False,
    show: Annotated[bool, typer.Option("--show", help="Show a file of statistics.")] = False,
    plot: Annotated[
        Path | None, typer.Option(metavar="FILE.html", help="Draw the histograms into a page that stands by itself.")
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON document, and nothing else.")] = False,
) -> None:
    """Run a model on samples, and keep what its tensors hold: ranges, histograms, channels."""
    from graphopt.calibration.collect import collect
    from graphopt.cli.console import progress
    from graphopt.cli.sizes import parse_size

    only_for_models = {"--data": data, "--preprocess": preprocess, "--recipe": recipe, "--samples": samples}
    _refuse(what, [name for name, value in only_for_models.items() if value is not None], output, merge, show)
    left_out: list[Unreadable] = []
    if merge or show:
        found = _merged(what)
    else:
        budget = parse_size(memory, "--memory")
        with ExitStack() as held:
            model = _model(what[0], recipe, target or ["onnxruntime"], held)
            source = _source(model, data or "", preprocess, samples)
            found = collect(model, source, tensors=tensor, memory_budget=budget, progress=progress())
        left_out = source.left_out
    if output is not None:
        found.save(output)
    if merge or show:
        found = _only(found, tensor or [])
    if plot is not None:
        _plot(found, plot)
    _tell(found, left_out, detailed=bool(tensor), json=json)


def _refuse(what: Sequence[Path], given: Sequence[str], output: Path | None, merge: bool, show: bool) -> None:
    """
    Raises:
        UsageError: options that contradict each other, or one that is lacking. `given` lists those for models.
    """
    if merge and show:
        raise UsageError("--merge and --show are two things to do", help="--merge shows what it has merged as well")
    if merge or show:
        if given:
            taking = "--merge" if merge else "--show"
            raise UsageError(f"{given[0]} is for a model, and {taking} takes files of statistics")
        if show and (len(what) > 1 or output is not None):
            raise UsageError("--show takes one file of statistics, and writes none", help="--merge joins several")
    elif len(what) > 1:
        raise UsageError("calibrate takes one model", help="--merge takes several files of statistics")
    elif "--data" not in given:
        raise UsageError("there is nothing to calibrate on", help="give samples: --data SOURCE")
    if output is None and not show:
        raise UsageError("calibrate writes a file of statistics", help="name it: -o STATS")


def _model(path: Path, recipe: str | None, targets: Sequence[str], held: ExitStack) -> Model:
    """The model as it is, or as a recipe leaves it before it calibrates; then in a folder that lasts as `held` does.

    Raises:
        UsageError: the recipe does not calibrate.
    """
    from dataclasses import replace
    from itertools import takewhile
    from tempfile import TemporaryDirectory

    from graphopt.api import compile as compile_model
    from graphopt.cli.console import progress
    from graphopt.graph.load import load
    from graphopt.pipeline.recipe import Recipe

    if recipe is None:
        return load(path)
    whole = Recipe.load(recipe)
    first = tuple(takewhile(lambda step: step.name != "calibrate", whole.passes))
    if len(first) == len(whole.passes):
        raise UsageError(f"the recipe {whole.name} does not calibrate", help="leave --recipe out, or name another one")
    folder = Path(held.enter_context(TemporaryDirectory(prefix="graphopt-calibrate-"))) / "prepared"
    result = compile_model(
        path, folder, recipe=replace(whole, passes=first), targets=targets, check="none", progress=progress()
    )
    return load(result.output / "model.onnx")


def _source(model: Model, data: str, preprocess: Path | None, most: int | None) -> ReadableSamples:
    from graphopt.data.attempts import ReadableSamples
    from graphopt.data.sources import open_source
    from graphopt.graph.validate import interface_of_model

    return ReadableSamples(open_source(data, interface_of_model(model), preprocess), most)


def _merged(files: Sequence[Path]) -> Statistics:
    from graphopt.calibration.statistics import Statistics
    from graphopt.errors import DataError

    whole = Statistics.load(files[0])
    for path in files[1:]:
        try:
            whole.merge(Statistics.load(path))
        except DataError as error:
            raise DataError(error.message, where=error.where or f"{files[0]} and {path}", help=error.help) from None
    return whole


def _only(statistics: Statistics, names: Sequence[str]) -> Statistics:
    """Some of the tensors; all if none is named."""
    from graphopt.calibration.statistics import Statistics
    from graphopt.errors import did_you_mean

    for name in names:
        if name not in statistics:
            raise UsageError(f"there are no statistics of a tensor {name!r}", help=did_you_mean(name, statistics))
    chosen = {name: statistics[name] for name in statistics if name in names or not names}
    return Statistics(statistics.model, chosen, statistics.samples)


def _plot(statistics: Statistics, path: Path) -> None:
    from graphopt.graph.files import whole_file
    from graphopt.report.histograms import histogram_page

    page = histogram_page(statistics, "What the tensors hold")
    with whole_file(path) as stream:
        stream.write(page.encode("utf-8", "backslashreplace"))


def _tell(statistics: Statistics, left_out: Sequence[Unreadable], *, detailed: bool, json: bool) -> None:
    from graphopt.cli.console import console, emit
    from graphopt.report.calibration import show_statistics, show_tensor, statistics_json, warnings
    from graphopt.report.text import printable

    for line in warnings(statistics, left_out):
        print(printable(line if line.startswith(" ") else f"warning: {line}"), file=sys.stderr)
    if json:
        emit(statistics_json(statistics, left_out))
    elif detailed:
        for found in statistics.values():
            show_tensor(found, console())
    else:
        show_statistics(statistics, console())
