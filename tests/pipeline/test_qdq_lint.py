"""The five rules of where TensorRT wants codes, and what became of codes in an engine."""

from __future__ import annotations

import json
from pathlib import Path

import onnx
import pytest

from graphopt.backends.base import Artifact, FusedLayer
from graphopt.graph.load import from_proto
from graphopt.graph.model import Model
from graphopt.pipeline.engine_codes import engine_codes
from graphopt.pipeline.qdq_lint import lint
from tests.pipeline.command import here, save

GOOD = """<ir_version: 8, opset_import: ["" : 17]>
network (float[1,4,6,6] x) => (float[1,4,6,6] y)
<float s = {0.1}, int8 z = {0}, int8[4,4,1,1] w = {1,2,3,4,1,2,3,4,1,2,3,4,1,2,3,4}, float[4] ws = {0.1,0.2,0.3,0.4},
 float one = {0.3}> {
    [quantize] xq = QuantizeLinear (x, s, z)
    [dequantize] xd = DequantizeLinear (xq, s, z)
    [weight] wd = DequantizeLinear <axis = 0> (w, ws)
    [conv] c = Conv (xd, wd)
    [relu] r = Relu (c)
    [around] aq = QuantizeLinear (r, s, z)
    [values] ad = DequantizeLinear (aq, s, z)
    [main] m = Conv (ad, wd)
    [add] a = Add (m, ad)
    [last] y = Relu (a)
}"""


def _model(text: str) -> Model:
    return from_proto(onnx.parser.parse_model(text))


def _found(text: str) -> list[tuple[str, str, str]]:
    return [(f.rule, f.node, f.text) for f in lint(_model(text))]


def test_a_model_that_keeps_all_rules() -> None:
    assert _found(GOOD) == []


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        (
            "int8 z = {0}",
            "int8 z = {3}",
            [("symmetric", n, "the code of 0 is not 0") for n in ("quantize", "dequantize", "around", "values")],
        ),
        (
            "int8 z = {0}",
            "uint8 z = {0}",
            [("symmetric", n, "its codes are uint8") for n in ("quantize", "dequantize", "around", "values")],
        ),
        (
            "[relu] r = Relu (c)",
            "[q] cq = QuantizeLinear (c, s, z)\n    [d] cd = DequantizeLinear (cq, s, z)\n    [relu] r = Relu (cd)",
            [("activation", "relu", "a pair stands between conv and it")],
        ),
        ("Add (m, ad)", "Add (m, r)", [("residual", "add", "what goes around the Conv is not in codes")]),
        (
            "[add] a = Add (m, ad)",
            "[q] mq = QuantizeLinear (m, s, z)\n    [d] md = DequantizeLinear (mq, s, z)\n    [add] a = Add (md, ad)",
            [("residual", "add", "what the Conv makes for it goes through a pair")],
        ),
        (
            "[weight] wd = DequantizeLinear <axis = 0> (w, ws)",
            "[weight] wd = DequantizeLinear (w, one)",
            [("channels", name, "its weight has one step for all channels") for name in ("conv", "main")],
        ),
        (
            "<axis = 0> (w, ws)",
            "<axis = 1> (w, ws)",
            [
                ("channels", name, "its weight has steps along axis 1, and its channels are axis 0")
                for name in ("conv", "main")
            ],
        ),
        (
            "[relu] r = Relu (c)",
            "[norm] n = BatchNormalization (c, ws, ws, ws, ws)\n    [relu] r = Relu (n)",
            [("folded", "norm", "it could be part of conv")],
        ),
    ],
    ids=[
        "asymmetric",
        "unsigned",
        "before the activation",
        "no skip",
        "both branches",
        "one step",
        "wrong axis",
        "unfolded",
    ],
)
def test_a_rule_that_is_broken(old: str, new: str, expected: list[tuple[str, str, str]]) -> None:
    assert old in GOOD
    found = _found(GOOD.replace(old, new))
    assert [f for f in found if f[0] == expected[0][0]] == expected
    assert {f[0] for f in found} == {expected[0][0]}


def test_the_command(tmp_path: Path) -> None:
    save(GOOD, tmp_path / "good.onnx")
    save(GOOD.replace("Add (m, ad)", "Add (m, r)"), tmp_path / "bad.onnx")
    assert here("check", "--qdq", "good.onnx", folder=tmp_path).code == 0
    bad = here("check", "--qdq", "bad.onnx", folder=tmp_path)
    assert bad.code == 1
    assert "residual: of a residual Add, what goes around the Conv is in codes, and nothing else: broken at 1 node" in (
        " ".join(bad.out.split())
    )
    assert bad.err == (
        "error: the pairs of bad.onnx do not stand where TensorRT wants them: "
        "add: what goes around the Conv is not in codes\n"
        "  help: `graphopt compile MODEL --recipe int8 --target tensorrt-rtx` places them\n"
    )
    document = json.loads(here("check", "--qdq", "bad.onnx", "--json", folder=tmp_path).out)
    assert document["findings"] == [
        {"rule": "residual", "node": "add", "text": "what goes around the Conv is not in codes"}
    ]


def test_two_models_are_too_many(tmp_path: Path) -> None:
    ended = here("check", "--qdq", "a.onnx", "b.onnx", folder=tmp_path)
    assert (ended.code, ended.err) == (2, "error: --qdq looks at one model\n  help: graphopt check --qdq MODEL\n")
    ended = here("check", "a.onnx", folder=tmp_path)
    expected = "error: there is nothing to compare with\n  help: graphopt check A.onnx B.onnx\n"
    assert (ended.code, ended.err) == (2, expected)


def _artifact(*layers: tuple[str, str, tuple[str, ...]]) -> Artifact:
    found = tuple(FusedLayer("", kind, (dtype,), ("float32",), nodes) for kind, dtype, nodes in layers)
    return Artifact("tensorrt-rtx", (), 0, 0.0, {}, found)


def test_what_became_of_codes_in_an_engine() -> None:
    codes = engine_codes(
        _model(GOOD),
        _artifact(
            ("kgen", "float32", ("quantize", "conv")),
            ("correlation", "int8", ("conv", "weight")),
            ("kgen", "float32", ("relu", "conv")),
            ("kgen", "float32", ("around",)),
            ("correlation", "float32", ("main",)),
        ),
    )
    assert codes is not None
    assert (codes.computed, codes.missed, codes.alone) == (("conv",), ("main",), ("around",))
    assert list(codes.notes()) == [
        "tensorrt-rtx computes in floating point, though it reads codes: main",
        "tensorrt-rtx has a kernel of its own for: around",
    ]


def test_an_engine_of_unknown_kernels() -> None:
    assert engine_codes(_model(GOOD), _artifact()) is None
