"""`graphopt compile`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer


def compile(
    model: Annotated[Path, typer.Argument(help="The ONNX model.", show_default=False)],
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder for the results.", show_default=False)],
    recipe: Annotated[str, typer.Option(help="Name of a recipe, or a TOML file.")] = "default",
    target: Annotated[
        list[str] | None,
        typer.Option(
            help="What to build for: onnxruntime, tensorrt-rtx, tensorrt. May be repeated. [default: onnxruntime]"
        ),
    ] = None,
    data: Annotated[
        str | None,
        typer.Option(help="Samples: .npz, a folder of .npz/.npy, Polygraphy's JSON, or FILE.py[:FUNCTION]."),
    ] = None,
    shape: Annotated[
        list[str] | None, typer.Option(help="NAME=MIN:OPT:MAX or NAME=SHAPE, as x=1x3x32x32. May be repeated.")
    ] = None,
    rules: Annotated[
        list[Path] | None, typer.Option(help="A rule file of yours, or a folder. May be repeated.")
    ] = None,
    skip: Annotated[list[str] | None, typer.Option(help="A rule to leave out. May be repeated.")] = None,
    opset: Annotated[
        int | None, typer.Option(help="Bring the model to this version of the standard's operators first.")
    ] = None,
    allow_unproved: Annotated[
        bool, typer.Option("--allow-unproved", help="Use rules of yours that `graphopt rules verify` has not proved.")
    ] = False,
    allow_narrowing: Annotated[
        bool, typer.Option("--allow-narrowing", help="Compute float64 and uint64 inexactly where a target lacks them.")
    ] = False,
    check: Annotated[
        Literal["each", "end", "none"],
        typer.Option(help="Compare with the original after each pass, at the end, never."),
    ] = "each",
    on_parity_failure: Annotated[
        Literal["stop", "rollback", "warn"],
        typer.Option(help="If the model departs: stop, undo the one firing that breaks it, or go on with a warning."),
    ] = "stop",
    samples: Annotated[
        int | None, typer.Option(min=1, help="Most samples of the data to compare on, or samples to generate a shape.")
    ] = None,
    stats: Annotated[
        Path | None,
        typer.Option(help="Statistics of calibration: used if the file is there, else written.", show_default=False),
    ] = None,
    calibrate: Annotated[
        str, typer.Option(help="How ranges follow from statistics: max, percentile, entropy, mse, or auto.")
    ] = "auto",
    synthetic_calibration: Annotated[
        bool, typer.Option("--synthetic-calibration", help="Calibrate on inputs that are made up. For trials alone.")
    ] = False,
    effort: Annotated[
        Literal["fast", "default"] | None,
        typer.Option(help="What to do for the outputs of a quantized model: choose thresholds, or fit weights, too."),
    ] = None,
    min_sqnr: Annotated[
        float | None, typer.Option(help="dB that a quantized model's outputs must reach; layers stay in float for it.")
    ] = None,
    min_cosine: Annotated[float | None, typer.Option(help="The same for the cosine, up to 1.")] = None,
    min_agreement: Annotated[
        float | None, typer.Option(help="The same for the share of positions whose largest entry stays, up to 1.")
    ] = None,
    fold_budget: Annotated[str, typer.Option(help="Bytes that constant folding may add to the model.")] = "1MB",
    tensor_limit: Annotated[str, typer.Option(help="Largest intermediate tensor that a model may make.")] = "4GB",
    initializer_inputs: Annotated[
        Literal["auto", "keep", "freeze"],
        typer.Option(help="Initializers that are also inputs: defaults that callers override (keep), or constants."),
    ] = "auto",
    keep_metadata: Annotated[
        bool, typer.Option("--keep-metadata", help="Keep what exporters note at nodes for debugging, as stack traces.")
    ] = False,
    compute_capability: Annotated[
        list[str] | None, typer.Option(help="GPU generation that engines must run on, as sm89. May be repeated.")
    ] = None,
    build_memory: Annotated[int | None, typer.Option(min=1, help="MiB that an engine builder may use.")] = None,
    build_timeout: Annotated[float | None, typer.Option(help="Seconds that an engine builder may take.")] = None,
    trace: Annotated[
        Path | None, typer.Option(help="Write a JSON line for each firing to this file as it happens; - is stderr.")
    ] = None,
    latency: Annotated[bool, typer.Option("--latency", help="Time original and result in ONNX Runtime.")] = False,
    json: Annotated[bool, typer.Option("--json", help="Print the report as JSON.")] = False,
) -> None:
    """Compile a model: rewrite it, check every step against the original, build what each target runs."""
    from graphopt.api import compile as compile_model
    from graphopt.backends.base import BuildOptions
    from graphopt.backends.profiles import parse_shape_options
    from graphopt.cli.console import console, emit, progress
    from graphopt.cli.sizes import parse_size
    from graphopt.cli.trace import tracing
    from graphopt.report.document import to_json
    from graphopt.report.terminal import show

    asked = {"sqnr": min_sqnr, "cosine": min_cosine, "agreement": min_agreement}
    with tracing(trace) as seen:
        result = compile_model(
            model,
            output,
            recipe=recipe,
            targets=target or ["onnxruntime"],
            data=data,
            shapes=parse_shape_options(shape or []),
            rules=rules or [],
            skip=skip or [],
            opset=opset,
            allow_unproved=allow_unproved,
            allow_narrowing=allow_narrowing,
            check=check,
            on_parity_failure=on_parity_failure,
            samples=samples,
            fold_budget=parse_size(fold_budget, "--fold-budget"),
            tensor_limit=parse_size(tensor_limit, "--tensor-limit"),
            overridable=initializer_inputs,
            keep_metadata=keep_metadata,
            build=BuildOptions(tuple(compute_capability or ()), build_memory, build_timeout),
            latency=latency,
            calibrate=calibrate,
            stats=stats,
            synthetic_calibration=synthetic_calibration,
            effort=effort,
            least={name: least for name, least in asked.items() if least is not None},
            trace=seen,
            progress=progress(),
        )
    if json:
        emit(to_json(result))
    else:
        show(result, console())
