"""Attributes of a node: decoded when they are read, written back as they came when they are not."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import onnx

from graphopt.graph.tensor import Tensor

if TYPE_CHECKING:
    from graphopt.graph.graph import Graph

Kind = onnx.AttributeProto.AttributeType

_GRAPH, _MANY_GRAPHS = _GRAPHS = (int(Kind.GRAPH), int(Kind.GRAPHS))

Plain = int | float | str | tuple[int, ...] | tuple[float, ...] | tuple[str, ...]


class Attribute:
    """One attribute. `value` is an int, float, str, a tuple of these, a Tensor, a Graph, or ONNX's own proto
    for the rare rest (types, sparse tensors); `reference` names the function attribute that it stands for.
    """

    __slots__ = ("_proto", "_value", "kind", "name", "reference")

    def __init__(self, name: str, kind: int, value: Any = None, proto: onnx.AttributeProto | None = None) -> None:
        self.name = name
        self.kind = kind
        self.reference = proto.ref_attr_name if proto is not None else ""
        self._value = value
        self._proto = proto

    @staticmethod
    def of(name: str, value: Any) -> Attribute:
        """An attribute from a Python value; the kind follows from its type.

        Raises:
            TypeError: no attribute can hold such a value.
        """
        kind = _kind_of(value)
        return Attribute(name, kind, tuple(value) if kind in _LISTS.values() else value)

    @staticmethod
    def typed(name: str, kind: int, value: Any) -> Attribute:
        """An attribute of a known kind, which matters for an empty list and for 1 as a float."""
        if kind == Kind.FLOAT:
            value = float(value)
        elif kind == Kind.FLOATS:
            value = tuple(float(v) for v in value)
        elif kind in (Kind.INTS, Kind.STRINGS):
            value = tuple(value)
        return Attribute(name, kind, value)

    @property
    def value(self) -> Any:
        if self._value is None and self._proto is not None:
            self._value = _decode(self._proto)
        return self._value

    @property
    def is_graph(self) -> bool:
        return self.kind in _GRAPHS

    @property
    def graphs(self) -> tuple[Graph, ...]:
        """The bodies that this attribute holds; empty for anything but subgraphs."""
        if self.kind == _GRAPH:
            return (self.value,)
        return tuple(self.value) if self.kind == _MANY_GRAPHS else ()

    def to_proto(self) -> onnx.AttributeProto:
        """The proto of an attribute that holds no subgraph (bodies are written by whoever writes graphs)."""
        if self._proto is not None:
            return self._proto
        proto = onnx.AttributeProto(name=self.name, type=self.kind)  # pyright: ignore[reportArgumentType]
        _encode(proto, self.kind, self._value)
        return proto

    def key(self) -> tuple[Any, ...]:
        """What two equal attributes have in common: hashable, floats by their stored (float32) bits."""
        return (self.name, self.kind, self.reference, self.to_proto().SerializeToString(deterministic=True))


def _kind_of(value: Any) -> int:
    plain = _plain_kind(value)
    if plain is not None:
        return plain
    if isinstance(value, (list, tuple)) and value:
        first = _kind_of_items(value)
        if first is not None:
            return _LISTS[first]
    if isinstance(value, Tensor):
        return Kind.TENSOR
    raise TypeError(f"no attribute can hold {value!r}")


_LISTS: dict[int, int] = {Kind.INT: Kind.INTS, Kind.FLOAT: Kind.FLOATS, Kind.STRING: Kind.STRINGS}


def _kind_of_items(items: Any) -> int | None:
    return Kind.FLOAT if any(isinstance(i, float) for i in items) else _plain_kind(items[0])


def _plain_kind(value: Any) -> int | None:
    if isinstance(value, (bool, int)):
        return Kind.INT
    if isinstance(value, float):
        return Kind.FLOAT
    return Kind.STRING if isinstance(value, (str, bytes)) else None


def _text(raw: bytes) -> str:
    return raw.decode("utf-8", "surrogateescape")


_DECODERS: dict[int, Callable[[onnx.AttributeProto], Any]] = {
    Kind.INT: lambda p: p.i,
    Kind.FLOAT: lambda p: p.f,
    Kind.STRING: lambda p: _text(p.s),
    Kind.INTS: lambda p: tuple(p.ints),
    Kind.FLOATS: lambda p: tuple(p.floats),
    Kind.STRINGS: lambda p: tuple(_text(s) for s in p.strings),
    Kind.TENSOR: lambda p: Tensor.from_proto(p.t),
    Kind.TENSORS: lambda p: tuple(Tensor.from_proto(t) for t in p.tensors),
    Kind.TYPE_PROTO: lambda p: p.tp,
    Kind.TYPE_PROTOS: lambda p: tuple(p.type_protos),
    Kind.SPARSE_TENSOR: lambda p: p.sparse_tensor,
    Kind.SPARSE_TENSORS: lambda p: tuple(p.sparse_tensors),
}


def _decode(proto: onnx.AttributeProto) -> Any:
    decoder = _DECODERS.get(proto.type)
    return decoder(proto) if decoder else None


def _bytes(text: str | bytes) -> bytes:
    return text if isinstance(text, bytes) else text.encode("utf-8", "surrogateescape")


def _encode(proto: onnx.AttributeProto, kind: int, value: Any) -> None:
    if kind == Kind.INT:
        proto.i = int(value)
    elif kind == Kind.FLOAT:
        proto.f = float(value)
    elif kind == Kind.STRING:
        proto.s = _bytes(value)
    elif kind == Kind.INTS:
        proto.ints.extend(int(v) for v in value)
    elif kind == Kind.FLOATS:
        proto.floats.extend(float(v) for v in value)
    elif kind == Kind.STRINGS:
        proto.strings.extend(_bytes(v) for v in value)
    elif kind == Kind.TENSOR:
        proto.t.CopyFrom(value.to_proto(""))
    else:
        raise TypeError(f"attribute {proto.name!r}: kind {kind} cannot be made anew")
