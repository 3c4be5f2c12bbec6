"""BitShift in arithmetic: x << n is x * 2 ** n, and x >> n is x / 2 ** n rounded down.

A shift by all bits or more, or by a negative number, leaves nothing but the sign (standard, BitShift-28). Each shift is
made in two halves, so that every factor fits the type.
"""

from __future__ import annotations

from graphopt.graph.dtypes import DType
from graphopt.graph.graph import Node, Value
from graphopt.graph.model import Model
from graphopt.legalize.arithmetic import Arithmetic

NATIVE = (DType.int32, DType.int64)
"""Element types that need no other one to shift in."""


def shifted(node: Node, dtype: DType, make: Arithmetic) -> Value:
    """What a BitShift gives whose operands, of this type, stand in int32 or int64; not wrapped yet."""
    value, count = node.inputs
    assert value is not None
    assert count is not None
    bits = dtype.bits
    bounded = make.make("Min", count, bits)
    if not dtype.name.startswith("u"):
        negative = make.make("Less", count, 0, dtype=DType.bool)
        bounded = make.make("Where", negative, make.number(bits, count), bounded, dtype=count.dtype)
    first = make.make("Div", bounded, 2)
    table = make.numbers([1 << n for n in range(bits // 2 + 1)], value)
    factors = [make.make("Gather", table, half) for half in (first, make.make("Sub", bounded, first))]
    left = node.attribute("direction") == "LEFT"
    for factor in factors:
        value = make.make("Mul", value, factor) if left else _floor_divided(value, factor, make)
    return value


def _floor_divided(value: Value, factor: Value, make: Arithmetic) -> Value:
    return make.make("Div", make.make("Sub", value, make.make("Mod", value, factor)), factor)


def spell_shifts(model: Model) -> int:
    """Spell out every BitShift of int32 and int64; returns how many there were."""
    found = [
        n
        for n in model.all_nodes()
        if n.op_type == "BitShift" and not n.domain and n.inputs[0] is not None and n.inputs[0].dtype in NATIVE
    ]
    for node in found:
        graph, value, old = node.graph, node.inputs[0], node.outputs[0]
        assert graph is not None
        assert value is not None
        assert value.dtype is not None
        assert old is not None
        last = shifted(node, value.dtype, Arithmetic(graph, node)).producer
        assert last is not None
        graph.remove_node(node)
        last.outputs[0], old.producer = old, last
    model.sort()
    return len(found)
