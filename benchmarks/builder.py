"""Models node by node: a main line of nodes, each reading the last, and what stands beside it."""

from __future__ import annotations

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

OPSET = 17


class Builder:
    """Collects nodes and weights; `current` is the end of the main line."""

    def __init__(self) -> None:
        self.current = "x"
        self._nodes: list[onnx.NodeProto] = []
        self._weights: list[onnx.TensorProto] = []
        self._random = np.random.default_rng(0)

    def weight(self, name: str, shape: tuple[int, ...], scale: float = 1.0) -> None:
        """A weight of positive random numbers."""
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
        """A node beside the main line."""
        self.add(helper.make_node(operator, inputs, [output], name=f"{operator}_{len(self._nodes)}", **attributes))

    def add(self, node: onnx.NodeProto) -> None:
        self._nodes.append(node)

    def model(self, shape: list[int | str], result: list[int | str] | None = None) -> onnx.ModelProto:
        """The model that reads `x` of this shape and gives `current`, of the same shape if no other is named."""
        graph = helper.make_graph(
            self._nodes,
            "graph",
            [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)],
            [helper.make_tensor_value_info(self.current, TensorProto.FLOAT, result or shape)],
            self._weights,
        )
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)])
        model.ir_version = 8
        return model
