"""The Constant operator in its six forms."""

from __future__ import annotations

from functools import cache

import numpy as np

from graphopt.graph.attributes import Attribute, Kind
from graphopt.graph.dtypes import DType
from graphopt.graph.graph import Node
from graphopt.graph.schemas import schema
from graphopt.graph.tensor import Array, Tensor


def constant_of(node: Node) -> Tensor | None:
    """The tensor that a Constant node stands for.

    Float forms are float32 and integer forms int64, as the standard says. None for a sparse value, and inside
    a function where the value is an attribute of the caller.
    """
    for attribute in node.attributes.values():
        if attribute.reference:
            return None
        if attribute.name == "value":
            return attribute.value
        array = _array(attribute)
        if array is not None:
            return Tensor.of(array)
    return None


_PLAIN_FORMS = ("value_float", "value_floats", "value_int", "value_ints", "value_string", "value_strings")


def _array(attribute: Attribute) -> Array | None:
    if attribute.name not in _PLAIN_FORMS:
        return None
    value = attribute.value
    if attribute.kind in (Kind.FLOAT, Kind.FLOATS):
        return np.array(value, np.float32)
    if attribute.kind in (Kind.INT, Kind.INTS):
        return np.array(value, np.int64)
    return np.array(value, object)


@cache
def can_hold(dtype: DType, opset: int) -> bool:
    """Whether a Constant node of this opset can have this element type: before opset 9 it is floats or nothing."""
    found = schema("Constant", opset)
    name = {DType.float32: "float", DType.float64: "double"}.get(dtype, dtype.name)
    return found is not None and any(f"tensor({name})" in c.allowed_type_strs for c in found.type_constraints)


def constant_node_attributes(tensor: Tensor) -> dict[str, Attribute]:
    """The attributes of a Constant node that holds this tensor, in the form that every opset has."""
    return {"value": Attribute("value", Kind.TENSOR, tensor)}
