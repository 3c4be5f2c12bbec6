"""Element types that a target lacks, computed in wider ones.

Every value of such a type is made in the wider type, and lies within the range of its own; what could leave that range
is wrapped around, as the narrow type would. Inputs and outputs of the graph keep their types: Casts stand behind and
before them.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import onnx

from graphopt.graph.attributes import Attribute
from graphopt.graph.dead import sweep_graph
from graphopt.graph.dtypes import DType
from graphopt.graph.graph import Graph, Node, Value
from graphopt.graph.model import Model
from graphopt.graph.schemas import schema
from graphopt.graph.tensor import Tensor
from graphopt.graph.types import type_proto
from graphopt.legalize.arithmetic import Arithmetic
from graphopt.legalize.shifts import shifted
from graphopt.legalize.widened import INEXACT, KEEPS, ORDERS, SHIFTS, WIDER, WRAPS

QUANTIZERS = ("QuantizeLinear", "DequantizeLinear")


@dataclass
class Widened:
    """What became of a model.

    Attributes:
        values: how many values have another type now.
        inexact: names of those whose values may not be exact in it.
    """

    values: int = 0
    inexact: list[str] = field(default_factory=list[str])


def widen_types(model: Model, lacking: frozenset[DType], *, allow_narrowing: bool = False) -> Widened:
    """Compute what has one of the lacking types in another one.

    Args:
        lacking: element types that the target does not compute in.
        allow_narrowing: also those for which no other type holds every value: float64 becomes float32 and uint64 int64.
    """
    model.sort()
    wanted = {d: w for d, w in WIDER.items() if d in lacking and (allow_narrowing or d not in INEXACT)}
    return _Widening(model, wanted).run()


class _Widening:
    def __init__(self, model: Model, wanted: dict[DType, DType]) -> None:
        self.model = model
        self.wanted = wanted
        self.found = Widened()
        self.narrow: dict[Value, DType] = {}

    def run(self) -> Widened:
        nodes = [n for n in self.model.all_nodes() if not _moves_codes(n)]
        if not any(self._computes(n) for n in nodes):
            return self.found
        for graph in list(self.model.all_graphs()):
            self._given(graph)
        for node in nodes:
            if node.graph is not None:
                self._node(node)
        for graph in list(self.model.all_graphs()):
            sweep_graph(graph)
            if not graph.is_main:
                graph.output_infos = [_declared(v) or i for v, i in zip(graph.outputs, graph.output_infos, strict=True)]
        self.model.sort()
        return self.found

    def _computes(self, node: Node) -> bool:
        """Whether a node has to do with the lacking types, and is more than a Cast at the border of the graph."""
        touched = [v for v in (*node.inputs, *node.outputs) if v is not None and self._is_lacking(v)]
        if node.op_type != "Cast":
            return bool(touched) and (node.op_type != "Constant" or any(v.is_output for v in touched))
        return any(not (v.is_input or v.is_output) for v in touched) or any(v.dtype in INEXACT for v in touched[1:])

    def _is_lacking(self, value: Value) -> bool:
        return value.dtype in self.wanted and value.type_proto is None and not _is_code(value)

    # --- what is there before any node runs ---

    def _given(self, graph: Graph) -> None:
        for value in [*graph.inputs]:
            if not self._is_lacking(value):
                continue
            if graph.is_main:
                self._behind_input(value, graph)
            else:
                self._retype(value)
        for value in [v for v in graph.initializers if not v.is_input and self._is_lacking(v)]:
            self._convert_constant(value, graph)
        for node in [n for n in graph.nodes if n.op_type == "Constant" and not n.domain]:
            value = node.outputs[0]
            if value is not None and value.constant is not None and self._is_lacking(value):
                self._convert_constant(value, graph)

    def _behind_input(self, value: Value, graph: Graph) -> None:
        readers = [n for n in value.uses if not _moves_codes(n)]
        if not readers or all(n.op_type == "Cast" and self._stays(n) for n in readers):
            return
        assert value.dtype is not None
        wide = graph.new_value(f"{value.name}.wide", self.wanted[value.dtype], value.shape)
        for node in readers:
            _reread(node, value, wide)
        graph.add_node(_cast(value, wide), -1)
        self._note(value, wide, value.dtype)

    def _stays(self, cast: Node) -> bool:
        """A Cast of an input to a type that the target has."""
        result = cast.outputs[0]
        return result is not None and not self._is_lacking(result)

    def _convert_constant(self, value: Value, graph: Graph) -> None:
        assert value.constant is not None
        assert value.dtype is not None
        readers = [n for n in value.uses if not _moves_codes(n)]
        shown = value.output_slots and not graph.is_main
        if not readers and not shown:
            return
        array = value.constant.numpy().astype(self.wanted[value.dtype].numpy)
        wide = graph.add_initializer(Tensor.of(np.asarray(array)), f"{value.name}.wide")
        for node in readers:
            _reread(node, value, wide)
        if shown:
            _show(graph, value, wide)
        self._note(value, wide, value.dtype)

    # --- nodes ---

    def _node(self, node: Node) -> None:
        reads = [v for v in node.inputs if v is not None and v in self.narrow]
        makes = [v for v in node.outputs if v is not None and self._is_lacking(v)]
        if node.op_type == "Constant" or not (reads or makes):
            return
        if node.op_type == "Cast" and not reads and makes and makes[0].is_output and not makes[0].uses:
            return
        if not self._is_convertible(node, reads, makes):
            self._fence(node, reads, makes)
            return
        graph = node.graph
        assert graph is not None
        if node.op_type == SHIFTS:
            self._shift(node, graph)
            return
        _state_type(node, self.wanted)
        for value in makes:
            self._make_wide(node, value, graph)

    def _is_convertible(self, node: Node, reads: list[Value], makes: list[Value]) -> bool:
        if node.domain or node.op_type not in (KEEPS | WRAPS | {SHIFTS}):
            return {self.narrow[v] for v in reads} | {v.dtype for v in makes} == {DType.float64}
        if node.op_type in ("ScatterElements", "ScatterND") and node.attribute("reduction", "none") in ("add", "mul"):
            return False
        return self._takes(node, reads, makes)

    def _takes(self, node: Node, reads: list[Value], makes: list[Value]) -> bool:
        """Whether the operator, at this opset, takes the wider types."""
        found = schema(node.op_type, self.model.opset)
        if found is None or node.op_type == SHIFTS:
            return node.op_type == SHIFTS
        for values, formals in ((node.inputs, found.inputs), (node.outputs, found.outputs)):
            for index, value in enumerate(values):
                if value is None or (value not in reads and value not in makes):
                    continue
                formal = formals[min(index, len(formals) - 1)]
                wide = self.wanted[self.narrow.get(value) or value.dtype or DType.float32]
                if f"tensor({_ONNX_NAMES.get(wide, wide.name)})" not in formal.types:
                    return False
        return True

    def _fence(self, node: Node, reads: list[Value], makes: list[Value]) -> None:
        """Casts around a node that is left as it is."""
        graph = node.graph
        assert graph is not None
        for value in dict.fromkeys(reads):
            back = graph.new_value(f"{value.name}.narrow", self.narrow[value], value.shape)
            graph.add_node(_cast(value, back), node.order)
            _reread(node, value, back)
        for value in makes:
            if not value.uses and not (value.output_slots and not graph.is_main):
                continue
            assert value.dtype is not None
            wide = graph.new_value(f"{value.name}.wide", self.wanted[value.dtype], value.shape)
            graph.redirect(value, wide)
            graph.add_node(_cast(value, wide), node.order)
            if not graph.is_main:
                _show(graph, value, wide)
            self._note(value, wide, value.dtype)

    def _shift(self, node: Node, graph: Graph) -> None:
        """Let arithmetic make the wider twin of what a BitShift makes."""
        value = node.outputs[0]
        assert value is not None
        assert value.dtype is not None
        make = Arithmetic(graph, node)
        last = shifted(node, value.dtype, make)
        if value.dtype not in INEXACT:
            last = make.wrapped(last, value.dtype)
        order = node.order
        graph.remove_node(node)
        self._stand_in(value, last, graph, order)
        self._note(value, last, value.dtype, inexact=value.dtype in INEXACT)

    def _make_wide(self, node: Node, value: Value, graph: Graph) -> None:
        """Let a node make the wider twin of one of its outputs."""
        assert value.dtype is not None
        dtype = value.dtype
        wide = graph.new_value(f"{value.name}.wide", self.wanted[dtype], value.shape)
        node.outputs[node.outputs.index(value)] = wide
        wide.producer, value.producer = node, None
        last = Arithmetic(graph, node).wrapped(wide, dtype) if self._must_wrap(node, dtype) else wide
        self._stand_in(value, last, graph, node.order)
        self._note(value, last, dtype, inexact=dtype in INEXACT and (dtype is not DType.uint64 or _orders(node)))

    def _stand_in(self, value: Value, wide: Value, graph: Graph, order: int) -> None:
        """Let whatever reads a value read its wider twin."""
        graph.redirect(value, wide)
        if graph.is_main and value.is_output:
            graph.add_node(_cast(wide, value), order)
        elif value.is_output:
            _show(graph, value, wide)

    def _must_wrap(self, node: Node, dtype: DType) -> bool:
        if dtype in INEXACT:
            return False
        if node.op_type != "Cast":
            return node.op_type in WRAPS
        source = node.inputs[0]
        held = self.narrow.get(source) if source is not None else None
        return source is None or not _within(held or source.dtype, dtype)

    # --- keeping count ---

    def _retype(self, value: Value) -> None:
        assert value.dtype is not None
        dtype = value.dtype
        value.dtype = self.wanted[dtype]
        value.declared = _declared(value)
        self._note(value, value, dtype)

    def _note(self, value: Value, wide: Value, dtype: DType, *, inexact: bool | None = None) -> None:
        self.narrow[wide] = dtype
        self.found.values += 1
        if dtype is DType.float64 if inexact is None else inexact:
            self.found.inexact.append(value.name)


_ONNX_NAMES = {DType.float32: "float", DType.float64: "double"}


def _orders(node: Node) -> bool:
    return node.op_type in ORDERS


def _within(inner: DType | None, outer: DType) -> bool:
    """Whether every value of a type is one of another."""
    if inner is None or not (inner.is_integer or inner is DType.bool):
        return False
    if inner is DType.bool or inner is outer:
        return True
    signed, outer_signed = not inner.name.startswith("u"), not outer.name.startswith("u")
    return inner.bits < outer.bits and (outer_signed or not signed)


def _is_code(value: Value) -> bool:
    """Whether a value is the int8 side of quantizers and of nothing else."""
    if value.dtype is not DType.int8 or not value.uses or value.output_slots:
        return False
    made = value.producer is None or value.producer.op_type in ("QuantizeLinear", "Constant")
    return made and all(_moves_codes(n) for n in value.uses)


def _moves_codes(node: Node) -> bool:
    return node.op_type in QUANTIZERS and not node.domain


def _cast(source: Value, result: Value) -> Node:
    assert result.dtype is not None
    node = Node("Cast", [source], [result], {"to": Attribute.of("to", int(result.dtype))})
    node.name = result.graph.model.names.fresh(f"{result.name}.cast")
    return node


def _reread(node: Node, old: Value, new: Value) -> None:
    for index, value in enumerate(node.inputs):
        if value is old:
            node.set_input(index, new)


def _declared(value: Value) -> onnx.ValueInfoProto | None:
    """The type of a value as a graph states it; None where it is not known."""
    kind = type_proto(value)
    return None if kind is None else onnx.ValueInfoProto(name=value.name, type=kind)


def _show(graph: Graph, old: Value, new: Value) -> None:
    """Fill the places that a value has among the outputs of a body with another one."""
    for index, value in enumerate(graph.outputs):
        if value is old:
            graph.set_output(index, new)


def _state_type(node: Node, wanted: dict[DType, DType]) -> None:
    """Element types that stand among the attributes."""
    for name in ("to", "dtype"):
        asked = node.attribute(name)
        if isinstance(asked, int) and asked in wanted:
            node.attributes[name] = Attribute.of(name, int(wanted[DType(asked)]))
    if node.op_type == "ConstantOfShape" and (held := node.attribute("value")) is not None and held.dtype in wanted:
        array = held.numpy().astype(wanted[held.dtype].numpy)
        node.attributes["value"] = Attribute.of("value", Tensor.of(array))
