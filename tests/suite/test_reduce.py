"""`graphopt reduce`: a failing model becomes a small one that fails alike."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import onnx
import pytest

from graphopt.suite import failure
from graphopt.suite.failure import DIED
from tests.pipeline.command import contents, here, save

MODEL = """<ir_version: 8, opset_import: ["" : 17]>
main (float[n, 4] x, float[n, 4] other) => (float[n, 4] fine, float[n, 2] bad)
<float[4, 4] w = {1, 2, 3, 4, 5, 6, 7, 8, 9, 1, 2, 3, 4, 5, 6, 7}, float[4, 2] v = {1, -1, 1, 0, 2, 1, 0, 1}>
{
    a = MatMul (x, w)
    b = Sigmoid (a)
    fine = Tanh (b)
    c = Sub (b, other)
    d = Softplus (c)
    e = Sin (d)
    f = Cos (e)
    g = MatMul (f, v)
    bad = Exp (g)
}
"""

WRONG = """
opset >= 7
phase fold

rule sin_cos_is_sin:
    "It takes both operators to go wrong."
    equal real
    match:
        y = Cos(Sin(x))
    rewrite:
        y = Sin(x)
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("GRAPHOPT_CACHE", str(tmp_path / "cache"))
    save(MODEL, tmp_path / "model.onnx")
    (tmp_path / "wrong.rules").write_text(WRONG)
    return tmp_path


def test_what_fails_and_nothing_else(folder: Path) -> None:
    ended = here("reduce", "model.onnx", "-o", "case", "--rules", "wrong.rules", folder=folder)
    assert (ended.code, ended.err) == (0, "")
    first, second = ended.out.splitlines()
    assert first == "the outputs differ: 9 nodes -> 2 (Sin, Cos)"
    assert second.startswith("case: ")
    assert second.endswith(" trials; again: graphopt parity run case/suite.toml")
    model = onnx.load(folder / "case" / "model.onnx")
    assert [node.op_type for node in model.graph.node] == ["Sin", "Cos"]
    with np.load(folder / "case" / "inputs" / "0.npz") as inputs:
        assert [(name, inputs[name].shape[1]) for name in inputs] == [("d", 4)]
        assert (inputs["d"] > 0).all()  # what Softplus gives in a run of the whole
    again = here("parity", "run", "case/suite.toml", folder=folder)
    assert again.code == 1
    assert "reduced/model/default/onnxruntime: output 'f': the largest difference is " in again.out.replace("\n", " ")


def test_json(folder: Path) -> None:
    ended = here(
        "reduce", "model.onnx", "-o", "case", "--rules", "wrong.rules", "--samples", "1", "--json", folder=folder
    )
    found = json.loads(ended.out)
    assert found.pop("trials") > 2
    assert found == {
        "schema": "graphopt.reduce/1",
        "failure": "the outputs differ",
        "nodes": {"before": 9, "after": 2},
        "operators": ["Sin", "Cos"],
        "suite": "case/suite.toml",
    }


def test_a_process_that_dies(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Then each trial has a process of its own; here one that only says so."""

    def dies(trial: failure.Trial, *, apart: bool) -> str | None:
        assert apart
        model = onnx.ModelProto.FromString(trial.model)
        return DIED if any(node.op_type == "Softplus" for node in model.graph.node) else None

    monkeypatch.setattr("graphopt.suite.reduce.failure_of", dies)
    ended = here("reduce", "model.onnx", "-o", "case", folder=folder)
    assert ended.out.startswith("the process that compiles it dies: 9 nodes -> 1 (Softplus)\n")


def test_a_pass_with_a_bug(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def stumbles(*_: object, **__: object) -> None:
        raise KeyError("nothing")

    monkeypatch.setattr("graphopt.suite.failure.Replay", stumbles)
    trial = failure.trial_of(failure.Setting(), onnx.load(folder / "model.onnx"), {})
    assert failure.failure_of(trial, apart=False) == "a bug: KeyError"


def test_nothing_fails(folder: Path) -> None:
    before = contents(folder)
    ended = here("reduce", "model.onnx", "-o", "case", "--samples", "1", folder=folder)
    assert ended.code == 2
    assert ended.err == ("error: nothing fails\n  help: say the recipe, rules, data and shapes with which it does\n")
    assert {k: v for k, v in contents(folder).items() if not k.startswith("cache")} == before


def test_a_model_that_is_none(folder: Path) -> None:
    (folder / "model.onnx").write_bytes(b"nothing")
    ended = here("reduce", "model.onnx", "-o", "case", folder=folder)
    assert ended.code == 2
    assert ended.err.startswith("error: ")
    assert not (folder / "case").exists()
