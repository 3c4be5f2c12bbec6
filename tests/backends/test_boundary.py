"""Inputs and outputs of an engine have the types on the inner side of the model's Casts."""

from __future__ import annotations

from pathlib import Path

import onnx

from graphopt.backends.boundary import with_inner_types
from graphopt.graph.dtypes import DType
from tests.backends import models
from tests.backends.rtx import build, needs_rtx

GRAPH = """main (uint16[4] a, uint16[4] b) => (uint16[4] y) {
    c = Cast<to=6>(a)
    d = Cast<to=6>(b)
    m = Max(c, d)
    y = Cast<to=4>(m)
}"""


def types(model: onnx.ModelProto) -> list[str]:
    return [DType(v.type.tensor_type.elem_type).name for v in (*model.graph.input, *model.graph.output)]


def parsed(body: str) -> onnx.ModelProto:
    return onnx.parser.parse_model(f'<ir_version: 8, opset_import: ["" : 17]> {body}')


def test_what_only_casts_touch_has_the_inner_type() -> None:
    model = parsed(GRAPH)
    inner = with_inner_types(model)
    assert inner is not None
    assert types(inner) == ["int32", "int32", "int32"]
    assert types(model) == ["uint16", "uint16", "uint16"]
    onnx.checker.check_model(inner, full_check=True)


def test_what_is_read_otherwise_keeps_its_type() -> None:
    read = parsed("main (uint16[4] a) => (int64[1] s, int32[4] y) { s = Shape(a) y = Cast<to=6>(a) }")
    shown = parsed("main (uint16[4] a) => (uint16[4] y) { y = Identity(a) }")
    captured = parsed(
        """main (uint16[4] a, bool c) => (int32[4] z) { z = Cast<to=6>(a)
            u = If(c) <then_branch = t () => (uint16[4] v) { v = Identity(a) },
                       else_branch = e () => (uint16[4] w) { w = Identity(a) }> }"""
    )
    usual = parsed("main (int32[4] a) => (float[4] y) { y = Cast<to=1>(a) }")
    assert [with_inner_types(m) for m in (read, shown, captured, usual)] == [None] * 4


@needs_rtx
def test_the_sidecar_tells_the_types_of_the_engine(tmp_path: Path) -> None:
    details = build(models.write(tmp_path / "m.onnx", GRAPH), compute_capabilities=("sm80",)).details
    assert [t["dtype"] for t in (*details["inputs"], *details["outputs"])] == ["int32"] * 3
    assert details["warnings"] == [f"{n} is uint16 in the model and int32 in the engine" for n in "aby"]
