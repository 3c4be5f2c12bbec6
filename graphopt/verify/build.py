"""A settled draft as a model with inputs to run it on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from random import Random
from typing import Any

import numpy as np
import onnx
from onnx import helper

from graphopt.graph.dtypes import DType
from graphopt.graph.graph import Graph, Value
from graphopt.graph.model import Model
from graphopt.graph.tensor import Array, Tensor
from graphopt.lang import tree as t
from graphopt.lang.names import walk
from graphopt.lang.operators import split_operator
from graphopt.verify.by_object import by_object
from graphopt.verify.choices import Address, Choices, Impossible
from graphopt.verify.draft import Draft, Known
from graphopt.verify.element_types import Avoid
from graphopt.verify.fill import Fill
from graphopt.verify.numbers import FINITE_STYLES, STYLES, sample_array
from graphopt.verify.samplers import sampler_of
from graphopt.verify.site import node_proto
from graphopt.verify.sketch import Leaf, sketch

IR_VERSION = 10

DYNAMIC = ("static", "by size", "apart", "mixed", "no shape", "asked")
_DYNAMIC_WEIGHTS = (38, 14, 12, 20, 6, 10)
"""How dims of inputs are declared: as they are; by names that equal sizes share; each by a name of its own; some by
names that equal sizes share; not at all; as they are where the pattern asks, and else each by a name of its own."""

_SOURCES = ("input", "computed", "initializer")
_SOURCE_WEIGHTS = (70, 18, 12)
_SOURCE_WEIGHTS_OF_SHAPES = (25, 15, 60)
"""Of what decides shapes: where it is not there beforehand, most that a rule asks of a shape is not known."""

Feed = dict[str, Array]


@dataclass(frozen=True)
class Instance:
    """One model that a rule's pattern stands for, and what to run it on.

    Attributes:
        made: the decisions behind it, by address.
        draft: shapes and element types of its tensors.
    """

    model: onnx.ModelProto
    feeds: tuple[Feed, ...]
    made: Mapping[Address, Any]
    draft: Draft


def build(rule: t.Rule, opset: int, choices: Choices, *, special: bool, feeds: int = 2, avoid: Avoid = ()) -> Instance:
    """Decide everything about one instance of a rule (whose operator generics are chosen).

    Args:
        special: whether infinities, NaN and the like are among the numbers.
        feeds: how many sets of inputs.

    Raises:
        Impossible: these decisions lead to no model.
    """
    return prepare(rule, opset, choices, special=special, avoid=avoid).finish(feeds)


def prepare(rule: t.Rule, opset: int, choices: Choices, *, special: bool, avoid: Avoid = ()) -> Builder:
    """Decide the nodes, types and shapes of an instance; the arguments are those of `build`.

    Raises:
        Impossible: these decisions lead to no model.
    """
    draft = Draft(rule, sketch(rule, opset, choices), choices, avoid)
    for node in draft.sketch.nodes:
        draft.settle(node, sampler_of(node))
    return Builder(rule, draft, choices, special)


class Builder:
    """Makes the model of a settled draft, and tells beforehand what the rule will find in it."""

    def __init__(self, rule: t.Rule, draft: Draft, choices: Choices, special: bool) -> None:
        self.rule = rule
        self.draft = draft
        self.choices = choices
        self.styles = STYLES if special else FINITE_STYLES
        self.graph = onnx.GraphProto(name="instance")
        self.feeding: dict[str, tuple[Leaf, Known]] = {}
        self.before: list[onnx.NodeProto] = []

    def bindings(self) -> dict[str, Any]:
        """What the names of the rule will stand for, as long as every dim is known."""
        sketch = self.draft.sketch
        scope = Graph(Model(onnx.ModelProto()))
        values: dict[str, Any] = {}
        for name, known in self.draft.tensors.items():
            values[name] = Value(name, scope, known.dtype, known.shape)
            leaf = sketch.leaves.get(name)
            if leaf is not None and known.shape is not None and self._is_weight(leaf):
                values[name].constant = Tensor.of(self._array(leaf, known))
        found: dict[str, Any] = dict.fromkeys(_optional(self.rule))
        found.update({n: v for n, v in values.items() if not n.startswith("_")})
        found.update({n: tuple(values[i] for i in items) for n, items in sketch.variadic.items()})
        found.update(self.draft.dims)
        for node, stated in zip(sketch.nodes, self.draft.attributes, strict=True):
            for part in node.pattern.attributes:
                if part.variable is not None:
                    declared = node.version.attributes.get(part.name) if node.version is not None else None
                    found[part.variable] = stated.get(part.name, declared.default if declared is not None else None)
        found.update(self._generics())
        found["opset"] = sketch.opset
        return found

    def _is_weight(self, leaf: Leaf) -> bool:
        """Whether a leaf is known to become a constant."""
        source = ("source", leaf.name)
        return leaf.is_const or (self.choices.is_given(source) and self.choices.pick(source, _SOURCES) == "initializer")

    def _generics(self) -> dict[str, DType]:
        leaves = self.draft.sketch.leaves.values()
        typed = ((x.type.dtype, self.draft.tensors[x.name].dtype) for x in leaves if x.type is not None)
        return {name: dtype for name, dtype in typed if name is not None}

    def finish(self, feeds: int) -> Instance:
        mode = self.choices.pick(("dims",), DYNAMIC, _DYNAMIC_WEIGHTS)
        renamed = {leaf.name: self._leaf(leaf, mode) for leaf in self.draft.sketch.leaves.values()}
        self.graph.node.extend(self.before)
        for node, stated in zip(self.draft.sketch.nodes, self.draft.attributes, strict=True):
            proto = node_proto(node, stated)
            for index, name in enumerate(proto.input):
                proto.input[index] = renamed.get(name, name)
            self.graph.node.append(proto)
        self._outputs(mode)
        model = helper.make_model(self.graph, opset_imports=self._opsets(), ir_version=IR_VERSION)
        return Instance(model, self._feeds(feeds), dict(self.choices.made), self.draft)

    def _opsets(self) -> list[onnx.OperatorSetIdProto]:
        domains = {n.domain for n in self.draft.sketch.nodes if n.domain}
        emitted = (split_operator(c.operator)[0] for c in node_calls(self.rule))
        others = [helper.make_opsetid(d, 1) for d in sorted({*domains, *filter(None, emitted)})]
        return [helper.make_opsetid("", self.draft.sketch.opset), *others]

    # --- leaves ---

    def _leaf(self, leaf: Leaf, mode: str) -> str:
        """Put a leaf into the graph; returns the name under which nodes read it."""
        known = self.draft.tensors[leaf.name]
        if known.shape is None:
            raise Impossible(f"{leaf.name} has no shape")
        if leaf.is_const:
            array = self._array(leaf, known)
            if self.choices.is_so(("constant node", leaf.name), 0.15):
                value = Tensor.of(array).to_proto("")
                self.before.append(helper.make_node("Constant", [], [leaf.name], value=value))
            else:
                self.graph.initializer.append(Tensor.of(array).to_proto(leaf.name))
            return leaf.name
        twin = self._twin(leaf, known)
        if twin is not None:
            return twin
        is_fixed = self.draft.style.get(leaf.name) == "fixed"
        weights = _SOURCE_WEIGHTS_OF_SHAPES if is_fixed else _SOURCE_WEIGHTS
        source = self.choices.pick(("source", leaf.name), _SOURCES, weights)
        if source == "initializer":
            self.graph.initializer.append(Tensor.of(self._array(leaf, known)).to_proto(leaf.name))
            return leaf.name
        name = leaf.name
        if source == "computed":
            name = f"{leaf.name}_in"
            self.before.append(helper.make_node(_neutral(known.dtype, fixed=is_fixed), [name], [leaf.name]))
        self.feeding[name] = (leaf, known)
        self.graph.input.append(self._declared(name, leaf, known, mode))
        return leaf.name

    def _twin(self, leaf: Leaf, known: Known) -> str | None:
        """Another leaf of the same type that this one may as well be, now and then."""
        if self.draft.style.get(leaf.name) or not self.choices.is_so(("twin", leaf.name), 0.06):
            return None
        for other, _ in ((o, k) for o, k in self.feeding.values() if o.name != leaf.name and not o.is_const):
            if _alike(self.draft.tensors[other.name], known) and other.variable is not None:
                return other.name
        return None

    def _array(self, leaf: Leaf, known: Known) -> Array:
        if known.value is not None and self.draft.style.get(leaf.name) == "fixed":
            return known.value
        style = self._style(leaf, self.choices.pick(("style", leaf.name), self.styles, _weights(self.styles)))
        seed = self.choices.draw(("numbers", leaf.name), self._seed)
        return self._sampled(leaf, known, style, Random(seed))

    def _seed(self) -> int:
        """Of a constant's numbers: now and then those of another, so that bounds meet and quotients are whole."""
        others = [seed for (kind, *_), seed in self.choices.made.items() if kind == "numbers"]
        random = self.choices.random
        return random.choice(others) if others and random.random() < 0.25 else random.getrandbits(30)

    def _sampled(self, leaf: Leaf, known: Known, style: str, random: Random) -> Array:
        assert known.shape is not None
        given = self.choices.made.get(("value", leaf.name)) if self._is_weight(leaf) else None
        if isinstance(given, Fill):
            return given.array(known.shape, known.dtype)
        array = sample_array(random, known.dtype, known.shape, style)
        # a division of integers by 0 ends the process, and not with an exception
        may_be_zero = not known.dtype.is_integer and self.styles is not FINITE_STYLES
        if self.draft.style.get(leaf.name) == "nonzero" and not may_be_zero:
            array = np.where(array == 0, np.ones_like(array), array)
        return array

    def _style(self, leaf: Leaf, drawn: str) -> str:
        """What is drawn, unless the operator wants something else."""
        wanted = self.draft.style.get(leaf.name)
        if wanted == "variance":
            return drawn if drawn in ("zeros", "ones") else "positive"
        return "positive" if wanted == "positive" and drawn not in ("ones", "special") else drawn

    def _declared(self, name: str, leaf: Leaf, known: Known, mode: str) -> onnx.ValueInfoProto:
        assert known.shape is not None
        elem = int(known.dtype)
        if mode == "no shape":
            return helper.make_tensor_value_info(name, elem, None)
        dims: list[int | str] = list(known.shape)
        for axis, size in enumerate(known.shape):
            named = (
                mode in ("by size", "apart")
                or (mode == "asked" and axis not in _asked(leaf, len(known.shape)))
                or (mode == "mixed" and self.choices.is_so(("dynamic", leaf.name, axis), self._share(leaf.name)))
            )
            if named:
                dims[axis] = f"{name}_{axis}" if mode in ("apart", "asked") else f"d{size}"
        return helper.make_tensor_value_info(name, elem, dims)

    def _share(self, name: str) -> float:
        """How many dims of an input are dynamic: none, some, or all."""
        return self.choices.pick(("dynamic share", name), (0.0, 0.5, 1.0))

    # --- outputs and feeds ---

    def _outputs(self, mode: str) -> None:
        """Ends are outputs of the graph, or are read by one more node; other readers of what is shared."""
        sketch = self.draft.sketch
        for name in sketch.ends:
            how = self.choices.pick(("end", name), ("output", "read", "both"), (5, 4, 1))
            if how != "read":
                self._show(name, name, mode)
            if how != "output":
                self._read(name, mode)
        for name in sketch.shared:
            how = self.choices.pick(("shared", name), ("alone", "output", "read"), (5, 3, 3))
            if how == "output":
                self._show(name, name, mode)
            elif how == "read":
                self._read(name, mode)
        if not self.graph.output:
            raise Impossible("nothing leaves the match")

    def _read(self, name: str, mode: str) -> None:
        made = f"{name}_read"
        self.graph.node.append(helper.make_node(_neutral(self.draft.tensors[name].dtype), [name], [made]))
        self._show(made, name, mode)

    def _show(self, name: str, like: str, mode: str) -> None:
        known = self.draft.tensors[like]
        shape = known.shape if mode == "static" else None
        self.graph.output.append(helper.make_tensor_value_info(name, int(known.dtype), shape))

    def _feeds(self, count: int) -> tuple[Feed, ...]:
        seed = self.choices.draw(("feeds",), lambda: self.choices.random.getrandbits(30))
        random = Random(seed)
        order = ("integers", "spread", *random.sample([s for s in self.styles if s not in ("integers", "normal")], 2))
        if self.styles is STYLES:
            order = ("special", *order)
        return tuple(self._feed(order[i % len(order)], random) for i in range(count))

    def _feed(self, style: str, random: Random) -> Feed:
        feed: Feed = {}
        for name, (leaf, known) in self.feeding.items():
            if known.value is not None:
                feed[name] = known.value
            else:
                feed[name] = self._sampled(leaf, known, self._style(leaf, style), random)
        return feed


