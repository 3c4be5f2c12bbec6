"""Every version of an operator's schema, as plain data: what onnx hands out is made anew at each look."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache, cached_property
from typing import Any

from onnx import defs

from graphopt.graph.attributes import Attribute
from graphopt.graph.dtypes import DType
from graphopt.graph.schemas import NEWEST_OPSET, STANDARD_DOMAINS, declared_kind
from graphopt.lang import tree as t
from graphopt.lang.operators import split_operator

OLDEST_OPSET = 7
"""Where a rule without a range begins: older models are raised to this opset first."""


@dataclass(frozen=True)
class Formal:
    """An input or output: `option` is "single", "optional" or "variadic"; inputs and outputs of one `type` agree."""

    name: str
    option: str
    type: str

    def __str__(self) -> str:
        return self.name + {"optional": "?", "variadic": "*"}.get(self.option, "")


@dataclass(frozen=True)
class Declared:
    """An attribute: its kind (`onnx.AttributeProto.AttributeType`), and its default, None where it has none."""

    kind: int
    is_required: bool
    default: Any


class Version:
    """One version of an operator; what is not asked for is not read."""

    def __init__(self, schema: defs.OpSchema) -> None:
        self._schema = schema
        self.name = schema.name
        self.domain = schema.domain
        self.since = schema.since_version
        self.is_deprecated = schema.deprecated
        self.arity: tuple[int, int] = schema.min_input, schema.max_input
        self.most_outputs: int = schema.max_output

    @cached_property
    def inputs(self) -> tuple[Formal, ...]:
        return tuple(Formal(i.name, _OPTIONS[i.option], i.type_str) for i in self._schema.inputs)

    @cached_property
    def outputs(self) -> tuple[Formal, ...]:
        return tuple(Formal(o.name, _OPTIONS[o.option], o.type_str) for o in self._schema.outputs)

    @cached_property
    def attributes(self) -> dict[str, Declared]:
        return {name: _declared(name, attribute) for name, attribute in self._schema.attributes.items()}

    @cached_property
    def types(self) -> dict[str, frozenset[DType]]:
        """Which element types a type variable stands for."""
        return {c.type_param_str: _dtypes(tuple(c.allowed_type_strs)) for c in self._schema.type_constraints}

    def input(self, position: int) -> Formal | None:
        """The formal input at a position; a variadic one takes all that follow."""
        if position < len(self.inputs):
            return self.inputs[position]
        return self.inputs[-1] if self.inputs and self.inputs[-1].option == "variadic" else None

    def output(self, position: int) -> Formal | None:
        if position < len(self.outputs):
            return self.outputs[position]
        return self.outputs[-1] if self.outputs and self.outputs[-1].option == "variadic" else None

    def dtypes(self, formal: Formal) -> frozenset[DType]:
        """The element types that an input or output may have; empty where it is no tensor."""
        return self.types.get(formal.type) or _dtypes((formal.type,))


def versions_of(domain: str, name: str) -> tuple[Version, ...]:
    """All versions of an operator, the oldest first; none where there is no such operator."""
    return _histories().get((domain, name), ())


def operator_names(domain: str) -> list[str]:
    """Every operator of a domain, whatever its opset."""
    return sorted(name for known, name in _histories() if known == domain)


@cache
def _histories() -> dict[tuple[str, str], tuple[Version, ...]]:
    """Asking for all schemas at once takes as long as asking for those of twenty operators."""
    found: dict[tuple[str, str], list[Version]] = {}
    for schema in defs.get_all_schemas_with_history():
        version = Version(schema)
        found.setdefault((version.domain, version.name), []).append(version)
    return {key: tuple(sorted(versions, key=lambda v: v.since)) for key, versions in found.items()}


def is_standard(operator: str) -> bool:
    """Whether an operator is of a domain whose schemas are known."""
    return split_operator(operator)[0] in STANDARD_DOMAINS


def opset_bounds(opset: t.OpsetRange | None) -> tuple[int, int]:
    """The first and the last opset of the default domain that a range means, as far as they are known."""
    low = opset.low if opset is not None and opset.low is not None else OLDEST_OPSET
    high = opset.high if opset is not None and opset.high is not None else NEWEST_OPSET[""]
    return max(low, 1), min(high, NEWEST_OPSET[""])


def versions_within(operator: str, opset: t.OpsetRange | None) -> dict[int, Version | None]:
    """The versions in force within a range, by the first opset of each; None where there is none (any more)."""
    domain, name = split_operator(operator)
    low, high = opset_bounds(opset) if domain == "" else (NEWEST_OPSET.get(domain, 1),) * 2
    return _within(domain, name, low, high)


@cache
def _within(domain: str, name: str, low: int, high: int) -> dict[int, Version | None]:
    found: dict[int, Version | None] = {}
    before = [v for v in versions_of(domain, name) if v.since <= low]
    found[low] = before[-1] if before else None
    found.update((v.since, v) for v in versions_of(domain, name) if low < v.since <= high)
    return {opset: None if v is None or v.is_deprecated else v for opset, v in found.items()}


def newest_within(operator: str, opset: t.OpsetRange | None) -> Version | None:
    """The newest version in force within a range."""
    return next((v for v in reversed(versions_within(operator, opset).values()) if v is not None), None)


_OPTIONS = {
    defs.OpSchema.FormalParameterOption.Single: "single",
    defs.OpSchema.FormalParameterOption.Optional: "optional",
    defs.OpSchema.FormalParameterOption.Variadic: "variadic",
}


def _declared(name: str, attribute: defs.OpSchema.Attribute) -> Declared:
    proto = attribute.default_value
    default = Attribute(name, proto.type, proto=proto).value if proto.type else None
    return Declared(declared_kind(attribute), attribute.required, default)


_TYPE_NAMES = {
    f"tensor({name})": dtype
    for dtype in DType
    for name in (
        dtype.name,
        {"float32": "float", "float64": "double"}.get(dtype.name, dtype.name),
    )
}


@cache
def _dtypes(texts: tuple[str, ...]) -> frozenset[DType]:
    return frozenset(_TYPE_NAMES[text] for text in texts if text in _TYPE_NAMES)
