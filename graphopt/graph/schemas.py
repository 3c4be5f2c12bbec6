"""Operator schemas by opset, looked up once."""

from __future__ import annotations

from functools import cache
from typing import Any

import onnx
from onnx import defs

STANDARD_DOMAINS = frozenset({"", "ai.onnx.ml", "ai.onnx.preview.training", "ai.onnx.training", "ai.onnx.preview"})

NEWEST_OPSET: dict[str, int] = {"": defs.onnx_opset_version(), "ai.onnx.ml": defs.onnx_ml_opset_version()}


def standard_domain(domain: str) -> str:
    """The default domain has two spellings; this is the short one."""
    return "" if domain == "ai.onnx" else domain


@cache
def schema(op_type: str, opset: int, domain: str = "") -> defs.OpSchema | None:
    """The schema in force at this opset, or None where there is no such operator (yet, or any more)."""
    try:
        found = defs.get_schema(op_type, opset, domain)
    except defs.SchemaError:
        return None
    return None if found.deprecated else found


def has_operator(op_type: str, opset: int, domain: str = "") -> bool:
    return schema(op_type, opset, domain) is not None


@cache
def attribute_default(op_type: str, opset: int, name: str, domain: str = "") -> Any:
    """The default that the schema states for an attribute, decoded; None where it states none."""
    found = schema(op_type, opset, domain)
    if found is None or name not in found.attributes:
        return None
    proto = found.attributes[name].default_value
    if not proto.type:
        return None
    from graphopt.graph.attributes import Attribute

    return Attribute(name, proto.type, proto=proto).value


@cache
def attribute_kind(op_type: str, opset: int, name: str, domain: str = "") -> int | None:
    """The kind (`onnx.AttributeProto.AttributeType`) that the schema gives an attribute; None if it has no such."""
    found = schema(op_type, opset, domain)
    if found is None or name not in found.attributes:
        return None
    return declared_kind(found.attributes[name])


def declared_kind(attribute: defs.OpSchema.Attribute) -> int:
    """The kind that a schema gives an attribute, numbered as `onnx.AttributeProto.AttributeType`."""
    kind: Any = attribute.type  # an IntEnum, which onnx's stub does not say
    return int(kind)


@cache
def is_pure(op_type: str, domain: str = "") -> bool:
    """Whether equal inputs give equal outputs: not so for random operators."""
    return (domain, op_type) not in _RANDOM


_RANDOM = {
    ("", name)
    for name in ("RandomNormal", "RandomNormalLike", "RandomUniform", "RandomUniformLike", "Multinomial", "Bernoulli")
}


def opset_imports(opsets: dict[str, int]) -> list[onnx.OperatorSetIdProto]:
    """The opsets as protos, in a stable order."""
    return [onnx.OperatorSetIdProto(domain=d, version=v) for d, v in sorted(opsets.items())]
