"""Changes to the decisions behind an instance that bring an expression of the rule to a value."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any, cast

import numpy as np

from graphopt.graph.dtypes import DType
from graphopt.graph.tensor import Array
from graphopt.lang import tree as t
from graphopt.lang.values import is_list
from graphopt.verify.choices import Address
from graphopt.verify.draft import Draft, tuple_of
from graphopt.verify.element_types import DTYPE_ATTRIBUTES
from graphopt.verify.fill import Fill
from graphopt.verify.site import attribute_address
from graphopt.verify.sketch import NodeSketch

Move = dict[Address, Any]
"""What to decide instead."""

ABSENT: tuple[str] = ("absent",)

MOST_MOVES = 24


class Places:
    """Where the things that a rule names are decided."""

    def __init__(self, rule: t.Rule, draft: Draft) -> None:
        self.rule = rule
        self.draft = draft
        self.lets = {let.name: let.value for let in rule.lets}
        self.optional = {
            p.name for m in rule.matches for p in _variables(m.pattern) if isinstance(p, t.Variable) and p.is_optional
        }
        self.attributes: dict[str, tuple[NodeSketch, str]] = {}
        for node in draft.sketch.nodes:
            for part in node.pattern.attributes:
                if part.variable is not None:
                    self.attributes.setdefault(part.variable, (node, part.name))
        self.producers = {o: n for n in draft.sketch.nodes for o in n.outputs if o is not None}

    def presence(self, name: str, *, present: bool) -> Iterator[Move]:
        """An optional input or attribute that is there, or is not."""
        if name in self.attributes:
            node, attribute = self.attributes[name]
            yield {("stated", node.path, attribute): present}
        elif name in self.optional:
            yield {("present", name): present}

    def attribute(self, name: str, target: Any) -> Iterator[Move]:
        """An attribute of this value."""
        node, attribute = self.attributes[name]
        if DTYPE_ATTRIBUTES.get(node.op_type) == attribute:
            output = node.outputs[0]
            if output is not None and target in set(DType):
                yield self._dtype(output, DType(target))
            return
        if target is None:
            yield {("stated", node.path, attribute): False}
            return
        declared = node.version.attributes.get(attribute) if node.version is not None else None
        if declared is not None and isinstance(declared.default, float):
            target = float(np.float32(target)) if isinstance(target, (int, float)) else target
        yield {("stated", node.path, attribute): True, attribute_address(node, attribute): target}

    def dtype(self, name: str, target: Any) -> Iterator[Move]:
        """A tensor, or a generic, of this element type."""
        for tensor in self._typed(name):
            if target in set(DType):
                yield self._dtype(tensor, DType(target))

    def _typed(self, name: str) -> Iterator[str]:
        if name in self.draft.tensors:
            yield name
            return
        leaves = self.draft.sketch.leaves.values()
        yield from (x.name for x in leaves if x.type is not None and x.type.dtype == name)

    def _dtype(self, tensor: str, target: DType) -> Move:
        return {self.draft.types.address(tensor): target}

    def constant(self, name: str, target: Any) -> Iterator[Move]:
        """A constant that holds this: a number for all elements, or a list."""
        if name not in self.draft.sketch.leaves:
            return
        if isinstance(target, np.ndarray):
            yield {("value", name): tuple_of(cast(Array, target))}
        elif isinstance(target, tuple):
            yield {("value", name): _items(target)}
        elif isinstance(target, (bool, int, float)):
            yield {("value", name): Fill(target)}
            shape = self.draft.tensors[name].shape
            if shape:
                yield {("value", name): Fill(target), ("shape", name): ()}

    def shape(self, name: str, target: Any) -> Iterator[Move]:
        """A tensor of this shape, if it is a leaf, or what makes it so takes after its inputs."""
        if not isinstance(target, tuple) or not all(isinstance(d, int) and 0 <= d <= 4096 for d in _items(target)):
            return
        yield from islice(self._shape(name, _items(target), 0), 6)

    def _shape(self, name: str, target: tuple[Any, ...], depth: int) -> Iterator[Move]:
        if name in self.draft.sketch.leaves:
            yield {("shape", name): target}
            return
        node = self.producers.get(name)
        if node is None or depth > 3:
            return
        for source in node.inputs:
            if source is None:
                continue
            known = self.draft.tensors[source]
            if known.value is not None and known.value.ndim == 1 and source in self.draft.sketch.leaves:
                yield {("value", source): target}
            elif known.shape is None or len(known.shape) == len(target) or depth == 0:
                yield from self._shape(source, target, depth + 1)

    def dim(self, name: str, target: Any) -> Iterator[Move]:
        """A named dim, or a named run of dims, of this size; every leaf that has it follows."""
        for leaf in self.draft.sketch.leaves.values():
            shape = self.draft.tensors[leaf.name].shape
            if leaf.type is None or shape is None:
                continue
            changed = _with_dim(leaf.type, shape, name, target)
            if changed is not None:
                yield {("shape", leaf.name): changed}

    def current_shape(self, name: str) -> tuple[int, ...] | None:
        known = self.draft.tensors.get(name)
        return known.shape if known is not None else None

    def sources(self, names: Iterable[str]) -> set[str]:
        """The leaves, attribute variables and nodes that names of the rule come from, as names and node paths."""
        found: set[str] = set()
        pending = list(names)
        while pending:
            name = pending.pop()
            if name in found:
                continue
            found.add(name)
            node = self.producers.get(name)
            if node is not None:
                found.add(str(node.path))
                pending.extend(n for n in node.inputs if n is not None)
            pending.extend(x.name for x in self.draft.sketch.leaves.values() if name in _dim_names(x.type))
        return found


def addresses_of(made: Mapping[Address, Any], sources: set[str]) -> list[Address]:
    """The decisions that concern these leaves, variables and nodes."""
    return [a for a in made if len(a) > 1 and (str(a[1]) in sources)]


def applied(made: Mapping[Address, Any], move: Move, *, keep: str) -> dict[Address, Any]:
    """The decisions with a move carried out. What depends on it is decided anew: as little as must be ("all" is kept),
    every shape and value ("structure" is kept), or nearly everything ("little")."""
    dropped = set(move)
    for address in move:
        if address[0] == "value":
            dropped.add(("shape", address[1]))
        elif address[0] == "shape":
            dropped.add(("value", address[1]))
    if keep == "structure":
        dropped |= {a for a in made if a[0] in ("shape", "value")}
    elif keep == "little":
        kept = ("alternative", "operand order", "nest", "present", "count", "stated", "dims")
        dropped |= {a for a in made if a[0] not in kept}
    found = {a: v for a, v in made.items() if a not in dropped}
    found.update((a, v) for a, v in move.items() if v is not ABSENT)
    return found


def merged(parts: Sequence[Sequence[Move]]) -> Iterator[Move]:
    """The first move of each part together."""
    whole: Move = {}
    for part in parts:
        if not part:
            return
        whole.update(part[0])
    if whole:
        yield whole


def _items(value: Any) -> tuple[Any, ...]:
    return value


def _variables(pattern: t.InputPattern) -> Iterator[t.InputPattern]:
    from graphopt.lang.names import walk

    return (p for p in walk(pattern) if isinstance(p, (t.Variable, t.Variadic)))


def _dim_names(pattern: t.TypePattern | None) -> set[str]:
    return {d.name for d in pattern.dims if d.name is not None} if pattern is not None else set()


def _with_dim(pattern: t.TypePattern, shape: tuple[int, ...], name: str, target: Any) -> tuple[int, ...] | None:
    """The shape with a named dim changed; None where the pattern has no such dim."""
    rest = next((i for i, d in enumerate(pattern.dims) if d.kind == "rest"), None)
    for index, dim in enumerate(pattern.dims):
        if dim.name != name:
            continue
        if index == rest:
            after = len(pattern.dims) - index - 1
            return (*shape[:index], *_items(target), *shape[len(shape) - after :]) if is_list(target) else None
        place = index if rest is None or index < rest else index - len(pattern.dims)
        if not isinstance(target, int) or not 0 <= target <= 4096 or not -len(shape) <= place < len(shape):
            return None
        changed = list(shape)
        changed[place] = target
        return tuple(changed)
    return None


def as_array(value: Any) -> Array | None:
    """A value of the language as an array of numbers, if it is one."""
    from graphopt.graph.graph import Value
    from graphopt.lang.values import Constant, Decline, constant_of

    if isinstance(value, (Constant, Value)):
        try:
            return constant_of(value).array
        except Decline:
            return None
    return None
