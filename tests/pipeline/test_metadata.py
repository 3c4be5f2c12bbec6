"""What a compile leaves of the notes of exporters, and what it says of its own."""

from __future__ import annotations

from pathlib import Path

import onnx
import pytest

from graphopt.cli import run
from graphopt.graph.provenance import FROM, RULES, TABLE, table

MODEL = """<ir_version: 10, opset_import: ["" : 20]>
g (float[n] x) => (float[n] y) <float one = {1}> {
    ["first"] a = Neg (x)
    ["second"] b = Neg (a)
    ["third"] c = Mul (b, one)
    ["fourth"] y = Tanh (c)
}"""

FUSED = """<ir_version: 10, opset_import: ["" : 20]>
g (float[n,4] x) => (float[n,3] y) <float[4,3] w = {1,2,3,4,5,6,7,8,9,10,11,12}, float[3] b = {1,2,3}> {
    ["product"] m = MatMul (x, w)
    ["sum"] y = Add (m, b)
}"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def compiled(text: str, *options: str) -> onnx.ModelProto:
    model = onnx.parser.parse_model(text)
    for node in model.graph.node:
        node.metadata_props.add(key="pkg.torch.onnx.stack_trace", value="File ...")
        node.metadata_props.add(key="owner", value="someone")
    onnx.save(model, "in.onnx")
    assert run(["compile", "in.onnx", "-o", "out", *options]) == 0
    return onnx.load("out/model.onnx")


def said(holder: onnx.NodeProto | onnx.ModelProto) -> dict[str, str]:
    return {p.key: p.value for p in holder.metadata_props}


@pytest.mark.parametrize("options", [(), ("--keep-metadata",)], ids=["left out", "kept"])
def test_notes_of_the_exporter(folder: Path, options: tuple[str, ...]) -> None:
    (node,) = compiled(MODEL, *options).graph.node
    assert said(node).pop("owner") == "someone"
    assert ("pkg.torch.onnx.stack_trace" in said(node)) == bool(options)


def test_provenance_stands_in_the_table_of_the_model_or_on_nodes(folder: Path) -> None:
    packed, plain = compiled(FUSED), compiled(FUSED, "--keep-metadata")
    (node,), (readable,) = packed.graph.node, plain.graph.node
    assert (said(node), said(plain)) == ({}, {})
    assert list(said(packed)) == [TABLE]
    assert table(packed) == {node.name: {key: said(readable)[key] for key in (FROM, RULES)}}
    assert said(readable)[FROM].split("\n") == ["sum", "product"]
    assert said(readable)[RULES].startswith("matmul_add_to_gemm@")


def test_a_model_that_is_compiled_again_keeps_what_it_said(folder: Path) -> None:
    before = table(compiled(FUSED))
    assert run(["compile", "out/model.onnx", "-o", "again"]) == 0
    assert table(onnx.load("again/model.onnx")) == before
