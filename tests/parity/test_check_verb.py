"""`graphopt check`, from the command line."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import onnx
import pytest

from graphopt.cli.app import run_app
from graphopt.errors import EXIT_BACKEND, EXIT_GOOD, EXIT_INPUT, EXIT_PARITY
from graphopt.graph.provenance import pack
from tests.parity.models import RELU, conv_bn, conv_bn_folded, model, random


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a.onnx").write_bytes(conv_bn())
    (tmp_path / "b.onnx").write_bytes(conv_bn_folded())
    (tmp_path / "wrong.onnx").write_bytes(conv_bn_folded(epsilon=1e-3))
    return tmp_path


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    code = run_app(["check", *arguments])
    printed = capsys.readouterr()
    return code, printed.out, printed.err


def test_models_that_are_equal(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, err = run(capsys, "a.onnx", "b.onnx")
    assert (code, err) == (EXIT_GOOD, "")
    assert out.startswith("Parity holds: contract real, 4 samples (x 1x8x64x64; x 2x8x128x128)\n")


def test_models_that_differ(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, err = run(capsys, "a.onnx", "wrong.onnx")
    assert code == EXIT_PARITY
    assert out.startswith("Parity is not met: contract real, 4 samples")
    assert err.startswith("error: wrong.onnx is not equal to a.onnx: output 'y': the largest difference is ")


def test_a_contract_and_limits(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(capsys, "a.onnx", "b.onnx", "--contract", "exact")[0] == EXIT_PARITY
    assert run(capsys, "a.onnx", "wrong.onnx", "--contract", "approx(0.01)")[0] == EXIT_GOOD
    code, out, _ = run(capsys, "a.onnx", "wrong.onnx", "--max-rel", "0.01", "--min-sqnr", "40", "--min-cosine", "0.9")
    assert code == EXIT_GOOD
    assert "contract max-rel 0.01, min-sqnr 40, min-cosine 0.9" in out
    code, _, err = run(capsys, "a.onnx", "b.onnx", "--contract", "nearly")
    assert (code, err) == (
        EXIT_INPUT,
        "error: nearly is no contract\n  help: write exact, real, approx(ERROR) or quant\n",
    )


def test_data_shapes_and_the_document(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    np.savez(folder / "s.npz", x=random(3, 1, 8, 6, 6))
    code, out, err = run(capsys, "a.onnx", "b.onnx", "--data", "s.npz", "--samples", "2", "--json")
    assert (code, err) == (EXIT_GOOD, "")
    document = json.loads(out)
    assert document["schema"] == "graphopt.check/1"
    assert (document["reference"], document["candidate"]) == ("a.onnx", "b.onnx")
    assert document["shapes"] == [{"x": [1, 8, 6, 6]}, {"x": [2, 8, 12, 12]}]
    code, out, _ = run(capsys, "a.onnx", "b.onnx", "--shape", "x=1x8x5x5:1x8x7x7:2x8x9x9", "--json")
    assert json.loads(out)["shapes"] == [{"x": [1, 8, 7, 7]}, {"x": [2, 8, 5, 5]}]


def test_the_document_of_models_that_differ(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, err = run(capsys, "a.onnx", "wrong.onnx", "--json")
    assert code == EXIT_PARITY
    assert json.loads(out)["ok"] is False
    assert err.startswith("error: wrong.onnx is not equal to a.onnx: ")


def test_bad_input(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "text.onnx").write_text("hello")
    assert run(capsys, "a.onnx", "none.onnx")[0::2] == (EXIT_INPUT, "error: there is no file none.onnx\n")
    assert run(capsys, "text.onnx", "a.onnx")[0] == EXIT_INPUT
    assert run(capsys, "a.onnx", "text.onnx")[0] == EXIT_INPUT
    assert run(capsys, "a.onnx", "b.onnx", "--data", "none.npz")[0] == EXIT_INPUT
    code, _, err = run(capsys, "a.onnx", "b.onnx", "--shape", "z=1")
    assert code == EXIT_INPUT
    assert err.startswith("error: the model has no input 'z'")


def test_a_model_that_cannot_be_run(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    body = "g (float[N,4] x) => (float[N,4] y) { y = com.acme.Twist (x) }"
    (folder / "custom.onnx").write_bytes(model(body, imports=', "com.acme" : 1'))
    (folder / "relu.onnx").write_bytes(model(RELU))
    code, out, err = run(capsys, "custom.onnx", "relu.onnx")
    assert (code, out) == (EXIT_BACKEND, "")
    assert err == (
        "error: ONNX Runtime cannot run custom.onnx: it has no operator com.acme::Twist\n"
        "  help: parity can be checked only for what ONNX Runtime can run\n"
    )
    code, _, err = run(capsys, "relu.onnx", "custom.onnx")
    assert code == EXIT_BACKEND
    assert err.startswith("error: ONNX Runtime cannot run custom.onnx")


CHAIN = """g (float[2,64] x) => (float[2,64] y) {
    a = Tanh (x)
    b = Mul (a, w)
    c = Add (b, a)
    y = Sigmoid (c)
}"""


def test_values_inside(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The second weight is off in one element: what reads it departs, what does not is equal."""
    weight = random(64)
    (folder / "first.onnx").write_bytes(model(CHAIN, w=weight))
    wrong = weight.copy()
    wrong[3] *= 1.01
    (folder / "second.onnx").write_bytes(model(CHAIN, w=wrong))
    code, out, _ = run(capsys, "first.onnx", "second.onnx", "--layers")
    assert code == EXIT_PARITY
    lines = out.splitlines()
    start = next(i for i, line in enumerate(lines) if line.startswith("Values inside, on generated[0]"))
    assert lines[start].endswith(": 4 in both models, 3 depart")
    assert [line.split()[0] for line in lines[start + 1 :] if line.split()[:1] and line.split()[0] in "abcy"] == [
        *"abcy"
    ]
    assert "The first value that departs is 'b', of the node Mul(b). wrong, and not rounding" in " ".join(out.split())
    code, out, _ = run(capsys, "first.onnx", "second.onnx", "--layers", "--json")
    layers = json.loads(out)["layers"]
    assert [v["name"] for v in layers["values"] if not v["figures"]["ok"]] == ["b", "c", "y"]
    assert (layers["first"], layers["explanation"]["kind"], layers["explanation"]["nodes"]) == ("b", "wrong", ["Mul"])


