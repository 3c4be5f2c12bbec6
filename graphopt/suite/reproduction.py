"""What is left of a case that failed: the model, the recipe, the inputs, and the command that shows it."""

from __future__ import annotations

import re
import shlex
import shutil
from pathlib import Path

import numpy as np

from graphopt.errors import GraphoptError
from graphopt.suite.cases import Case, provide
from graphopt.suite.run import case_samples


def keep_reproduction(case: Case, folder: Path) -> Path:
    """Write a folder for a case: model.onnx (with its data), inputs/*.npz, the recipe if it is a file, command.txt."""
    place = folder / re.sub(r"[^\w.-]+", "_", case.name)
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir(parents=True)
    command = ["graphopt", "compile", "model.onnx", "-o", "out", "--target", case.target]
    try:
        model = provide(case.model, place)
        target = place / "model.onnx"
        if model != target:
            shutil.copy2(model, target)
            for beside in (f"{model.name}.data", f"{model.name}_data"):
                if model.with_name(beside).is_file():
                    shutil.copy2(model.with_name(beside), place / beside)
        inputs = place / "inputs"
        inputs.mkdir()
        for number, sample in enumerate(case_samples(case, model)):
            arrays = {name: value for name, value in sample.arrays.items() if isinstance(value, np.ndarray)}
            np.savez(inputs / f"{number:04}.npz", **arrays)  # pyright: ignore[reportArgumentType]
        command += ["--data", "inputs"]
    except GraphoptError as error:
        (place / "problem.txt").write_text(f"{error}\n", encoding="utf-8")
    recipe = case.recipe
    if recipe.endswith(".toml"):
        shutil.copy2(recipe, place / "recipe.toml")
        recipe = "recipe.toml"
    command += ["--recipe", recipe]
    for option in case.shape_options:
        command += ["--shape", option]
    for rule in case.rules:
        command += ["--rules", rule, "--allow-unproved"]
    (place / "command.txt").write_text(f"{shlex.join(command)}\n", encoding="utf-8")
    return place
