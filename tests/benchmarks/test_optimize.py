from __future__ import annotations

import dataclasses
import sys
from pathlib import Path

import onnx
import pytest
from onnx import parser

from benchmarks.measure import Usage
from benchmarks.optimize import judging, tools
from benchmarks.optimize.reasons import fewer_nodes, larger, out_of_competition
from benchmarks.optimize.rows import Result, Row, result_of
from benchmarks.optimize.store import Store
from benchmarks.optimize.summary import summary
from benchmarks.optimize.tables import BEGIN, END, document, has_marks, write_into
from benchmarks.optimize.tools import PEERS, Made, MissingTool, Tool


def _model(path: Path, body: str = "t = Identity(x)\n y = Mul(t, w)") -> Path:
    model = parser.parse_model(
        '<ir_version: 8, opset_import: ["" : 17]> g (float[n, 4] x) => (float[n, 4] y)'
        f"<float[4] w = {{1, 2, 3, 4}}> {{ {body} }}"
    )
    model.graph.node[0].metadata_props.add(key="stack", value="x" * 100)
    onnx.save(model, path)
    return path


def _result(nodes: int = 10, size: int = 1000, wrong: str = "", **figures: float) -> Result:
    off = {"max_rel": figures.get("off", 0.0)}
    operators = {"Relu": nodes - 1, "Cast": 1}
    taken = (figures.get("cpu", 1.0), figures.get("wall", 1.0), figures.get("mebibytes", 100.0))
    return Result(size, *taken, nodes, operators, {"metadata stack": 300, "weights": 500}, off, off, wrong)


def _row(ours: Result, **peers: Result) -> Row:
    results = {tool: _result(20, 2000) for tool in PEERS} | {"graphopt": ours} | peers
    seconds = {"original": [1.0] * 20, "again": [1.0] * 20, "graphopt": [0.5] * 20, "onnxsim": [0.4] * 20}
    return Row("toy", 30, 3000, {"Relu": 30}, results, {"on": seconds, "off": {}})


# --- processes ---


def test_a_tool_works_once_and_is_judged_once(tmp_path: Path) -> None:
    store = Store(tmp_path / "kept")
    model = _model(tmp_path / "model.onnx")
    ours = tools.tool("graphopt", sys.executable)
    assert tools.find(store, ours, model, 60.0) is None
    made = tools.make(store, ours, model, 60.0)
    assert made == tools.find(store, ours, model, 60.0)
    assert made.path is not None
    assert made.usage.said["cpu"] > 0
    broken = _model(tmp_path / "broken.onnx", "t = Identity(x)\n y = Add(t, w)")

    own, found = judging.judged(store, model, {"graphopt": made.path, "broken": broken})
    assert (own["nodes"], own["operators"]) == (2, {"Identity": 1, "Mul": 1})
    assert own["bytes"]["metadata stack"] > 100
    result = result_of(made, found["graphopt"])
    assert (result.nodes, result.worst, result.wrong) == (1, 0.0, "")
    assert found["graphopt"]["made"]["shapes"] == 2
    assert "output 'y': " in result_of(made, found["broken"]).wrong
    kept = sorted(p.name for p in (tmp_path / "kept").iterdir())
    assert judging.judged(store, model, {"graphopt": made.path})[1] == {"graphopt": found["graphopt"]}
    assert sorted(p.name for p in (tmp_path / "kept").iterdir()) == kept


def test_a_tool_that_does_not_end_is_a_result(tmp_path: Path) -> None:
    made = tools.make(Store(tmp_path), tools.tool("graphopt", sys.executable), _model(tmp_path / "m.onnx"), 0.05)
    assert made == Made(None, 0, Usage(failure="> 0.05 s"), "> 0.05 s", made.at)


def test_contenders_are_timed_round_by_round(tmp_path: Path) -> None:
    model = _model(tmp_path / "model.onnx")
    found = judging.timed(Store(tmp_path / "kept"), model, {"graphopt": model}, {"graphopt": "same"})
    assert list(found) == ["on", "off"]
    counts = {name: len(seconds) for name, seconds in found["off"].items()}
    assert list(counts) == ["original", "again", "graphopt"]
    assert min(counts.values()) == max(counts.values()) >= 16


def test_an_interpreter_without_the_tool_is_named() -> None:
    with pytest.raises(MissingTool) as caught:
        tools.tool("onnxslim", sys.executable)
    assert str(caught.value) == f"{sys.executable} cannot run onnxslim: it needs benchmarks/requirements.txt"


def test_the_identity_of_ours_holds_its_sources() -> None:
    ours = tools.tool("graphopt", sys.executable)
    assert len(ours.identity["sources"]) == 64
    assert Tool("graphopt_any_size", "", ours.identity).version == ours.identity["graphopt"]


# --- rows ---


def test_a_wrong_result_is_not_the_best() -> None:
    row = _row(_result(12), onnxsim=_result(5, wrong="output 'y' differs"), onnxslim=_result(11))
    assert row.best("nodes") == "onnxslim"
    assert "onnxsim" not in row.fair
    assert out_of_competition([row]) == ["onnxsim, output 'y' differs: toy."]


def test_the_summary_counts_rows_and_gives_the_median_ratio() -> None:
    found = summary([_row(_result(12, off=1e-7)), _row(_result(8, off=1e-3), onnxslim=_result(10))])
    assert str(found["nodes"]["best peer"]) == "2 of 2 (0.70)"
    assert str(found["nodes"]["original"]) == "2 of 2 (0.33)"
    assert str(found["largest difference, real inputs"]["best peer"]) == "1 of 2"
    assert str(found["latency, optimizations on"]["original"]) == "2 of 2 (0.50)"
    assert str(found["latency, optimizations on"]["best peer"]) == "0 of 2 (1.25)"
    assert str(found["latency, optimizations off"]["best peer"]) == ""


def test_wall_seconds_of_another_hour_are_not_compared() -> None:
    late = dataclasses.replace(_result(12), at=3600.0)
    found = summary([_row(late, onnxslim=dataclasses.replace(_result(20), at=3500.0))])
    assert {c: str(n) for c, n in found["wall seconds"].items() if n.rows} == {
        "best peer": "1 of 1 (1.00)",
        "onnxslim": "1 of 1 (1.00)",
    }
    assert found["CPU seconds"]["onnxsim"].rows == 1


def test_where_a_peer_is_ahead_the_reason_is_said() -> None:
    row = _row(_result(12), onnxslim=_result(10, 900), graphopt_any_size=_result(9))
    assert fewer_nodes([row]) == [
        "toy: onnxslim leaves 10, graphopt 12 (more: 2 Relu); its file has 0.30 times the bytes of the original, ours "
        "0.33 times; with `--fold-budget` raised graphopt leaves 9."
    ]
    assert larger([row]) == ["toy: 100 bytes more than onnxslim, of 100 nodes and names."]


def test_the_document_goes_between_the_marks(tmp_path: Path) -> None:
    path = tmp_path / "doc.md"
    path.write_text(f"before\n{BEGIN}\nold\n{END}\nafter\n")
    text = document([_row(_result(12))], {"onnxsim": "1.0", "graphopt": "2.0"})
    write_into(path, text)
    write_into(path, text)
    assert path.read_text() == f"before\n{BEGIN}\n\n{text}\n\n{END}\nafter\n"
    assert text.startswith("1 models; onnxsim 1.0. Noise: ")
    assert "| toy | 30 | 12 | 20 | 20 | 20 | 20 | 20 | 0, 1, 0, 0 | 0, 1, 0, 0 |" in text
    assert has_marks(path)
    assert not has_marks(tmp_path / "none.md")
