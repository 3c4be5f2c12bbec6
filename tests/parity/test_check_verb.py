"""`graphopt check`, from the command line."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from graphopt.cli.app import run_app
from graphopt.errors import EXIT_BACKEND, EXIT_GOOD, EXIT_INPUT, EXIT_PARITY
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
