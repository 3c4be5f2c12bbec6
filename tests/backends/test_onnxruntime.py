"""The target onnxruntime: a model that loads gets a sidecar, one that does not gets an error that names the node."""

from __future__ import annotations

import hashlib
import json
from importlib.metadata import version
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest

from graphopt.backends import registry
from graphopt.backends.base import BuildRequest
from graphopt.backends.profiles import parse_shape_options
from graphopt.backends.sidecar import package_version
from graphopt.errors import BackendError, ModelError, OutputError, UsageError
from graphopt.progress import SILENT
from tests.backends import models

BACKEND = registry.get("onnxruntime")


def refusal(model: Path, out: Path) -> str:
    with pytest.raises(BackendError) as caught:
        BACKEND.build(BuildRequest(model, out), SILENT)
    return str(caught.value)


def test_probe() -> None:
    available = BACKEND.probe()
    assert (available.available, available.version) == (True, onnxruntime.__version__)


def test_sidecar(tmp_path: Path) -> None:
    model = models.cnn(tmp_path / "net.onnx", "N")
    out = tmp_path / "out"
    out.mkdir()
    artifact = BACKEND.build(BuildRequest(model, out), SILENT)
    assert artifact.files == (out / "net.json",)
    assert artifact.bytes == (out / "net.json").stat().st_size
    assert json.loads((out / "net.json").read_text()) == artifact.details
    assert artifact.details == {
        "schema_version": 1,
        "target": "onnxruntime",
        "versions": {"graphopt": package_version("graphopt"), "onnxruntime": version("onnxruntime")},
        "model": {
            "file": "net.onnx",
            "bytes": model.stat().st_size,
            "sha256": hashlib.sha256(model.read_bytes()).hexdigest(),
            "external_data": [],
        },
        "inputs": [{"name": "x", "dtype": "float32", "shape": ["N", 3, 16, 16]}],
        "outputs": [{"name": "y", "dtype": "float32", "shape": ["N", 16, 16, 16]}],
        "provider": "CPUExecutionProvider",
    }


def test_operator_without_a_kernel(tmp_path: Path) -> None:
    body = "net (bfloat16[2,2] x) => (bfloat16[2,2] y) { [first] r = Relu (x) y = MatMul (r, r) }"
    model = models.write(tmp_path / "net.onnx", body)
    assert refusal(model, tmp_path) == (
        "ONNX Runtime cannot build net.onnx:\n  node first: there is no kernel for these element types"
    )
    assert not (tmp_path / "net.json").exists()


def test_unnamed_node_is_named_by_its_output(tmp_path: Path) -> None:
    body = "net (float[2] x) => (float[2] y) { [a] r = Relu (x) y = Frobnicate (r) }"
    assert refusal(models.write(tmp_path / "net.onnx", body), tmp_path) == (
        "ONNX Runtime cannot build net.onnx:\n  node Frobnicate(y): No Op registered for Frobnicate"
    )


def test_shapes_that_do_not_fit(tmp_path: Path) -> None:
    body = "net (float[2,3] x, float[2,4] z) => (float[2,3] y) { [sum] y = Add (x, z) }"
    assert refusal(models.write(tmp_path / "net.onnx", body), tmp_path) == (
        "ONNX Runtime cannot build net.onnx:\n  node sum: Incompatible dimensions"
    )


def test_shape_of_an_unknown_input(tmp_path: Path) -> None:
    request = BuildRequest(models.cnn(tmp_path / "net.onnx"), tmp_path, parse_shape_options(["z=1"]))
    with pytest.raises(UsageError) as caught:
        BACKEND.build(request, SILENT)
    assert str(caught.value) == ("the model has no input 'z'; its inputs are x: float32[1,3,16,16]\n  at: --shape z=…")


@pytest.mark.parametrize("content", [b"\x08\x08\x3a\xff", b"this is text"])
def test_file_that_is_no_model(tmp_path: Path, content: bytes) -> None:
    model = tmp_path / "net.onnx"
    model.write_bytes(content)
    with pytest.raises(ModelError) as caught:
        BACKEND.build(BuildRequest(model, tmp_path), SILENT)
    assert str(caught.value) == (
        f"{model} is not an ONNX model, or is cut short\n"
        "  help: a model is a binary protobuf file, whole; export or download it again"
    )


def test_external_data_is_part_of_the_identity(tmp_path: Path) -> None:
    model = tmp_path / "net.onnx"
    onnx.save(
        onnx.load(models.cnn(tmp_path / "inline.onnx")),
        model,
        save_as_external_data=True,
        location="net.data",
        size_threshold=0,
    )
    (data,) = BACKEND.build(BuildRequest(model, tmp_path), SILENT).details["model"]["external_data"]
    content = (tmp_path / "net.data").read_bytes()
    assert data == {"file": "net.data", "bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}


def test_external_data_outside_of_the_folder(tmp_path: Path) -> None:
    folder = tmp_path / "model"
    folder.mkdir()
    (tmp_path / "secret").write_bytes(np.zeros(2, np.float32).tobytes())
    path = models.write(
        folder / "net.onnx", "net (float[2] x) => (float[2] y) { y = Add (x, w) }", {"w": np.zeros(2, np.float32)}
    )
    model = onnx.load(path)
    weight = model.graph.initializer[0]
    weight.ClearField("raw_data")
    weight.data_location = onnx.TensorProto.EXTERNAL
    weight.external_data.add(key="location", value="../secret")
    onnx.save(model, path)
    with pytest.raises(ModelError) as caught:
        BACKEND.build(BuildRequest(path, tmp_path), SILENT)
    assert str(caught.value).splitlines()[0] == "weight 'w' points outside the model's folder: '../secret'"


def test_folder_that_is_not_there(tmp_path: Path) -> None:
    model = models.cnn(tmp_path / "net.onnx")
    with pytest.raises(OutputError) as caught:
        BACKEND.build(BuildRequest(model, tmp_path / "none"), SILENT)
    assert str(caught.value) == f"cannot write {tmp_path}/none/net.json: No such file or directory"
