"""What is moved in a model and its inputs, and by how much."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper

from graphopt.data.sample import Sample
from graphopt.parity import disturb
from graphopt.parity.disturb import disturbed_model, disturbed_sample
from tests.parity.models import model, proto, random


def weights(raw: bytes | Path | None) -> dict[str, np.ndarray[Any, Any]]:
    assert raw is not None
    loaded = onnx.load(raw) if isinstance(raw, Path) else onnx.ModelProto.FromString(raw)
    return {t.name: numpy_helper.to_array(t) for t in loaded.graph.initializer}


@pytest.mark.parametrize(
    ("dtype", "step"),
    # 8 roundoffs of the types that are computed with, 2 of those that are stored, and half a unit for rounding to them
    [(np.float32, 2.0**-21), (np.float64, 2.0**-50), (np.float16, 2.0**-10), (ml_dtypes.bfloat16, 2.0**-7)],
)
def test_every_value_moves_by_some_roundoffs_up_or_down(dtype: Any, step: float) -> None:
    array = np.random.default_rng(0).uniform(0.5, 2, 1000).astype(dtype)
    moved = np.asarray(disturbed_sample(Sample("s", {"x": array}), 0).arrays["x"])
    change = moved.astype(np.float64) / array.astype(np.float64) - 1
    assert moved.dtype == array.dtype
    assert np.all(np.abs(change) <= 1.5 * step)
    assert np.mean(np.abs(change)) == pytest.approx(step, rel=0.2)
    assert abs(np.mean(np.sign(change))) < 0.2


def test_it_is_the_same_for_the_same_seed() -> None:
    raw = model("g (float[4] x) => (float[4] y) { y = Relu (x) }", w=random(20))
    assert disturbed_model(raw, 1, Path()) == disturbed_model(raw, 1, Path())
    assert disturbed_model(raw, 1, Path()) != disturbed_model(raw, 2, Path())


def test_short_tensors_and_integers_stay() -> None:
    before = {"long": random(16), "short": random(15), "whole": np.arange(99)}
    after = weights(disturbed_model(model("g (float[4] x) => (float[4] y) { y = Relu (x) }", **before), 0, Path()))
    assert [name for name in before if not np.array_equal(before[name], after[name])] == ["long"]
    sample = disturbed_sample(Sample("s", {"short": random(15), "ids": np.arange(99), "none": None, "seq": []}), 0)
    assert np.array_equal(np.asarray(sample.arrays["short"]), random(15))
    assert np.array_equal(np.asarray(sample.arrays["ids"]), np.arange(99))


def test_a_model_without_float_weights_is_left_alone() -> None:
    assert disturbed_model(model("g (float[4] x) => (float[4] y) { y = Relu (x) }"), 0, Path()) is None


def test_what_is_extreme_stays_finite_and_what_is_not_finite_stays() -> None:
    largest = float(np.finfo(np.float32).max)
    values = np.array([largest, -largest, np.inf, -np.inf, np.nan, 0.0, *range(1, 20)], np.float32)
    moved = np.asarray(disturbed_sample(Sample("s", {"x": values}), 0).arrays["x"])
    assert np.all(np.isfinite(moved[:2]))
    assert np.array_equal(moved[2:6], values[2:6], equal_nan=True)


def test_constants_of_nodes_and_bodies_move_as_well() -> None:
    built = proto("""g (bool c, float[16] x) => (float[16] y) {
        y = If (c) <then_branch = a () => (float[16] p) { p = Identity (x) },
                    else_branch = b () => (float[16] q) { q = Neg (x) }>
    }""")
    constant = helper.make_node("Constant", [], ["k"], value=numpy_helper.from_array(random(16)))
    built.graph.node.insert(0, constant)
    built.graph.node[1].attribute[0].g.initializer.append(numpy_helper.from_array(random(16), "w"))
    disturbed = disturbed_model(built.SerializeToString(), 0, Path())
    assert isinstance(disturbed, bytes)
    after = onnx.ModelProto.FromString(disturbed).graph
    inner = after.node[1].attribute[0].g.initializer[0]
    assert not np.array_equal(numpy_helper.to_array(after.node[0].attribute[0].t), random(16))
    assert not np.array_equal(numpy_helper.to_array(inner), random(16))


def test_external_data_is_read_and_large_models_are_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "m.onnx"
    built = proto("g (float[4] x) => (float[4] y) { y = Relu (x) }", w=random(2000))
    onnx.save(built, path, save_as_external_data=True, location="w.bin", size_threshold=0)
    small = weights(disturbed_model(path, 0, tmp_path))
    assert not np.array_equal(small["w"], random(2000))
    monkeypatch.setattr(disturb, "LARGEST_MESSAGE", 1000)
    folder = tmp_path / "scratch"
    folder.mkdir()
    large = disturbed_model(path, 0, folder)
    assert isinstance(large, Path)
    assert np.array_equal(weights(large)["w"], small["w"])
    assert np.array_equal(weights(path)["w"], random(2000))
