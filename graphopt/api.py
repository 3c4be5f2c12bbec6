"""Compiling from Python, with the report beside the model as the command line writes it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from graphopt.backends.base import ProfileShape
from graphopt.pipeline.compile import Options, compile_model
from graphopt.pipeline.passes import Pass
from graphopt.pipeline.recipe import Recipe, make_pass
from graphopt.pipeline.result import CompileResult
from graphopt.report.document import to_json


def compile(
    model: str | Path,
    output: str | Path,
    *,
    recipe: str | Path | Recipe | Sequence[Pass] = "default",
    targets: Sequence[str] = ("onnxruntime",),
    data: str | None = None,
    shapes: Mapping[str, ProfileShape] | None = None,
    opset: int | None = None,
    **options: Any,
) -> CompileResult:
    """Compile a model into a folder: `model.onnx`, `engines/`, `report.json`, `journal.jsonl`, whole or not at all.

    Args:
        model: an ONNX file.
        output: the folder; what an earlier compile left in it is replaced.
        recipe: the name of a recipe, a TOML file, a Recipe, or a list of passes (which then run once).
        targets: backends to build for.
        data: samples to compare on (and to calibrate with): .npz, a folder of .npz or .npy, Polygraphy's JSON, or a
            Python file with `load_data()`. None: inputs are generated from shapes and dtypes.
        shapes: shapes of dynamic inputs, by name.
        opset: the version of the standard's operators to bring the model to before everything else; None keeps it.
        options: the remaining fields of `graphopt.pipeline.compile.Options`.

    Raises:
        GraphoptError: of the kind that says what went wrong; the output folder is then as it was.
    """
    settings = Options(
        recipe=_at_opset(_recipe(recipe), opset),
        targets=targets,
        data=data,
        shapes=shapes or {},
        documents={"report.json": report_bytes},
        **options,
    )
    return compile_model(Path(model), Path(output), settings)


def report_bytes(result: CompileResult) -> bytes:
    """The report as the bytes of a JSON file."""
    return (json.dumps(to_json(result), indent=2, allow_nan=False) + "\n").encode()


def _recipe(recipe: str | Path | Recipe | Sequence[Pass]) -> Recipe:
    if isinstance(recipe, Recipe):
        return recipe
    if isinstance(recipe, (str, Path)):
        return Recipe.load(recipe)
    return Recipe("custom", "passes given in Python", tuple(recipe))


def _at_opset(recipe: Recipe, opset: int | None) -> Recipe:
    if opset is None:
        return recipe
    if recipe.before is not None:
        return replace(recipe, before=_at_opset(recipe.before, opset))
    first = [{"use": "inline-functions"}, {"use": "convert-opset", "opset": opset}]
    return replace(recipe, passes=(*(make_pass(entry, "--opset") for entry in first), *recipe.passes))
