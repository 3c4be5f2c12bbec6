"""A model in which every floating tensor is a float64, whatever it was declared as."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, TypeGuard

import numpy as np
import onnx
from onnx import AttributeProto, NodeProto, TensorProto, numpy_helper

from graphopt.graph.schemas import schema

Array = np.ndarray[Any, Any]

WIDENED = frozenset({TensorProto.FLOAT, TensorProto.FLOAT16, TensorProto.BFLOAT16})
"""The 8-bit floats and smaller stay: they are codes of quantized numbers, and rounding to them is what an operator
means."""

NARROW = frozenset({"float32", "float16", "bfloat16"})
"""The same, by their numpy names."""

_TYPE_ATTRIBUTES = {
    "Attention": "softmax_precision",
    "Cast": "to",
    "EyeLike": "dtype",
    "SequenceEmpty": "dtype",
    "DequantizeLinear": "output_dtype",
    "BlackmanWindow": "output_datatype",
    "HammingWindow": "output_datatype",
    "HannWindow": "output_datatype",
    "MelWeightMatrix": "output_datatype",
}
"""Operators that name an element type, and the attribute that does; all of the default domain."""

_WITHOUT_DEFAULTS = frozenset({"CastLike"})
"""What the evaluator does not take the attributes of."""


class NotComputable(Exception):
    """Something has no value in float64; says the operator and why."""


class Fails(NotComputable):
    """An operator does not take what it is given: not its lack, but the model's."""


def widen_model(model: onnx.ModelProto) -> onnx.ModelProto:
    """A copy; the original is not touched."""
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    widen_graph(copy.graph, {o.domain: o.version for o in copy.opset_import})
    for function in copy.functions:
        widen_nodes(function.node, {o.domain: o.version for o in function.opset_import})
        del function.value_info[:]
    return copy


def is_array(value: object) -> TypeGuard[Array]:
    """Whether a value is a tensor, and no sequence or absence of one."""
    return isinstance(value, np.ndarray)


def widen_array(array: Array) -> Array:
    """float16, bfloat16 and float32 as float64; an array of any other type as it is."""
    return array.astype(np.float64) if array.dtype.name in NARROW else array


def widen_graph(graph: onnx.GraphProto, opsets: Mapping[str, int]) -> None:
    """In place, the bodies of its nodes included."""
    for tensor in graph.initializer:
        _widen_tensor(tensor)
    for info in (*graph.input, *graph.output):
        _widen_type(info.type)
    del graph.value_info[:]
    widen_nodes(graph.node, opsets)


def widen_nodes(nodes: Iterable[NodeProto], opsets: Mapping[str, int]) -> None:
    """In place. Attributes that are left out are written out as what they are by default at these opsets: the evaluator
    takes the newest default."""
    for node in nodes:
        if node.domain in ("", "ai.onnx"):
            _write_defaults(node, opsets.get(node.domain, opsets.get("", 1)))
            _widen_by_operator(node)
        for attribute in node.attribute:
            _widen_attribute(attribute, opsets)


def _write_defaults(node: NodeProto, opset: int) -> None:
    found = schema(node.op_type, opset)
    if found is None or node.op_type in _WITHOUT_DEFAULTS:
        return
    present = {a.name for a in node.attribute}
    for name in sorted(found.attributes):
        default = found.attributes[name].default_value
        if name not in present and default.type != AttributeProto.UNDEFINED:
            node.attribute.add().CopyFrom(default)


def _widen_by_operator(node: NodeProto) -> None:
    named = _TYPE_ATTRIBUTES.get(node.op_type)
    for attribute in node.attribute:
        if attribute.name == named and attribute.i in WIDENED:
            attribute.i = TensorProto.DOUBLE
    if node.op_type == "Constant":
        _widen_constant(node)
    if node.op_type == "ConstantOfShape" and not node.attribute:
        node.attribute.add(name="value", type=AttributeProto.TENSOR, t=numpy_helper.from_array(np.zeros(1)))


def _widen_constant(node: NodeProto) -> None:
    """The short forms for numbers make float32."""
    (form,) = [a for a in node.attribute if a.name.startswith(("value", "sparse"))] or [AttributeProto()]
    if form.name in ("value_float", "value_floats"):
        value = np.float64(form.f) if form.name == "value_float" else np.asarray(form.floats, np.float64)
        del node.attribute[:]
        node.attribute.add(name="value", type=AttributeProto.TENSOR, t=numpy_helper.from_array(np.asarray(value)))


def _widen_attribute(attribute: AttributeProto, opsets: Mapping[str, int]) -> None:
    for tensor in [attribute.t] if attribute.type == AttributeProto.TENSOR else attribute.tensors:
        _widen_tensor(tensor)
    for graph in [attribute.g] if attribute.type == AttributeProto.GRAPH else attribute.graphs:
        widen_graph(graph, opsets)
    if attribute.type == AttributeProto.TYPE_PROTO:
        _widen_type(attribute.tp)


def _widen_tensor(tensor: TensorProto) -> None:
    if tensor.data_type in WIDENED:
        name = tensor.name
        tensor.CopyFrom(numpy_helper.from_array(widen_array(numpy_helper.to_array(tensor)), name))


def _widen_type(of: onnx.TypeProto) -> None:
    kind = of.WhichOneof("value")
    if kind in ("tensor_type", "sparse_tensor_type"):
        tensor = getattr(of, kind)
        if tensor.elem_type in WIDENED:
            tensor.elem_type = TensorProto.DOUBLE
    elif kind in ("sequence_type", "optional_type"):
        _widen_type(getattr(of, kind).elem_type)
    elif kind == "map_type":
        _widen_type(of.map_type.value_type)
