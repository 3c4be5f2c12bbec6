"""The structure of a model as text that depends on neither names nor the order of nodes.

Values are numbered as they are reached from the outputs; attributes that equal their defaults are left out; a weight is
`constant`, except integers, which mean shapes and axes and are shown; those of 8 bits are codes, and are not.
"""

from __future__ import annotations

import numpy as np
import onnx
from onnx import defs, helper, numpy_helper

SHOWN = 16
"""Elements up to which integers are shown."""


def structure(model: onnx.ModelProto) -> str:
    """The graph as text; two models with one text differ in names, order, metadata and the data of weights only."""
    opsets = {o.domain: o.version for o in model.opset_import}
    return "\n".join(_Scope(model.graph, opsets, None).lines())


def structure_of_values(model: onnx.ModelProto) -> str:
    """The same, looking through Identity: which of two outputs that show one value is the copy does not matter. Of
    nodes that nobody reads there is no order to list them in: their operators are named."""
    opsets = {o.domain: o.version for o in model.opset_import}
    return "\n".join(_Scope(model.graph, opsets, None, values_only=True).lines())


class _Scope:
    def __init__(
        self,
        graph: onnx.GraphProto,
        opsets: dict[str, int],
        outer: _Scope | None,
        *,
        values_only: bool = False,
    ) -> None:
        self.graph = graph
        self.opsets = opsets
        self.outer = outer
        self.values_only = values_only
        self.skipped = ("Constant", "Identity") if values_only else ("Constant",)
        self.initializers = {t.name: t for t in graph.initializer}
        self.inputs = [i.name for i in graph.input]
        self.producers = {name: node for node in graph.node for name in node.output if name}
        self.shown: dict[int, str] = {}
        self.text: list[str] = []

    def lines(self) -> list[str]:
        self.text = [f"in {name}{' = default' if name in self.initializers else ''}" for name in self._named_inputs()]
        for info in self.graph.output:
            label = info.name if self.outer is None else "output"
            self.text.append(f"out {label} = {self.value(info.name)}")
        unread = [n for n in self.graph.node if id(n) not in self.shown and not self._is_skipped(n)]
        if self.values_only:
            return [*self.text, f"unread: {', '.join(sorted(n.op_type for n in unread))}"]
        for node in unread:
            self._node(node)
        return self.text

    def _named_inputs(self) -> list[str]:
        return self.inputs if self.outer is None else [f"#{i}" for i in range(len(self.inputs))]

    def value(self, name: str) -> str:
        if not name:
            return "absent"
        if name in self.inputs:
            return name if self.outer is None else f"#{self.inputs.index(name)}"
        if name in self.initializers:
            return _constant(numpy_helper.to_array(self.initializers[name]))
        node = self.producers.get(name)
        if node is None:
            return self.outer.value(name) if self.outer is not None else "constant"
        if self._is_skipped(node):
            return _constant_node(node) if node.op_type == "Constant" else self.value(node.input[0])
        index = list(node.output).index(name)
        number = self._node(node)
        return f"%{number}" if index == 0 else f"%{number}.{index}"

    def _node(self, node: onnx.NodeProto) -> str:
        key = id(node)
        if key in self.shown or self._is_skipped(node):
            return self.shown.get(key, "")
        inputs = [self.value(name) for name in node.input]
        while inputs and inputs[-1] == "absent":
            inputs.pop()
        self.shown[key] = number = f"{self._depth()}{len(self.shown)}"
        operator = f"{node.domain}::{node.op_type}" if node.domain else node.op_type
        attributes, bodies = self._attributes(node)
        self.text.append(f"  %{number} = {operator}({', '.join([*inputs, *attributes])})")
        for body in bodies:
            self.text.extend(f"    {line}" for line in body)
        return number

    def _is_skipped(self, node: onnx.NodeProto) -> bool:
        return node.op_type in self.skipped and not node.domain

    def _depth(self) -> str:
        return "" if self.outer is None else f"{self.outer._depth()}b"

    def _attributes(self, node: onnx.NodeProto) -> tuple[list[str], list[list[str]]]:
        plain: list[str] = []
        bodies: list[list[str]] = []
        for attribute in sorted(node.attribute, key=lambda a: a.name):
            if attribute.HasField("g"):
                inner = _Scope(attribute.g, self.opsets, self, values_only=self.values_only).lines()
                bodies.append([f"{attribute.name}:", *(f"  {line}" for line in inner)])
                continue
            value = _plain(attribute)
            if value != _default(node, attribute.name, self.opsets):
                plain.append(f"{attribute.name}={value}")
        return plain, bodies


def _plain(attribute: onnx.AttributeProto) -> str:
    value = helper.get_attribute_value(attribute)
    if isinstance(value, onnx.TensorProto):
        return _constant(numpy_helper.to_array(value))
    return str(list(value) if not isinstance(value, (int, float, bytes)) else value)


def _default(node: onnx.NodeProto, name: str, opsets: dict[str, int]) -> str | None:
    try:
        schema = defs.get_schema(node.op_type, opsets[node.domain], node.domain)
    except (defs.SchemaError, KeyError):
        return None
    found = schema.attributes.get(name)
    return _plain(found.default_value) if found is not None and found.default_value.type else None


def _constant_node(node: onnx.NodeProto) -> str:
    value = helper.get_attribute_value(node.attribute[0])
    if isinstance(value, onnx.TensorProto):
        return _constant(numpy_helper.to_array(value))
    return _constant(np.asarray(value, None if node.attribute[0].name.startswith("value_int") else np.float32))


def _constant(array: np.ndarray) -> str:
    if array.dtype.kind in "iu" and array.size <= SHOWN and array.itemsize > 1:
        return f"{array.dtype}{list(array.shape)}{array.ravel().tolist()}"
    return "constant"
