"""Precisions by node: the recipe mixed, and recipes like it."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import onnx.parser
import pytest
from onnx import numpy_helper

from graphopt.data.sample import Sample
from graphopt.errors import RecipeError
from graphopt.graph.load import from_proto
from graphopt.graph.model import Model
from graphopt.graph.save import to_proto
from graphopt.pipeline.calibration import Calibration
from graphopt.pipeline.manager import Manager
from graphopt.pipeline.passes import Context
from graphopt.pipeline.recipe import Recipe, parse_recipe
from graphopt.rewrite.library import common_target, load_rules
from tests.pipeline.command import here, save

NETWORK = """<ir_version: 8, opset_import: ["" : 17]>
network (float[1,16,8,8] x) => (float[1,16,8,8] y) {
    a = Conv (x, w0)
    b = Relu (a)
    c = Conv (b, w1)
    d = Relu (c)
    e = Conv (d, w2)
    f = Relu (e)
    y = Conv (f, w3)
}"""

LIKE = 'like = "mixed"\n[precision]\n'


def _network() -> onnx.ModelProto:
    proto = onnx.parser.parse_model(NETWORK)
    for node in proto.graph.node:
        node.name = node.output[0]
    random = np.random.default_rng(1)
    for number in range(4):
        array = (random.standard_normal((16, 16, 1, 1)) / 4).astype(np.float32)
        proto.graph.initializer.append(numpy_helper.from_array(array, f"w{number}"))
    return proto


def _compiled(text: str, target: str = "tensorrt-rtx") -> Model:
    """As far as it places: what is refined then is tested in tests/quantization."""
    recipe = parse_recipe(text, "r", "r.toml")
    recipe = replace(recipe, passes=tuple(step for step in recipe.passes if step.name != "refine-weights"))
    random = np.random.default_rng(2)
    samples = [Sample(f"{i}", {"x": random.standard_normal((1, 16, 8, 8)).astype(np.float32)}) for i in range(4)]
    model = from_proto(_network())
    context = Context(
        load_rules(), target=common_target([target]), targets=[target], calibration=Calibration(samples, "max")
    )
    Manager(model, context, None, "none").run(recipe)
    onnx.checker.check_model(to_proto(model), full_check=True)
    return model


def _layers(model: Model) -> dict[str, tuple[str, str]]:
    """What each Conv reads: its element type, and the operator that makes it (but for Casts)."""
    found: dict[str, tuple[str, str]] = {}
    for node in model.all_nodes():
        value = node.inputs[0]
        if node.op_type == "Conv" and value is not None and value.dtype is not None:
            dtype = value.dtype.name
            while value.producer is not None and value.producer.op_type == "Cast" and value.producer.inputs[0]:
                value = value.producer.inputs[0]
            found[node.label] = (dtype, value.producer.op_type if value.producer is not None else "")
    return found


def test_int8_between_float16() -> None:
    model = _compiled(LIKE)
    half = ("float16", "DequantizeLinear")
    assert _layers(model) == {"a": half, "c": half, "e": half, "y": half}
    interface = [*model.graph.inputs, *model.graph.outputs]
    assert [(v.name, v.dtype and v.dtype.name) for v in interface] == [("x", "float32"), ("y", "float32")]


def test_precisions_by_selector() -> None:
    """The last line that names a node counts."""
    text = LIKE + '"operator:Conv" = "float32"\n"depth:1..1" = "float16"\n"name:e" = "int8"\n'
    assert _layers(_compiled(text)) == {
        "a": ("float32", ""),
        "c": ("float16", "Relu"),
        "e": ("float16", "DequantizeLinear"),
        "y": ("float32", "Relu"),
    }


def test_precisions_without_codes() -> None:
    text = 'like = "bf16"\n[precision]\n"depth:-1..-1" = "float32"\n'
    assert [dtype for dtype, _ in _layers(_compiled(text)).values()] == ["bfloat16"] * 3 + ["float32"]


WRONG = {
    "a selector of nothing": (
        LIKE + '"name:head/*" = "float32"\n',
        "the selector 'name:head/*' matches no node of the model\n"
        "  help: write name:GLOB, operator:OPERATOR, depth:FIRST..LAST or pattern:RULE",
    ),
    "a selector of no form": (
        LIKE + '"head" = "float32"\n',
        "'head' selects no nodes\n  at: recipe r\n"
        "  help: write name:GLOB, operator:OPERATOR, depth:FIRST..LAST or pattern:RULE",
    ),
    "a precision that no pass gives": (
        'like = "int8"\n[precision]\n"operator:Conv" = "float16"\n',
        "no pass of the recipe gives 'operator:Conv' the precision 'float16'\n  at: recipe r\n"
        "  help: did you mean 'float32'?",
    ),
    "a table of numbers": (
        'like = "int8"\n[precision]\n"operator:Conv" = 8\n',
        'precision is {\'operator:Conv\': 8}\n  at: r.toml\n  help: write lines such as "operator:Conv" = "int8"',
    ),
    "passes of its own": (
        'like = "int8"\n[[pass]]\nuse = "calibrate"\n',
        "the recipe is like another one, and has 'pass' of its own\n  at: r.toml",
    ),
    "like none": (
        'like = "mixt"\n',
        "no recipe 'mixt' ships\n  at: r.toml\n  help: did you mean 'mixed'?",
    ),
}


@pytest.mark.parametrize("case", WRONG)
def test_what_is_wrong(case: str) -> None:
    text, message = WRONG[case]
    with pytest.raises(RecipeError) as error:
        _compiled(text)
    assert str(error.value) == message


def test_it_ships() -> None:
    assert parse_recipe('like = "mixed"\ndescription = "mine"\n', "r", "r.toml") == replace(
        Recipe.load("mixed"), name="r", description="mine"
    )


def test_an_engine(tmp_path: Path) -> None:
    """Every Conv that is left in codes is one in the engine, though what is between is float16."""
    pytest.importorskip("tensorrt_rtx", reason="engines are built by the wheel tensorrt-rtx")
    save(_network(), tmp_path / "network.onnx")
    random = np.random.default_rng(3)
    np.savez(tmp_path / "data.npz", x=random.standard_normal((1, 16, 8, 8)).astype(np.float32))
    (tmp_path / "mine.toml").write_text(LIKE + '"depth:0..0" = "float16"\n')
    line = ("compile", "network.onnx", "-o", "out", "--recipe", "mine.toml", "--data", "data.npz", "--effort", "fast")
    done = here(*line, "--target", "tensorrt-rtx", "--compute-capability", "sm80", "--json", folder=tmp_path)
    assert (done.code, done.err) == (0, "")
    (codes,) = json.loads(done.out)["codes"]
    assert (codes["computed"], codes["missed"]) == (["c", "e", "y"], [])
