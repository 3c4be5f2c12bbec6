"""Element types for the tensors of a sketch: those that must agree, by schemas and generics, are drawn together."""

from __future__ import annotations

from collections.abc import Container, Iterator

from graphopt.graph.dtypes import DType
from graphopt.lang import tree as t
from graphopt.lang.versions import Formal
from graphopt.verify.choices import Address, Choices, Impossible
from graphopt.verify.sketch import NodeSketch, Sketch

DTYPE_ATTRIBUTES = {"Cast": "to", "EyeLike": "dtype", "Bernoulli": "dtype", "RandomNormalLike": "dtype"}
"""Operators whose output has the element type that an attribute says."""

_WEIGHTS = {
    DType.float32: 10.0,
    DType.float64: 5.0,
    DType.float16: 3.0,
    DType.bfloat16: 1.0,
    DType.int64: 4.0,
    DType.int32: 4.0,
    DType.bool: 2.0,
    DType.int8: 1.5,
    DType.uint8: 1.5,
}
_NAMED = 3.0
"""The least weight of integers and the like that the rule names: all of them come up then."""

_SELDOM = 0.4
_NEVER = 0.0
"""Element types that no runtime of ours computes in; drawn where nothing else is allowed."""

Avoid = Container[tuple[str, DType]]


class ElementTypes:
    """Which tensors share an element type, and what it may be."""

    def __init__(self, rule: t.Rule, sketch: Sketch) -> None:
        self._parents: dict[str, str] = {}
        self._allowed: dict[str, frozenset[DType]] = {}
        named = {g.name: g.options for g in rule.generics if g.options[0] in DType.__members__}
        generics = {name: frozenset(DType[o] for o in options) for name, options in named.items()}
        self._named = {f"<{name}>": options for name, options in generics.items()}
        for node in sketch.nodes:
            self._by_schema(node)
        for leaf in sketch.leaves.values():
            self._touch(leaf.name)
            if leaf.number is not None:
                self._restrict(leaf.name, frozenset(d for d in DType if d.is_float or d.is_integer))
            if leaf.type is None or leaf.type.dtype is None:
                continue
            if leaf.type.dtype in generics:
                self._join(leaf.name, f"<{leaf.type.dtype}>")
                self._restrict(leaf.name, generics[leaf.type.dtype])
            else:
                self._restrict(leaf.name, frozenset({DType[leaf.type.dtype]}))

    def _by_schema(self, node: NodeSketch) -> None:
        if node.version is None:
            names = [n for n in (*node.inputs, *node.outputs) if n is not None]
            for name in names:
                self._join(name, names[0])
            return
        for name, formal in _formals(node):
            variable = formal.type if formal.type in node.version.types else None
            self._touch(name)
            if variable is not None:
                self._join(name, f"{node.path}{variable}")
            allowed = node.version.dtypes(formal)
            if allowed:
                self._restrict(name, allowed)
        wanted = DTYPE_ATTRIBUTES.get(node.op_type)
        literal = next((a.literal for a in node.pattern.attributes if a.name == wanted), None)
        if isinstance(literal, t.Literal) and isinstance(literal.value, int) and node.outputs[0] is not None:
            self._restrict(node.outputs[0], frozenset({DType(literal.value)}))

    def address(self, name: str) -> Address:
        """Where the element type of a tensor is decided: under the first name of those that agree."""
        root = self._find(name)
        names = [n for n in self._parents if self._find(n) == root and not n.startswith(("<", "("))]
        return ("dtype", min(names, key=lambda n: (n.startswith("_"), n)))

    def draw(self, choices: Choices, avoid: Avoid = ()) -> dict[str, DType]:
        """The element type of each tensor. `avoid` are (first name, type) pairs that no runtime takes.

        Raises:
            Impossible: nothing suits all of some tensors that must agree.
        """
        by_root: dict[str, DType] = {}
        found: dict[str, DType] = {}
        for name in self._parents:
            if name.startswith(("<", "(")):
                continue
            root = self._find(name)
            if root not in by_root:
                by_root[root] = self._pick(name, choices, avoid)
            found[name] = by_root[root]
        return found

    def _pick(self, name: str, choices: Choices, avoid: Avoid) -> DType:
        address = self.address(name)
        allowed = sorted(self._allowed.get(self._find(name), frozenset(DType)))
        options = [d for d in allowed if (address[1], d) not in avoid] or allowed
        named = self._names(name)
        weights = [max(_weight(d), _NAMED if d in named and not d.is_float else 0.0) for d in options]
        return choices.pick(address, options, weights)

    def _names(self, name: str) -> frozenset[DType]:
        """The element types that the rule names for a tensor."""
        root = self._find(name)
        found = [options for g, options in self._named.items() if g in self._parents and self._find(g) == root]
        return found[0] if found else frozenset()

    def allowed(self, name: str) -> list[DType]:
        """The element types that a tensor may have."""
        return sorted(d for d in self._allowed.get(self._find(name), frozenset(DType)) if _weight(d))

    # --- sets that agree ---

    def _touch(self, name: str) -> None:
        self._parents.setdefault(name, name)

    def _find(self, name: str) -> str:
        self._touch(name)
        while self._parents[name] != name:
            name = self._parents[name]
        return name

    def _join(self, left: str, right: str) -> None:
        a, b = self._find(left), self._find(right)
        if a == b:
            return
        self._parents[a] = b
        if a in self._allowed:
            self._restrict(b, self._allowed.pop(a))

    def _restrict(self, name: str, allowed: frozenset[DType]) -> None:
        root = self._find(name)
        left = self._allowed.get(root, allowed) & allowed
        if not left:
            raise Impossible(f"no element type suits {name}")
        self._allowed[root] = left


def _weight(dtype: DType) -> float:
    if dtype in _WEIGHTS:
        return _WEIGHTS[dtype]
    if dtype in (DType.float8e4m3fn, DType.float8e5m2):
        return _SELDOM
    if dtype.name.startswith(("float", "complex")) or dtype.bits < 8:
        return _SELDOM / 2 if dtype is DType.string else _NEVER
    return _SELDOM


def _formals(node: NodeSketch) -> Iterator[tuple[str, Formal]]:
    assert node.version is not None
    for index, name in enumerate(node.inputs):
        formal = node.version.input(index)
        if name is not None and formal is not None:
            yield name, formal
    for index, name in enumerate(node.outputs):
        formal = node.version.output(index)
        if name is not None and formal is not None:
            yield name, formal
