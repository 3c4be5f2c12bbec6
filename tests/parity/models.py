"""Small models for the comparison tests, from ONNX's text syntax."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import onnx.parser
from onnx import numpy_helper

Array = np.ndarray[Any, Any]


def proto(body: str, opset: int = 17, ir: int = 8, imports: str = "", **weights: Array) -> onnx.ModelProto:
    """A model of one graph; `weights` become initializers."""
    model = onnx.parser.parse_model(f'<ir_version: {ir}, opset_import: ["" : {opset}{imports}]> {body}')
    for name, array in weights.items():
        model.graph.initializer.append(numpy_helper.from_array(array, name))
    return model


def model(body: str, opset: int = 17, ir: int = 8, imports: str = "", **weights: Array) -> bytes:
    """The same, serialized."""
    return proto(body, opset, ir, imports, **weights).SerializeToString()


def random(*shape: int, seed: int = 0) -> Array:
    return np.random.default_rng(seed).standard_normal(shape, dtype=np.float32)


RELU = "g (float[N,4] x) => (float[N,4] y) { y = Relu (x) }"

CONV_BN = """g (float[N,8,H,W] x) => (float[N,16,H,W] y) {
    c = Conv <pads = [1,1,1,1]> (x, w)
    y = BatchNormalization <epsilon = %s> (c, gamma, beta, mean, var)
}"""


def conv_bn_weights(variance: float) -> dict[str, Array]:
    """Weights of a Conv and the BatchNormalization behind it, variances around the given one."""
    rng = np.random.default_rng(1)
    return {
        "w": random(16, 8, 3, 3),
        "gamma": random(16, seed=2),
        "beta": random(16, seed=3),
        "mean": random(16, seed=4),
        "var": (variance * rng.uniform(0.5, 1.5, 16)).astype(np.float32),
    }


def conv_bn(variance: float = 1.0, epsilon: float = 1e-5) -> bytes:
    return model(CONV_BN % epsilon, **conv_bn_weights(variance))


def conv_bn_folded(variance: float = 1.0, epsilon: float = 1e-5) -> bytes:
    """The same as one Conv, its weights folded in float64."""
    w = {name: array.astype(np.float64) for name, array in conv_bn_weights(variance).items()}
    k = w["gamma"] / np.sqrt(w["var"] + np.float64(np.float32(epsilon)))
    weight, bias = w["w"] * k.reshape(-1, 1, 1, 1), w["beta"] - w["mean"] * k
    body = "g (float[N,8,H,W] x) => (float[N,16,H,W] y) { y = Conv <pads = [1,1,1,1]> (x, w, b) }"
    return model(body, w=weight.astype(np.float32), b=bias.astype(np.float32))