def test_rounding_inside(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Equal over the reals: by contract exact the folded Conv departs, and that is rounding."""
    code, out, _ = run(capsys, "a.onnx", "b.onnx", "--layers", "--contract", "exact", "--json")
    assert code == EXIT_PARITY
    layers = json.loads(out)["layers"]
    assert [value["name"] for value in layers["values"]] == ["y"]
    assert layers["explanation"]["kind"] == "noise"


@pytest.mark.parametrize("packed", [False, True], ids=["on nodes", "in the table"])
def test_values_are_matched_through_provenance(folder: Path, capsys: pytest.CaptureFixture[str], packed: bool) -> None:
    proto = onnx.ModelProto.FromString(model(CHAIN, w=random(64)))
    for node in proto.graph.node:
        node.name = f"n_{node.output[0]}"
    onnx.save(proto, folder / "first.onnx")
    second = onnx.ModelProto.FromString(proto.SerializeToString())
    second.graph.node[1].output[0] = second.graph.node[2].input[0] = "elsewhere"
    second.graph.node[1].metadata_props.add(key="graphopt.from", value="n_b")
    if packed:
        second.graph.node[1].name = "renamed"
        pack(second)
    onnx.save(second, folder / "second.onnx")
    code, out, _ = run(capsys, "first.onnx", "second.onnx", "--layers", "--json")
    assert code == EXIT_GOOD
    values = json.loads(out)["layers"]["values"]
    assert [(v["name"], v["candidate"]) for v in values] == [("a", "a"), ("b", "elsewhere"), ("c", "c"), ("y", "y")]
    assert all(value["figures"]["bitwise"] for value in values)
