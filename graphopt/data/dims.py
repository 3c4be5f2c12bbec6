"""The dynamic dimensions of a model's inputs: which are free, and what shapes follow from a choice of sizes."""

from __future__ import annotations

import ast
import operator
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from graphopt.graph.interface import Dim, Interface, TensorSpec

Sizes = dict[str, int]
"""A size for every free dimension."""

Shapes = dict[str, tuple[int, ...]]
"""A shape for every input."""

UNRANKED_SHAPES: tuple[tuple[int, ...], ...] = ((2, 3), (1, 3, 64, 64), (4,), (), (1, 16, 8), (3, 4), (5,))
"""What is tried, in this order, for an input of which not even the rank is known."""


@dataclass(frozen=True)
class Place:
    """Where a dimension stands: an axis of an input of that rank."""

    spec: TensorSpec
    axis: int

    @property
    def rank(self) -> int:
        return len(self.spec.shape or ())


@dataclass
class DynamicDims:
    """The free dimensions of an interface by key, in the order of the inputs.

    A named dimension is one key wherever the name stands; one without a name (or called `?`) is a key of its own,
    as is an input without a rank, whose size counts in `UNRANKED_SHAPES`. A name such as `past + 1`, in which every
    name is a dimension by itself, follows from the others.
    """

    interface: Interface
    places: dict[str, list[Place]] = field(default_factory=dict[str, list[Place]])
    unranked: dict[str, TensorSpec] = field(default_factory=dict[str, TensorSpec])

    def __post_init__(self) -> None:
        names = {d for s in self.interface.inputs for d in s.shape or () if isinstance(d, str)}
        plain = {n for n in names if _IDENTIFIER.fullmatch(n)}
        self._derived = {n: tree for n in sorted(names - plain) if (tree := _expression(n, plain)) is not None}
        for spec in self.interface.inputs:
            if spec.kind != "tensor":
                continue
            if spec.shape is None:
                self.unranked[f"shape of {spec.name}"] = spec
                continue
            for axis, dim in enumerate(spec.shape):
                key = dim_key(spec, axis, dim)
                if key is not None and key not in self._derived:
                    self.places.setdefault(key, []).append(Place(spec, axis))

    @property
    def keys(self) -> list[str]:
        return [*self.places, *self.unranked]

    def shapes(self, sizes: Mapping[str, int]) -> Shapes | None:
        """The shapes of all tensor inputs, or None where a derived dimension would be negative."""
        shapes: Shapes = {}
        for spec in self.interface.inputs:
            if spec.kind != "tensor":
                continue
            if spec.shape is None:
                shapes[spec.name] = UNRANKED_SHAPES[sizes[f"shape of {spec.name}"]]
                continue
            shape = tuple(self._size(spec, axis, dim, sizes) for axis, dim in enumerate(spec.shape))
            if min(shape, default=0) < 0:
                return None
            shapes[spec.name] = shape
        return shapes

    def sizes_of(self, shapes: Mapping[str, tuple[int, ...]]) -> Sizes:
        """The size of every free dimension in a sample; where one name has two sizes, the first counts."""
        return {
            key: shapes[places[0].spec.name][places[0].axis]
            for key, places in self.places.items()
            if places[0].spec.name in shapes
        }

    def describe(self, key: str) -> str:
        """A key in words: each input and axis that it stands for."""
        if key in self.unranked:
            return key
        places = ", ".join(f"dimension {p.axis} of input {p.spec.name!r}" for p in self.places[key])
        return f"{places} ({key})" if _IDENTIFIER.fullmatch(key) else places

    def _size(self, spec: TensorSpec, axis: int, dim: Dim, sizes: Mapping[str, int]) -> int:
        key = dim_key(spec, axis, dim)
        if key is None:
            return int(dim or 0)
        return _value(self._derived[key], sizes) if key in self._derived else sizes[key]


def dim_key(spec: TensorSpec, axis: int, dim: Dim) -> str | None:
    """The key of a dynamic dimension; None for a static one. (A negative size means dynamic in old exports.)"""
    if isinstance(dim, int) and dim >= 0:
        return None
    if isinstance(dim, str) and dim.strip("?"):
        return dim
    return f"{spec.name}[{axis}]"


_IDENTIFIER = re.compile(r"\w[\w.\-/:]*")

_OPERATORS: dict[type[ast.operator], Callable[[int, int], int]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.FloorDiv: lambda a, b: a // b,
}


LONGEST_EXPRESSION = 200
"""Characters: what is longer was not written by an exporter, and would be deep."""


def _expression(text: str, known: set[str]) -> ast.expr | None:
    if len(text) > LONGEST_EXPRESSION:
        return None
    try:
        tree = ast.parse(text, mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None
    names = {n.id for n in ast.walk(tree) if isinstance(n, ast.Name)}
    return tree if names and names <= known and _is_arithmetic(tree) else None


def _is_arithmetic(tree: ast.expr) -> bool:
    if isinstance(tree, ast.BinOp):
        zero = isinstance(tree.right, ast.Constant) and tree.right.value == 0
        sound = type(tree.op) in _OPERATORS and not (isinstance(tree.op, ast.FloorDiv) and zero)
        return sound and _is_arithmetic(tree.left) and _is_arithmetic(tree.right)
    return isinstance(tree, ast.Name) or (isinstance(tree, ast.Constant) and type(tree.value) is int)


def _value(tree: ast.expr, sizes: Mapping[str, int]) -> int:
    if isinstance(tree, ast.BinOp):
        left, right = _value(tree.left, sizes), _value(tree.right, sizes)
        return -1 if isinstance(tree.op, ast.FloorDiv) and right == 0 else _OPERATORS[type(tree.op)](left, right)
    if isinstance(tree, ast.Name):
        return sizes[tree.id]
    constant: Any = tree
    return int(constant.value)
