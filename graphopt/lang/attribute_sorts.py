"""The sorts of attributes, from the schemas."""

from __future__ import annotations

from graphopt.graph.attributes import Kind
from graphopt.lang import tree as t
from graphopt.lang.sorts import ANY, CONST, DTYPE, FLOAT, INT, INTS, TEXT, Sort, list_of
from graphopt.lang.versions import newest_within

DTYPE_ATTRIBUTES = frozenset(("to", "dtype", "output_dtype", "stash_type", "softmax_precision", "output_datatype"))
"""Whole numbers that stand for element types."""


_KINDS: dict[int, Sort] = {
    Kind.INT: INT,
    Kind.INTS: INTS,
    Kind.FLOAT: FLOAT,
    Kind.FLOATS: list_of(FLOAT),
    Kind.STRING: TEXT,
    Kind.STRINGS: list_of(TEXT),
    Kind.TENSOR: CONST,
}


def attribute_sort(operator: str, name: str, opset: t.OpsetRange | None) -> Sort:
    """The sort of an attribute's value; anything where its schema is not known."""
    current = newest_within(operator, opset)
    if current is None or name not in current.attributes:
        return ANY
    kind = current.attributes[name].kind
    if kind == Kind.INT and name in DTYPE_ATTRIBUTES:
        return DTYPE
    return _KINDS.get(kind, ANY)
