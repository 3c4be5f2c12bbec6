"""The recipes fp16 and bf16 on the command line."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import onnx
import onnx.parser
import onnxruntime
import pytest
from onnx import numpy_helper

from tests.pipeline.command import here, save

NETWORK = """<ir_version: 8, opset_import: ["" : 17]>
network (float[1,3,8,8] x) => (float[1,8] y) {
    a = Conv <pads = [1, 1, 1, 1]> (x, w)
    r = Relu (a)
    b = Conv (r, v)
    e = Exp (b)
    c = Conv (e, v)
    p = GlobalAveragePool (c)
    y = Flatten (p)
}"""

UNSEEN = "float16 was placed without having seen the model's numbers: give samples with --data"


@pytest.fixture
def network(tmp_path: Path) -> Path:
    proto = onnx.parser.parse_model(NETWORK)
    random = np.random.default_rng(1)
    for name, shape in (("w", (8, 3, 3, 3)), ("v", (8, 8, 1, 1))):
        array = (random.standard_normal(shape) / 4).astype(np.float32)
        proto.graph.initializer.append(numpy_helper.from_array(array, name))
    (tmp_path / "data").mkdir()
    for number in range(4):
        np.savez(tmp_path / "data" / f"{number}.npz", x=random.standard_normal((1, 3, 8, 8)).astype(np.float32))
    return save(proto, tmp_path / "network.onnx")


def _placed(report: dict[str, object], name: str = "lower-precision") -> dict[str, object]:
    passes = report["passes"]
    assert isinstance(passes, list)
    return next(p["details"] for p in passes if p["name"] == name)


def test_float16_with_data(network: Path, tmp_path: Path) -> None:
    line = ("compile", str(network), "-o", "out", "--recipe", "fp16", "--data", "data", "--json")
    done = here(*line, folder=tmp_path)
    assert (done.code, done.err) == (0, "")
    report = json.loads(done.out)
    details = _placed(report)
    assert (details["nodes"], details["float32"], report["warnings"]) == (5, [], [])
    assert _placed(report, "compare-outputs")["sqnr"] > 55  # type: ignore[operator]  # six roundings in a row of 71 dB each, amplified by Exp
    assert report["parity"]["ok"]
    proto = onnx.load(tmp_path / "out" / "model.onnx")
    onnx.checker.check_model(proto, full_check=True)
    assert {t.data_type for t in proto.graph.initializer} == {onnx.TensorProto.FLOAT16}
    session = onnxruntime.InferenceSession(proto.SerializeToString(), providers=["CPUExecutionProvider"])
    assert [i.type for i in (*session.get_inputs(), *session.get_outputs())] == ["tensor(float)"] * 2
    first = (tmp_path / "out" / "model.onnx").read_bytes()
    assert here(*line, folder=tmp_path).code == 0
    assert (tmp_path / "out" / "model.onnx").read_bytes() == first


def test_float16_without_data_says_so(network: Path, tmp_path: Path) -> None:
    done = here("compile", str(network), "-o", "out", "--recipe", "fp16", "--json", folder=tmp_path)
    assert (done.code, done.err) == (0, "")
    report = json.loads(done.out)
    details = _placed(report)
    assert report["warnings"] == [UNSEEN]
    assert (details["nodes"], details["float32"]) == (
        4,
        [{"node": "Exp(e)", "reason": "how large its numbers get is not known"}],
    )


def test_bfloat16_for_onnx_runtime(network: Path, tmp_path: Path) -> None:
    done = here("compile", str(network), "-o", "out", "--recipe", "bf16", folder=tmp_path)
    assert (done.code, done.out) == (2, "")
    assert done.err == (
        "error: ONNX Runtime has no kernels for bfloat16\n"
        "  at: recipe bf16, pass 4, lower-precision\n"
        "  help: compile for another target, as --target tensorrt-rtx\n"
    )


@pytest.mark.parametrize(("recipe", "dtype"), [("fp16", "float16"), ("bf16", "bfloat16")])
def test_an_engine(network: Path, tmp_path: Path, recipe: str, dtype: str) -> None:
    pytest.importorskip("tensorrt_rtx", reason="engines are built by the wheel tensorrt-rtx")
    line = ("compile", str(network), "-o", "out", "--recipe", recipe, "--data", "data", "--target", "tensorrt-rtx")
    done = here(*line, "--compute-capability", "sm80", "--json", folder=tmp_path)
    assert (done.code, done.err) == (0, "")
    report = json.loads(done.out)
    assert report["parity"]["ok"]
    sidecar = json.loads(next((tmp_path / "out" / "engines" / "tensorrt-rtx").glob("*.json")).read_text())
    convolutions = [layer for layer in sidecar["layers"] if layer["kind"] == "correlation"]
    assert convolutions
    assert all(layer["inputs"][0] == dtype for layer in convolutions)


def test_selectors_and_goals(network: Path, tmp_path: Path) -> None:
    recipe = 'after = "default"\n[[pass]]\nuse = "lower-precision"\nkeep = ["{}"]\n'
    (tmp_path / "mine.toml").write_text(recipe.format("depth:0..0"))
    done = here("compile", str(network), "-o", "out", "--recipe", "mine.toml", "--json", folder=tmp_path)
    assert _placed(json.loads(done.out))["float32"] == [
        {"node": "Conv(a)", "reason": "the recipe keeps it"},
        {"node": "Exp(e)", "reason": "how large its numbers get is not known"},
    ]
    (tmp_path / "mine.toml").write_text(recipe.format("name:head/*"))
    done = here("compile", str(network), "-o", "out", "--recipe", "mine.toml", folder=tmp_path)
    assert (done.code, done.err) == (
        2,
        "error: the selector 'name:head/*' matches no node of the model\n"
        "  help: write name:GLOB, operator:OPERATOR, depth:FIRST..LAST or pattern:RULE\n",
    )
    goal = ("--data", "data", "--min-sqnr", "120")
    done = here("compile", str(network), "-o", "out", "--recipe", "fp16", *goal, folder=tmp_path)
    assert done.code == 1
    assert done.err.startswith("error: the outputs do not reach what is asked: sqnr ")
