"""Latency of two models in ONNX Runtime. Nothing here asserts how fast anything is."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import onnx.parser
import pytest

from graphopt.data.sample import Sample
from graphopt.errors import DataError
from graphopt.parity.refusals import NotRunnable
from graphopt.pipeline.latency import FEWEST, MOST, Settings, measure

MODEL = (
    '<ir_version: 8, opset_import: ["" : 17]> g (float[n,2] x, float s) => (y) { [a] m = Mul(x, s) [b] y = Relu(m) }'
)
SAMPLE = Sample("one", {"x": np.ones((3, 2), np.float32), "s": np.array(2, np.float32)})


def written(folder: Path, name: str, text: str = MODEL) -> Path:
    (folder / name).write_bytes(onnx.parser.parse_model(text).SerializeToString())
    return folder / name


@pytest.mark.parametrize("settings", ["default", "off"])
def test_pairs_are_measured(tmp_path: Path, settings: Settings) -> None:
    found = measure(written(tmp_path, "a.onnx"), written(tmp_path, "b.onnx"), SAMPLE, settings, budget=0.05)
    assert (found.settings, found.shapes) == (settings, "x: 3x2, s: scalar")
    assert FEWEST <= found.runs <= MOST
    assert min(found.original, found.compiled, found.ratio) > 0


def test_a_few_pairs_are_measured_whatever_they_take(tmp_path: Path) -> None:
    assert measure(written(tmp_path, "a.onnx"), written(tmp_path, "b.onnx"), SAMPLE, budget=0).runs == FEWEST


def test_equal_node_names_do_not_matter(tmp_path: Path) -> None:
    twins = written(tmp_path, "a.onnx", MODEL.replace("[b]", "[a]"))
    assert measure(twins, twins, SAMPLE, budget=0).runs == FEWEST


def test_data_beside_the_model_is_found(tmp_path: Path) -> None:
    proto = onnx.parser.parse_model(MODEL.replace("float s", "float[2] t").replace("Mul(x, s)", "Mul(x, w)"))
    proto.graph.initializer.append(onnx.numpy_helper.from_array(np.ones((300, 2), np.float32), "w"))
    onnx.save(proto, tmp_path / "a.onnx", save_as_external_data=True, location="w.bin", size_threshold=0)
    sample = Sample("one", {"x": np.ones((300, 2), np.float32), "t": np.ones(2, np.float32)})
    assert measure(tmp_path / "a.onnx", tmp_path / "a.onnx", sample, budget=0).runs == FEWEST


def test_a_sample_that_does_not_fit(tmp_path: Path) -> None:
    path = written(tmp_path, "a.onnx")
    wrong = Sample("row 3 of x.npz", {**SAMPLE.arrays, "x": np.ones((3, 5), np.float32)})
    with pytest.raises(DataError) as caught:
        measure(path, path, wrong)
    assert str(caught.value).startswith("the original model fails on this input: ")
    assert "at: row 3 of x.npz" in str(caught.value)


def test_an_operator_that_the_runtime_lacks(tmp_path: Path) -> None:
    odd = '<ir_version: 8, opset_import: ["" : 17, "odd" : 1]> g (float[n,2] x, float s) => (y) { y = odd.Thing(x) }'
    with pytest.raises(NotRunnable) as caught:
        measure(written(tmp_path, "a.onnx"), written(tmp_path, "b.onnx", odd), SAMPLE)
    assert str(caught.value) == (
        "ONNX Runtime cannot run the compiled model: it has no operator odd::Thing\n"
        "  help: parity can be checked only for what ONNX Runtime can run"
    )
