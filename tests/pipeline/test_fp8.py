"""The recipe fp8."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import onnx
import onnx.parser
import pytest
from onnx import numpy_helper

from graphopt.data.sample import Sample
from graphopt.graph.dtypes import DType
from graphopt.graph.graph import Node
from graphopt.graph.load import load
from graphopt.graph.model import Model
from graphopt.pipeline.calibration import Calibration
from graphopt.pipeline.manager import Manager
from graphopt.pipeline.passes import Context
from graphopt.pipeline.recipe import Recipe
from graphopt.rewrite.library import common_target, load_rules
from tests.pipeline.command import here, save

NETWORK = """<ir_version: 8, opset_import: ["" : 17]>
network (float[1,3,8,8] x) => (float[1,32,8,8] y) {
    a = Conv (x, w0)
    b = Relu (a)
    c = Conv (b, w1)
    d = Relu (c)
    y = Conv (d, w2)
}"""


@pytest.fixture
def network(tmp_path: Path) -> Path:
    proto = onnx.parser.parse_model(NETWORK)
    random = np.random.default_rng(1)
    for number, channels in enumerate((3, 32, 32)):
        array = (random.standard_normal((32, channels, 1, 1)) / 4).astype(np.float32)
        proto.graph.initializer.append(numpy_helper.from_array(array, f"w{number}"))
    for node in proto.graph.node:
        node.name = node.output[0]
    return save(proto, tmp_path / "network.onnx")


def _samples() -> list[Sample]:
    random = np.random.default_rng(2)
    return [Sample(f"{i}", {"x": random.standard_normal((1, 3, 8, 8)).astype(np.float32)}) for i in range(4)]


def _compiled(path: Path, calibration: Calibration) -> Model:
    model = load(path)
    target = ("tensorrt-rtx",)
    context = Context(load_rules(), target=common_target(target), targets=target, calibration=calibration)
    Manager(model, context, None, "none").run(Recipe.load("fp8"))
    return model


def _reads(model: Model, name: str) -> list[Node]:
    """What makes the operands of the node of this name."""
    node = next(n for n in model.all_nodes() if n.name == name)
    return [v.producer for v in node.inputs if v is not None and v.producer is not None]


def test_largest_magnitudes_over_448(network: Path) -> None:
    calibration = Calibration(_samples())
    model = _compiled(network, calibration)
    assert [n.op_type for n in _reads(model, "a")] == []  # three channels are too few
    assert calibration.statistics is not None
    for name, source in (("c", "b"), ("y", "d")):
        activation, weight = _reads(model, name)
        (quantize,) = [v.producer for v in activation.inputs[:1] if v is not None]
        assert quantize is not None
        codes, step, zero = quantize.outputs[0], quantize.inputs[1], quantize.inputs[2]
        assert codes is not None
        assert step is not None
        assert step.constant is not None
        assert zero is not None
        assert codes.dtype is zero.dtype is DType.float8e4m3fn
        largest = calibration.statistics[source].absmax
        assert float(step.constant.numpy()) == pytest.approx(largest / 448, rel=2**-22)  # two roundings to float32
        stored, steps = weight.inputs[0], weight.inputs[1]
        assert stored is not None
        assert stored.constant is not None
        assert steps is not None
        assert (stored.constant.dtype, steps.shape) == (DType.float8e4m3fn, (32,))
        assert np.abs(stored.constant.numpy().astype(np.float32)).max(axis=(1, 2, 3)).tolist() == [448.0] * 32


def test_on_the_command_line(network: Path, tmp_path: Path) -> None:
    pytest.importorskip("tensorrt_rtx", reason="engines are built by the wheel tensorrt-rtx")
    np.savez(tmp_path / "data.npz", **_samples()[0].arrays)
    line = ("compile", str(network), "-o", "out", "--recipe", "fp8", "--data", "data.npz", "--json")
    done = here(*line, folder=tmp_path)
    assert done.err == (
        "error: ONNX Runtime has no kernels for float8e4m3fn\n"
        "  at: recipe fp8, pass 4, apply-rules\n"
        "  help: compile for another target, as --target tensorrt-rtx\n"
    )
    done = here(*line, "--target", "tensorrt-rtx", "--compute-capability", "sm89", folder=tmp_path)
    assert (done.code, done.err) == (0, "")
    report = json.loads(done.out)
    (codes,) = report["codes"]
    assert (codes["computed"], codes["missed"]) == (["c", "y"], [])
    (compared,) = [p["details"] for p in report["passes"] if p["name"] == "compare-outputs"]
    # two layers of two operands each, rounded by up to 2^-4 of themselves: 4 * 2^-8 / 3 of the power, 22.8 dB; that the
    # numbers lie anywhere between two of the type leaves half of it and less
    assert 22.8 < compared["sqnr"] < 40
    done = here(*line, "--target", "tensorrt-rtx", "--min-sqnr", "60", folder=tmp_path)
    assert done.code == 1
    assert done.err.startswith("error: the outputs do not reach what is asked: sqnr ")
