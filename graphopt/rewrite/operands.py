"""Constants and attributes of new nodes, in the types that their operators take."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np

from graphopt.graph.attributes import Attribute, Kind
from graphopt.graph.dtypes import DType
from graphopt.graph.model import Model
from graphopt.graph.schemas import schema
from graphopt.graph.tensor import Tensor
from graphopt.lang.literals import same_attribute
from graphopt.lang.values import Constant, Decline, constant_of, round_to
from graphopt.rewrite.emit import NewNode


def schema_types(new: NewNode, model: Model) -> list[str]:
    """For each input the type variable of the schema that it shares with others, or a text of its own."""
    formal = _formal_types(new.op_type, model.opsets.get(new.domain, 0), new.domain)
    if not formal:
        return [f"input {i}" for i in range(len(new.inputs))]
    return [formal[min(i, len(formal) - 1)] for i in range(len(new.inputs))]


@cache
def _formal_types(op_type: str, opset: int, domain: str) -> tuple[str, ...]:
    found = schema(op_type, opset, domain)
    return () if found is None else tuple(i.type_str for i in found.inputs)


def to_tensor(operand: Any, dtype: DType | None, bindings: dict[str, Any]) -> Tensor:
    """What a rewrite has computed, rounded once to the type that is wanted: of `dtype`, else its own, else the rule's.

    Raises:
        Decline: it is no constant, or does not fit the type.
    """
    constant: Constant = constant_of(operand)
    wanted = dtype or constant.dtype
    if wanted is None and constant.array.dtype.kind == "f":
        generic = bindings.get("T")
        wanted = generic if isinstance(generic, DType) else DType.float32
    if wanted is None:
        wanted = DType.bool if constant.array.dtype.kind == "b" else DType.int64
    array = np.ascontiguousarray(round_to(constant, wanted))
    return Tensor.of(array.reshape(constant.array.shape))


def to_attribute(name: str, kind: int | None, value: Any) -> Attribute:
    """What a rewrite has computed as an attribute of the kind that the operator declares.

    Raises:
        Decline: it is no such value.
    """
    if kind == Kind.TENSOR:
        return Attribute(name, Kind.TENSOR, to_tensor(value, None, {}))
    if isinstance(value, DType):
        value = int(value)
    if isinstance(value, Constant):
        value = value.array.tolist()
    try:
        made = Attribute.typed(name, kind, value) if kind is not None else Attribute.of(name, value)
        stored = Attribute(name, made.kind, proto=made.to_proto()).value
    except (TypeError, ValueError):
        raise Decline(f"{value!r} is no value for the attribute {name}") from None
    if not same_attribute(stored, made.value):
        raise Decline(f"{value!r} is no value for the attribute {name}")
    return made