def _asked(leaf: Leaf, rank: int) -> set[int]:
    """The axes of which the pattern names the size."""
    dims = leaf.type.dims if leaf.type is not None else ()
    rest = next((i for i, d in enumerate(dims) if d.kind == "rest"), len(dims))
    named = [i if i < rest else i - len(dims) + rank for i, d in enumerate(dims) if d.kind in ("name", "size")]
    return set(named)


def _neutral(dtype: DType, *, fixed: bool = False) -> str:
    """An operator that keeps shape and element type, to stand before or after a match."""
    if fixed or not (dtype.is_float or dtype in (DType.int32, DType.int64)):
        return "Identity"
    return "Neg"


def _weights(styles: Sequence[str]) -> list[float]:
    likely = {"integers": 5.0, "normal": 6.0, "positive": 3.0, "special": 1.5}
    return [likely.get(s, 1.0) for s in styles]


@by_object
def _optional(rule: t.Rule) -> list[str]:
    """The names of inputs that may be absent."""
    parts = (p for m in rule.matches for p in walk(m.pattern) if isinstance(p, t.Variable))
    return [p.name for p in parts if p.is_optional]


@by_object
def node_calls(rule: t.Rule) -> list[t.NodeCall]:
    """The nodes that a rule may make."""
    return [p for r in rule.rewrites for p in walk(r.value) if isinstance(p, t.NodeCall)]


def _alike(one: Known, other: Known) -> bool:
    """Whether the same is known of two tensors."""
    if (one.dtype, one.shape) != (other.dtype, other.shape) or (one.value is None) != (other.value is None):
        return False
    return one.value is None or other.value is None or np.array_equal(one.value, other.value)
