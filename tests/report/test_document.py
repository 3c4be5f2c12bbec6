"""The report as JSON: what a real compile gives, against the schema and the docs."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnx.parser
import pytest
from pydantic import BaseModel, ValidationError

from graphopt.api import compile as compile_model
from graphopt.backends.base import Artifact, FusedLayer
from graphopt.pipeline.result import CompileResult
from graphopt.report.document import to_json
from tests.report.schema import Report

DOCS = Path(__file__).parents[2] / "docs" / "report.md"

MODEL = """<ir_version: 8, opset_import: ["" : 17]>
g (float[n,3,8,8] x) => (float[n,4,6,6] y) {
    c = Conv(x, w)
    i = Identity(c)
    y = BatchNormalization(i, s, b, m, v)
}"""


@pytest.fixture(scope="module")
def result(tmp_path_factory: pytest.TempPathFactory) -> CompileResult:
    """A compile of a small model with all that a report can hold but an engine."""
    folder = tmp_path_factory.mktemp("report")
    proto = onnx.parser.parse_model(MODEL)
    random = np.random.default_rng(0)
    for name, shape in (("w", (4, 3, 3, 3)), ("s", (4,)), ("b", (4,)), ("m", (4,)), ("v", (4,))):
        array = random.uniform(0.5, 1.5, shape).astype(np.float32)
        proto.graph.initializer.append(onnx.numpy_helper.from_array(array, name))
    onnx.save(proto, folder / "model.onnx")
    return compile_model(folder / "model.onnx", folder / "out", latency=True)


def test_a_report_has_the_fields_of_the_schema_and_no_others(result: CompileResult) -> None:
    report = Report.of(to_json(result))
    assert report.ok
    assert (report.before.nodes, report.after.nodes) == (3, 1)
    assert [latency.settings for latency in report.latency] == ["default", "off"]
    assert report.parity is not None
    assert [output.name for output in report.parity.outputs] == ["y"]


def test_the_file_is_the_report(result: CompileResult) -> None:
    assert json.loads((result.output / "report.json").read_bytes()) == to_json(result)


def test_the_schema_refuses_what_is_not_in_it(result: CompileResult) -> None:
    with pytest.raises(ValidationError, match="Extra inputs are not permitted"):
        Report.of({**to_json(result), "more": 1})


def test_only_times_differ_between_two_compiles(result: CompileResult, tmp_path: Path) -> None:
    again = compile_model(result.source, tmp_path / "out")
    assert timeless(to_json(again)) == {**timeless(to_json(result)), "output": (tmp_path / "out").as_posix()}


def timeless(report: Any) -> Any:
    if isinstance(report, dict):
        return {k: timeless(v) for k, v in report.items() if k not in ("seconds", "latency")}
    return [timeless(item) for item in report] if isinstance(report, list) else report


def test_an_engine_is_listed_with_its_kernels(result: CompileResult) -> None:
    layer = FusedLayer("k1", "correlation", ("int8",), ("float32",), ("conv", "relu"))
    engine = Artifact(
        target="tensorrt-rtx",
        files=(result.output / "engines" / "tensorrt-rtx" / "m.engine", Path("/elsewhere/m.json")),
        bytes=10,
        seconds=0.5,
        details={"layers": ["left out"], "engine": {"bytes": 9}, "odd": (1, math.inf, math.nan, Path("a/b"))},
        layers=(layer,),
    )
    (shown,) = Report.of(to_json(replace(result, artifacts=(engine,)))).artifacts
    assert shown.model_dump() == {
        "target": "tensorrt-rtx",
        "files": ["engines/tensorrt-rtx/m.engine", "/elsewhere/m.json"],
        "bytes": 10,
        "seconds": 0.5,
        "layers": [
            {
                "name": "k1",
                "kind": "correlation",
                "inputs": ["int8"],
                "outputs": ["float32"],
                "onnx_nodes": ["conv", "relu"],
            }
        ],
        "details": {"engine": {"bytes": 9}, "odd": [1, None, None, "a/b"]},
    }


def test_a_report_without_parity_says_why(result: CompileResult) -> None:
    report = Report.of(to_json(replace(result, parity=None, parity_skipped="no kernel")))
    assert (report.ok, report.parity, report.parity_skipped) == (True, None, "no kernel")


def fields(model: type[BaseModel]) -> set[str]:
    inner = [t for f in model.model_fields.values() for t in models(f.annotation)]
    return {name.rstrip("_") for name in model.model_fields}.union(*map(fields, inner))


def models(annotation: Any) -> list[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [found for inner in getattr(annotation, "__args__", ()) for found in models(inner)]


def test_the_docs_name_every_field() -> None:
    text = DOCS.read_text("utf-8")
    assert sorted(name for name in fields(Report) if f"`{name}`" not in text) == []
