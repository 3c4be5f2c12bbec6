"""Small models for the backends, written to files."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import helper, numpy_helper, parser

Array = np.ndarray[Any, Any]


def write(path: Path, body: str, weights: Mapping[str, Array] | None = None, *, opset: int = 17) -> Path:
    """A model in ONNX's text syntax, from the graph's name on, with weights added as initializers."""
    ir_version = 8 if opset <= 17 else 11
    model = parser.parse_model(f'<ir_version: {ir_version}, opset_import: ["" : {opset}]> {body}')
    for name, array in (weights or {}).items():
        model.graph.initializer.append(numpy_helper.from_array(array, name))
    onnx.save(model, path)
    return path


def random(*shape: int) -> Array:
    return np.random.default_rng(0).standard_normal(shape, dtype=np.float32)


def cnn(path: Path, batch: str = "1") -> Path:
    """Conv, BatchNormalization, Relu; the Conv and the Relu have names, the BatchNormalization has none."""
    weights = {
        "w": random(16, 3, 3, 3),
        "scale": np.full(16, 0.5, np.float32),
        "shift": random(16),
        "mean": random(16),
        "var": np.ones(16, np.float32),
    }
    body = f"""net (float[{batch},3,16,16] x) => (float[{batch},16,16,16] y) {{
        [conv] c = Conv <pads = [1,1,1,1]> (x, w)
        n = BatchNormalization (c, scale, shift, mean, var)
        [relu] y = Relu (n)
    }}"""
    return write(path, body, weights)


def quantized(path: Path, zero_point: Array | None) -> Path:
    """An int8 Conv between a quantizer with this zero point (None: left out) and a Relu."""
    point = "" if zero_point is None else ", zero"
    weights: dict[str, Array] = {
        "s": np.array(0.1, np.float32),
        "wq": np.random.default_rng(0).integers(-127, 128, (16, 16, 3, 3)).astype(np.int8),
        "ws": np.full(16, 0.01, np.float32),
    }
    if zero_point is not None:
        weights["zero"] = zero_point
    body = f"""net (float[1,16,16,16] x) => (float[1,16,14,14] y) {{
        [quantize] q = QuantizeLinear (x, s{point})
        [dequantize] d = DequantizeLinear (q, s{point})
        [weight] wd = DequantizeLinear <axis = 0> (wq, ws)
        [conv] c = Conv (d, wd)
        [relu] y = Relu (c)
    }}"""
    return write(path, body, weights)


def fp8(path: Path) -> Path:
    """A Conv whose activations and weights are quantized to float8e4m3fn."""
    kind = onnx.TensorProto.FLOAT8E4M3FN
    nodes = [
        helper.make_node("QuantizeLinear", ["x", "s", "zero"], ["q"]),
        helper.make_node("DequantizeLinear", ["q", "s", "zero"], ["d"]),
        helper.make_node("DequantizeLinear", ["wq", "ws"], ["wd"], axis=0),
        helper.make_node("Conv", ["d", "wd"], ["y"], name="conv"),
    ]
    graph = helper.make_graph(
        nodes,
        "net",
        [helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, [1, 16, 16, 16])],
        [helper.make_tensor_value_info("y", onnx.TensorProto.FLOAT, [1, 16, 14, 14])],
        [
            helper.make_tensor("wq", kind, [16, 16, 3, 3], [1.0] * 2304),
            helper.make_tensor("zero", kind, [], [0.0]),
            numpy_helper.from_array(np.array(0.1, np.float32), "s"),
            numpy_helper.from_array(np.full(16, 0.1, np.float32), "ws"),
        ],
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=10), path)
    return path


def slow() -> Path:
    """A model that takes seconds to build: DenseNet-121 without its weights, which the onnx wheel brings."""
    return Path(onnx.__file__).parent / "backend/test/data/light/light_densenet121.onnx"
