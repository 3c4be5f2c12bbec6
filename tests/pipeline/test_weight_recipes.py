"""The recipes that keep weights in codes, and leave activations."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import onnx.parser
import pytest
from onnx import numpy_helper

from graphopt.graph.load import load
from graphopt.graph.model import Model
from graphopt.pipeline.manager import Manager
from graphopt.pipeline.passes import Context
from graphopt.pipeline.recipe import Recipe
from graphopt.rewrite.library import load_rules
from tests.pipeline.command import save

NETWORK = """<ir_version: 8, opset_import: ["" : 17]>
network (float[n,64] x) => (float[n,40] y) <float[64,96] w, float[32,96] v, float[32] b, float[32,40] u> {
    a = MatMul (x, w)
    r = Relu (a)
    c = Gemm <transB = 1> (r, v, b)
    y = MatMul (c, u)
}"""

ELEMENT = {"int8-weights": onnx.TensorProto.INT8, "int4-weights": onnx.TensorProto.INT4}


def _compiled(recipe: str, folder: Path) -> tuple[Model, dict[str, np.ndarray]]:
    proto = onnx.parser.parse_model(NETWORK)
    random = np.random.default_rng(1)
    weights: dict[str, np.ndarray] = {}
    for info in proto.graph.value_info:
        shape = [d.dim_value for d in info.type.tensor_type.shape.dim]
        weights[info.name] = random.standard_normal(shape).astype(np.float32)
        proto.graph.initializer.append(numpy_helper.from_array(weights[info.name], info.name))
    del proto.graph.value_info[:]
    model = load(save(proto, folder / "network.onnx"))
    Manager(model, Context(load_rules()), None, "none").run(Recipe.load(recipe))
    return model, weights


@pytest.mark.parametrize("recipe", ["int8-weights", "int4-weights"])
def test_weights_are_kept_in_codes(recipe: str, tmp_path: Path) -> None:
    model, weights = _compiled(recipe, tmp_path)
    halves = {n.outputs[0].name: n for n in model.all_nodes() if n.op_type == "DequantizeLinear" and n.outputs[0]}
    assert sorted(halves) == ["u.dequantized", "v.dequantized", "w.dequantized"]
    assert [n.op_type for n in model.all_nodes() if n.op_type != "DequantizeLinear"] == [
        "MatMul",
        "Relu",
        "Gemm",
        "MatMul",
    ]
    for name, half in halves.items():
        codes, steps = (v.constant for v in half.inputs[:2] if v is not None)
        assert codes is not None
        assert steps is not None
        assert int(codes.dtype) == ELEMENT[recipe]
        values, step = codes.numpy().astype(np.float32), steps.numpy()
        axis, block = half.attribute("axis", 1), half.attribute("block_size", 0)
        spread = np.repeat(step, block, axis=axis) if block else np.expand_dims(step, 1 - axis)
        # to the nearest code: half a step off at most, and the roundings of a quotient and a product in float32
        off = np.abs(values * spread - weights[name.removesuffix(".dequantized")])
        assert (off <= spread * (0.5 + 1e-5)).all()


def test_steps_are_along_what_is_summed_over_in_blocks_of_32(tmp_path: Path) -> None:
    model, _ = _compiled("int4-weights", tmp_path)
    halves = [n for n in model.all_nodes() if n.op_type == "DequantizeLinear"]
    shapes = [(n.inputs[1].shape, n.attribute("axis", 1), n.attribute("block_size", 0)) for n in halves if n.inputs[1]]
    assert shapes == [((2, 96), 0, 32), ((32, 3), 1, 32), ((1, 40), 0, 32)]
    assert model.opset == 21
