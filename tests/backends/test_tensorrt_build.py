"""Engines that are built: files, sidecars, kernels, profiles."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import onnx
import pytest

from graphopt.backends import plan_header
from graphopt.backends.sidecar import package_version
from graphopt.errors import UsageError
from tests.backends import models
from tests.backends.rtx import BACKEND, build, needs_rtx

pytestmark = needs_rtx


def version() -> str:
    return package_version("tensorrt_rtx")


def test_probe() -> None:
    available = BACKEND.probe()
    assert (available.available, available.version) == (True, version())


def test_sidecar(tmp_path: Path) -> None:
    model = models.cnn(tmp_path / "net.onnx", "N")
    artifact = build(model, compute_capabilities=("sm86", "sm80"))
    engine, sidecar = artifact.files
    assert sorted((tmp_path / "out").iterdir()) == [engine, sidecar]
    assert (engine.name, sidecar.name) == ("net.engine", "net.json")
    assert artifact.bytes == engine.stat().st_size + sidecar.stat().st_size
    details = json.loads(sidecar.read_text())
    assert details == artifact.details
    plan = engine.read_bytes()
    layers = details.pop("layers")
    assert details == {
        "schema_version": 1,
        "target": "tensorrt-rtx",
        "versions": {"graphopt": package_version("graphopt"), "tensorrt_rtx": version()},
        "model": {
            "file": "net.onnx",
            "bytes": model.stat().st_size,
            "sha256": hashlib.sha256(model.read_bytes()).hexdigest(),
            "external_data": [],
        },
        "compute_capabilities": ["sm80", "sm86"],
        "engine": {
            "file": "net.engine",
            "bytes": len(plan),
            "sha256": hashlib.sha256(plan).hexdigest(),
            "header": {"magic": "vtrt", "size": len(plan), "version": version(), "mask": 0b110},
        },
        "inputs": [
            {
                "name": "x",
                "dtype": "float32",
                "shape": [-1, 3, 16, 16],
                "profile": {"min": [1, 3, 16, 16], "opt": [1, 3, 16, 16], "max": [16, 3, 16, 16], "default": True},
            }
        ],
        "outputs": [{"name": "y", "dtype": "float32", "shape": [-1, 16, 16, 16]}],
        "warnings": [],
    }
    assert {"name", "kind", "inputs", "outputs", "onnx_nodes"} == set(layers[0])
    convolution = next(layer for layer in artifact.layers if layer.kind == "correlation")
    assert convolution.onnx_nodes == ("conv",)
    assert convolution.inputs == ("float32",)
    assert {node for layer in artifact.layers for node in layer.onnx_nodes} == {
        "conv",
        "BatchNormalization(n)",
        "relu",
    }


def test_default_capabilities_reach_to_later_ones(tmp_path: Path) -> None:
    details = build(models.cnn(tmp_path / "net.onnx")).details
    assert details["compute_capabilities"] == ["sm80", "sm86", "sm89", "sm120", "sm121", "later"]


@pytest.mark.parametrize("capability", ["sm75", "sm80", "sm86", "sm89", "sm120", "sm121"])
def test_header_has_the_bit_of_each_capability(tmp_path: Path, capability: str) -> None:
    artifact = build(models.cnn(tmp_path / "net.onnx"), compute_capabilities=(capability,))
    header = plan_header.read(artifact.files[0].read_bytes())
    assert header is not None
    assert header.mask == 1 << ["sm75", "sm80", "sm86", "sm89", "sm120", "sm121"].index(capability)
    assert artifact.details["compute_capabilities"] == [capability]


def test_same_model_and_options_give_the_same_bytes(tmp_path: Path) -> None:
    model = models.cnn(tmp_path / "net.onnx", "N")
    first = [file.read_bytes() for file in build(model).files]
    assert [file.read_bytes() for file in build(model).files] == first


def test_given_profile(tmp_path: Path) -> None:
    details = build(models.cnn(tmp_path / "net.onnx", "N"), "x=2x3x16x16:4x3x16x16:8x3x16x16").details
    assert details["inputs"][0]["profile"] == {
        "min": [2, 3, 16, 16],
        "opt": [4, 3, 16, 16],
        "max": [8, 3, 16, 16],
        "default": False,
    }


def test_quantized_convolution_is_really_int8(tmp_path: Path) -> None:
    artifact = build(models.quantized(tmp_path / "net.onnx", np.array(0, np.int8)))
    (convolution,) = [layer for layer in artifact.layers if "conv" in layer.onnx_nodes]
    assert (convolution.kind, convolution.inputs) == ("correlation", ("int8",))


def test_float8_for_gpus_that_have_it(tmp_path: Path) -> None:
    artifact = build(models.fp8(tmp_path / "net.onnx"), compute_capabilities=("sm89", "sm120"))
    (convolution,) = [layer for layer in artifact.layers if "conv" in layer.onnx_nodes]
    assert convolution.inputs == ("float8e4m3fn",)


def test_float64_becomes_float32_with_a_warning(tmp_path: Path) -> None:
    body = "net (double[2,3] x) => (double[2,3] y) { y = Relu (x) }"
    assert build(models.write(tmp_path / "net.onnx", body)).details["warnings"] == [
        "x is float64 in the model and float32 in the engine",
        "y is float64 in the model and float32 in the engine",
    ]


RESHAPED = """net (float[N,3,4] x, int64[2] shape, int64[1] count) => (float[A,B] y, int64[1] z) {
    y = Reshape (x, shape)
    z = Add (count, count)
}"""


def test_values_that_the_network_computes_sizes_with(tmp_path: Path) -> None:
    model = models.write(tmp_path / "net.onnx", RESHAPED)
    details = build(model, "x=1x3x4:2x3x4:4x3x4", "shape=2x6:4x6:8x6", "count=1:2:3").details
    assert details["inputs"][1] == {
        "name": "shape",
        "dtype": "int64",
        "shape": [2],
        "values": {"min": [2, 6], "opt": [4, 6], "max": [8, 6]},
    }
    assert details["warnings"] == [
        "the values given for count were not needed: TensorRT-RTX computes no sizes with them"
    ]


def test_dynamic_axis_that_may_be_empty(tmp_path: Path) -> None:
    body = "net (float[1,P,8] past, float[1,S,8] x) => (float[1,T,8] y) { y = Concat <axis = 1> (past, x) }"
    details = build(models.write(tmp_path / "net.onnx", body), "past=1x0x8:1x2x8:1x4x8").details
    assert details["inputs"][0]["profile"]["min"] == [1, 0, 8]


def test_external_data(tmp_path: Path) -> None:
    inline = models.cnn(tmp_path / "inline.onnx")
    model = tmp_path / "net.onnx"
    onnx.save(onnx.load(inline), model, save_as_external_data=True, location="net.data", size_threshold=0)
    external = build(model)
    assert [data["file"] for data in external.details["model"]["external_data"]] == ["net.data"]
    assert external.files[0].read_bytes() == build(inline).files[0].read_bytes()


def test_names_that_look_like_the_log(tmp_path: Path) -> None:
    model = onnx.load(models.cnn(tmp_path / "plain.onnx"))
    for node, name in zip(model.graph.node, ["a]b", "c[ONNX Layer: d]", "e, Name: f\nLayers:"], strict=True):
        node.name = name
    onnx.save(model, tmp_path / "net.onnx")
    layers = build(tmp_path / "net.onnx").layers
    nodes = {node for layer in layers for node in layer.onnx_nodes}
    assert nodes == {"a]b", "c[ONNX Layer: d]", "e, Name: f\nLayers:"}


class Steps:
    """A progress that keeps what it is told."""

    def __init__(self) -> None:
        self.title = ""
        self.notes: list[str] = []
        self.overall: list[tuple[int | None, int | None]] = []

    @contextmanager
    def task(self, title: str, total: int | None = None) -> Iterator[Steps]:
        self.title = title
        yield self

    def update(self, done: int | None = None, total: int | None = None, note: str | None = None) -> None:
        if note is None:
            self.overall.append((done, total))
        else:
            self.notes.append(note)


def test_progress(tmp_path: Path) -> None:
    steps = Steps()
    build(models.cnn(tmp_path / "net.onnx"), progress=steps)
    assert steps.title == "building for TensorRT-RTX"
    assert steps.notes[0] == "parsing"
    assert "Optimizing graph 30/30" in steps.notes
    assert steps.overall == sorted(steps.overall)
    assert {total for _, total in steps.overall} == {6}


def test_previous_engine_stays_until_the_new_one_is_whole(tmp_path: Path) -> None:
    model = models.cnn(tmp_path / "net.onnx", "N")
    before = [file.read_bytes() for file in build(model).files]
    with pytest.raises(UsageError):
        build(model, "x=1x4x16x16")
    assert [file.read_bytes() for file in sorted((tmp_path / "out").iterdir())] == before
