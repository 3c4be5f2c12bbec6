"""Every trained model of the corpus through a whole compile, on real inputs."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

import graphopt
from graphopt.errors import BackendError
from graphopt.pipeline.result import CompileResult
from tests.conftest import Corpus
from tests.corpus.manifest import models

SAMPLES = 1


def _folder_of_inputs(corpus: Corpus, name: str, folder: Path) -> str:
    folder.mkdir()
    for number, arrays in enumerate(corpus.inputs(name, SAMPLES)):
        np.savez(folder / f"{number}.npz", **arrays)
    return str(folder)


@pytest.mark.parametrize("name", models())
def test_default_recipe_holds_parity_on_real_inputs(corpus: Corpus, name: str, tmp_path: Path) -> None:
    data = _folder_of_inputs(corpus, name, tmp_path / "data")
    result = graphopt.compile(corpus.path(name), tmp_path / "out", data=data, check="end")
    assert result.parity is not None, result.parity_skipped
    assert result.parity.ok
    assert result.parity.samples >= SAMPLES
    assert all(output.judged for output in result.parity.outputs)
    assert result.after.nodes <= result.before.nodes
    assert (tmp_path / "out" / "model.onnx").is_file()


@pytest.mark.parametrize("name", models())
def test_tensorrt_rtx_builds_or_names_the_nodes(corpus: Corpus, name: str, tmp_path: Path) -> None:
    data = _folder_of_inputs(corpus, name, tmp_path / "data")
    built = _build(corpus.path(name), tmp_path / "out", data)
    if isinstance(built, BackendError):
        assert re.search(r"\n  (node|one of the nodes) \S", str(built))
        assert not (tmp_path / "out").exists()
    else:
        (engine,) = built.artifacts
        assert engine.layers
        assert all(file.is_file() for file in engine.files)


def _build(model: Path, output: Path, data: str) -> CompileResult | BackendError:
    try:
        return graphopt.compile(model, output, data=data, targets=["tensorrt-rtx"], check="none")
    except BackendError as refusal:
        return refusal
