"""Graphs of any size for the scaling benchmark: one kind of structure each, tiny weights."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

OPSET = 17


def conv_bn_relu(count: int) -> onnx.ModelProto:
    """Blocks of Conv, BatchNormalization and Relu."""
    build = _Builder()
    for i in range(count // 3):
        build.weight(f"w{i}", (4, 4, 1, 1), 0.5)
        for part in ("gamma", "beta", "mean", "var"):
            build.weight(f"{part}{i}", (4,))
        build.node("Conv", [f"w{i}"])
        build.node("BatchNormalization", [f"{part}{i}" for part in ("gamma", "beta", "mean", "var")])
        build.node("Relu")
    return build.model(["n", 4, 8, 8])


def transpose_pairs(count: int) -> onnx.ModelProto:
    """Transposes of which each second one undoes the first."""
    build = _Builder()
    for _ in range(count // 2):
        build.node("Transpose", perm=[0, 2, 3, 1])
        build.node("Transpose", perm=[0, 3, 1, 2])
    return build.model(["n", 4, 8, 8])


def reshape_pairs(count: int) -> onnx.ModelProto:
    """Reshapes to and fro."""
    build = _Builder()
    build.constant("flat", np.array([2, 256], np.int64))
    build.constant("cube", np.array([2, 4, 8, 8], np.int64))
    for _ in range(count // 2):
        build.node("Reshape", ["flat"])
        build.node("Reshape", ["cube"])
    return build.model([2, 4, 8, 8])


def constant_subgraphs(count: int) -> onnx.ModelProto:
    """Additions of what two constants give by arithmetic."""
    build = _Builder()
    for i in range(count // 4):
        build.weight(f"a{i}", (4, 1, 1))
        build.weight(f"b{i}", (4, 1, 1))
        build.side(f"s{i}", "Mul", [f"a{i}", f"b{i}"])
        build.side(f"t{i}", "Sub", [f"s{i}", f"a{i}"])
        build.side(f"u{i}", "Exp", [f"t{i}"])
        build.node("Add", [f"u{i}"])
    return build.model(["n", 4, 8, 8])


def shared_initializer(count: int) -> onnx.ModelProto:
    """One weight that every node reads, and an Identity behind each."""
    build = _Builder()
    build.weight("w", (4, 1, 1))
    for _ in range(count // 2):
        build.node("Add", ["w"])
        build.node("Identity")
    return build.model(["n", 4, 8, 8])


def many_consumers(count: int) -> onnx.ModelProto:
    """One value with thousands of readers, each behind an Identity, summed up a hundred at a time."""
    build = _Builder()
    build.node("Relu")
    root = build.current
    sums: list[str] = []
    for start in range(0, count // 2, 100):
        names: list[str] = []
        for i in range(start, min(start + 100, count // 2)):
            build.side(f"i{i}", "Identity", [root])
            build.side(f"n{i}", "Neg", [f"i{i}"])
            names.append(f"n{i}")
        build.side(f"sum{start}", "Sum", names)
        sums.append(f"sum{start}")
    build.side("total", "Sum", sums)
    build.current = "total"
    return build.model(["n", 4, 8, 8])


def mixed(count: int) -> onnx.ModelProto:
    """A little of everything, in blocks of ten nodes."""
    build = _Builder()
    for i in range(count // 10):
        build.weight(f"w{i}", (4, 4, 1, 1), 0.5)
        for part in ("gamma", "beta", "mean", "var"):
            build.weight(f"{part}{i}", (4,))
        skip = build.current
        build.node("Conv", [f"w{i}"])
        build.node("BatchNormalization", [f"{part}{i}" for part in ("gamma", "beta", "mean", "var")])
        build.node("Relu")
        build.node("Transpose", perm=[0, 2, 3, 1])
        build.node("Transpose", perm=[0, 3, 1, 2])
        build.node("Add", [skip])
        build.node("Identity")
        build.node("Cast", to=int(TensorProto.FLOAT))
        build.side(f"c{i}", "Add", [f"gamma{i}", f"beta{i}"])
        build.side(f"d{i}", "ReduceMax", [f"c{i}"], keepdims=0)
        build.node("Mul", [f"d{i}"])
    return build.model(["n", 4, 8, 8])


KINDS: dict[str, Callable[[int], onnx.ModelProto]] = {
    f.__name__.replace("_", "-"): f
    for f in (
        conv_bn_relu,
        transpose_pairs,
        reshape_pairs,
        constant_subgraphs,
        shared_initializer,
        many_consumers,
        mixed,
    )
}


class _Builder:
    def __init__(self) -> None:
        self.current = "x"
        self._nodes: list[onnx.NodeProto] = []
        self._weights: list[onnx.TensorProto] = []
        self._random = np.random.default_rng(0)

    def weight(self, name: str, shape: tuple[int, ...], scale: float = 1.0) -> None:
        values = np.abs(self._random.standard_normal(shape)) * scale + 0.1
        self.constant(name, values.astype(np.float32))

    def constant(self, name: str, array: np.ndarray) -> None:
        self._weights.append(numpy_helper.from_array(array, name))

    def node(self, operator: str, others: list[str] | None = None, **attributes: object) -> None:
        """A node on the main line: it reads the last one, and others."""
        name = f"v{len(self._nodes)}"
        self.side(name, operator, [self.current, *(others or [])], **attributes)
        self.current = name

    def side(self, output: str, operator: str, inputs: list[str], **attributes: object) -> None:
        node = helper.make_node(operator, inputs, [output], name=f"{operator}_{len(self._nodes)}", **attributes)
        self._nodes.append(node)

    def model(self, shape: list[int | str]) -> onnx.ModelProto:
        graph = helper.make_graph(
            self._nodes,
            "graph",
            [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)],
            [helper.make_tensor_value_info(self.current, TensorProto.FLOAT, shape)],
            self._weights,
        )
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)])
        model.ir_version = 8
        return model
