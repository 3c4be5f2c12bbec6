"""An instance in the making: nodes are settled one after the other, each from what is known of its inputs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import onnx
from onnx import helper, shape_inference

from graphopt.graph.dtypes import DTYPES, DType
from graphopt.graph.schemas import schema
from graphopt.graph.tensor import Array, Tensor
from graphopt.graph.types import tensor_type
from graphopt.lang import tree as t
from graphopt.verify.choices import Choices, Impossible
from graphopt.verify.element_types import Avoid, ElementTypes
from graphopt.verify.fill import Fill
from graphopt.verify.numbers import number_array
from graphopt.verify.operand_ranks import rank_of_operand
from graphopt.verify.shape_values import known_value
from graphopt.verify.site import Site, node_proto
from graphopt.verify.sketch import Leaf, NodeSketch, Sketch

Dims = tuple[int, ...]

SIZES = (1, 1, 2, 2, 3, 3, 4, 5, 6, 8)
MOST_ELEMENTS = 4096


@dataclass
class Known:
    """What is known of one tensor: `value` only where it decides shapes."""

    dtype: DType
    shape: Dims | None = None
    value: Array | None = None


class Draft:
    """All nodes of a sketch with attributes, all leaves with shapes.

    Attributes:
        tensors: what is known, by name.
        attributes: those that each node states, by its number.
        dims: what the named dims of the pattern's types stand for.
        style: what the numbers of a leaf must be for its operator: "positive", "fixed" (its value decides shapes).
    """

    def __init__(self, rule: t.Rule, sketch: Sketch, choices: Choices, avoid: Avoid = ()) -> None:
        self.sketch = sketch
        self.choices = choices
        self.types = ElementTypes(rule, sketch)
        self.tensors = {n: Known(d) for n, d in self.types.draw(choices, avoid).items()}
        self.attributes: list[dict[str, Any]] = []
        self.rule = rule
        self.dims: dict[str, Any] = {}
        self.style: dict[str, str] = {}
        self.pool: list[int] = []
        self.random = choices.random
        self.has_zeros = choices.is_so(("zero sizes",), 0.06)
        self.has_ones = choices.is_so(("sizes of one",), 0.2)
        self.has_one_size = choices.is_so(("sizes all the same",), 0.08)
        for leaf in sketch.leaves.values():
            if leaf.number is not None:
                self._number(leaf)
            elif choices.is_given(("shape", leaf.name)):
                self.fix_shape(leaf.name, ())
            if choices.is_given(("value", leaf.name)):
                self._take_value(leaf.name)

    def _number(self, leaf: Leaf) -> None:
        assert leaf.number is not None
        known = self.tensors[leaf.name]
        rank = rank_of_operand(self.sketch.nodes, leaf.name)
        if rank is None:
            rank = self.choices.pick(("rank", leaf.name), (0, 1, 2, 3), (6, 2, 1, 1))
        off = self.choices.draw(("nearness", leaf.name), lambda: self.random.choice((0.0, 0.0, -1.0, 1.0)))
        known.value = number_array(leaf.number, known.dtype, off).reshape((1,) * rank)
        known.shape = (1,) * rank
        self.style[leaf.name] = "fixed"

    def _take_value(self, name: str) -> None:
        """Begin from a value that was given; one number for all elements waits for the shape."""
        given: Any = self.choices.draw(("value", name), lambda: None)
        if not isinstance(given, Fill):
            self.fix_value(name, np.zeros(0))

    # --- leaves ---

    def is_open(self, name: str | None) -> bool:
        """Whether a tensor is a leaf whose shape nobody has settled."""
        return name is not None and name in self.sketch.leaves and self.tensors[name].shape is None

    def fix_shape(self, name: str, proposal: Sequence[int]) -> Dims:
        """Settle the shape of a leaf: as it was given, else as near to the proposal as the pattern allows."""
        leaf = self.sketch.leaves[name]
        shape = tuple(int(d) for d in self.choices.draw(("shape", name), lambda: self._fitted(leaf, proposal)))
        if min(shape, default=0) < 0 or int(np.prod(shape)) > MOST_ELEMENTS:
            raise Impossible(f"{name} cannot be of that shape")
        self._bind(leaf, shape)
        self.tensors[name].shape = shape
        self.pool.extend(d for d in shape if d)
        return shape

    def fix_value(self, name: str, proposal: Array) -> Array:
        """Settle the value of a leaf whose numbers decide shapes or places: as it was given, or as proposed."""
        known = self.tensors[name]
        made = self.choices.draw(("value", name), lambda: tuple_of(proposal))
        if isinstance(made, Fill):
            made = made.array(np.shape(proposal) if known.shape is None else known.shape, known.dtype)
        if known.shape is None:
            self.choices.made[("shape", name)] = np.shape(made)
            self._bind(self.sketch.leaves[name], np.shape(made))
            known.shape = np.shape(made)
        try:
            array = np.asarray(made, dtype=known.dtype.numpy).reshape(known.shape)
        except (ValueError, TypeError, OverflowError):
            raise Impossible(f"{name} cannot hold that value") from None
        known.value = array
        self.style[name] = "fixed"
        return array

    def _fitted(self, leaf: Leaf, proposal: Sequence[int]) -> Dims:
        """The proposal with what the pattern says of the dims put in."""
        if leaf.type is None:
            return tuple(proposal)
        dims = leaf.type.dims
        rest = next((i for i, d in enumerate(dims) if d.kind == "rest"), None)
        shape = list(proposal)
        fixed = len(dims) - (rest is not None)
        while len(shape) < fixed:
            shape.insert(0, self.size())
        if rest is None:
            shape = shape[len(shape) - fixed :]
            middle: list[int] = []
            front, back = shape, []
        else:
            after = len(dims) - rest - 1
            front, back = shape[:rest], shape[len(shape) - after :] if after else []
            middle = shape[rest : len(shape) - after]
            name = dims[rest].name
            middle = list(self.dims.get(name, middle)) if name is not None else middle
        named = [d for d in dims if d.kind != "rest"]
        outer = [self._dim(d, s) for d, s in zip(named, [*front, *back], strict=True)]
        return (*outer[: len(front)], *middle, *outer[len(front) :])

    def _dim(self, dim: t.DimPattern, proposed: int) -> int:
        if dim.kind == "size" and dim.size is not None:
            return dim.size
        return self.dims.get(dim.name, proposed) if dim.name is not None else proposed

    def _bind(self, leaf: Leaf, shape: Dims) -> None:
        """Remember what the names of the pattern's dims stand for."""
        if leaf.type is None:
            return
        dims = leaf.type.dims
        rest = next((i for i, d in enumerate(dims) if d.kind == "rest"), None)
        if (len(shape) != len(dims)) if rest is None else (len(shape) < len(dims) - 1):
            raise Impossible(f"{leaf.name} is of another rank than the rule says")
        before = dims if rest is None else dims[:rest]
        for dim, size in zip(before, shape, strict=False):
            if dim.name is not None:
                self.dims.setdefault(dim.name, size)
        if rest is None:
            return
        after = len(dims) - rest - 1
        name = dims[rest].name
        if name is not None:
            self.dims.setdefault(name, shape[rest : len(shape) - after])
        for dim, size in zip(dims[rest + 1 :], shape[len(shape) - after :], strict=True):
            if dim.name is not None:
                self.dims.setdefault(dim.name, size)

    def ranks(self, name: str, options: Sequence[int]) -> list[int]:
        """Those of some ranks that the pattern allows for a leaf."""
        leaf = self.sketch.leaves[name]
        if leaf.type is None:
            return list(options)
        dims = leaf.type.dims
        if any(d.kind == "rest" for d in dims):
            known = next((self.dims[d.name] for d in dims if d.kind == "rest" and d.name in self.dims), None)
            least = len(dims) - 1 + (len(known) if known is not None else 0)
            return [r for r in options if r >= least] if known is None else [least]
        return [len(dims)]

    def size(self, least: int = 1) -> int:
        """A size for a new dim; one that is there already as often as not, so that shapes go together."""
        if self.has_zeros and least <= 1 and self.random.random() < 0.15:
            return 0
        if self.has_ones and least <= 1 and self.random.random() < 0.6:
            return 1  # much is true of these alone, and what broadcasts may grow
        pool = [d for d in self.pool if d >= least]
        if self.has_one_size and pool:
            return max(pool)  # what does not fit together then does, and looks right where it is not
        if pool and self.random.random() < 0.45:
            return self.random.choice(pool)
        return self.random.choice([s for s in SIZES if s >= least] or [least])

    # --- nodes ---

    def settle(self, node: NodeSketch, sample: Callable[[Site], None]) -> None:
        """Let an operator's sampler settle what is open at a node, then infer its outputs.

        Raises:
            Impossible: the operator does not take such inputs.
        """
        self.attributes.append({})
        site = Site(self, node)
        sample(site)
        site.finish()
        for name in node.inputs:
            if self.is_open(name):
                assert name is not None
                ranks = self.ranks(name, (0, 1, 2, 3, 4))
                rank = self.random.choice(ranks or [1])
                self.fix_shape(name, [self.size() for _ in range(rank)])
        self._infer(node, site.stated)

    def _infer(self, node: NodeSketch, stated: dict[str, Any]) -> None:
        inputs = [self.tensors[n] if n is not None else None for n in node.inputs]
        outputs = [n for n in node.outputs if n is not None]
        if node.version is None:
            first = next((k for k in inputs if k is not None), None)
            for name in outputs:
                self.tensors[name].shape = first.shape if first is not None else None
            return
        proto = node_proto(node, stated)
        types = {n: tensor_type(k.dtype, k.shape) for n, k in zip(node.inputs, inputs, strict=True) if n and k}
        data = {
            n: Tensor.of(k.value).to_proto(n)
            for n, k in zip(node.inputs, inputs, strict=True)
            if n and k and k.value is not None
        }
        formal = schema(node.op_type, node.version.since if node.domain else self.sketch.opset, node.domain)
        opsets = [helper.make_opsetid(node.domain, node.version.since if node.domain else self.sketch.opset)]
        if formal is None:
            raise Impossible(f"there is no {node.op_type} at this opset")
        try:
            found = shape_inference.infer_node_outputs(formal, proto, types, data, opset_imports=opsets)
        except (shape_inference.InferenceError, onnx.checker.ValidationError, ValueError, RuntimeError) as error:
            raise Impossible(f"{node.op_type}: {error}") from None
        value = known_value(proto, self.sketch.opset, inputs)
        for index, name in enumerate(outputs):
            known = self.tensors[name]
            if name in found:
                tensor = found[name].tensor_type
                if tensor.elem_type and DTYPES[tensor.elem_type] is not known.dtype:
                    raise Impossible(f"{name} is of {DTYPES[tensor.elem_type].name}")
                known.shape = _sizes(tensor)
            if index == 0 and value is not None and value.dtype == known.dtype.numpy:
                known.value = value
                known.shape = known.shape if known.shape is not None else value.shape
            if known.shape is not None and int(np.prod(known.shape)) > MOST_ELEMENTS:
                raise Impossible(f"{name} would be large")


def tuple_of(array: Array) -> Any:
    """An array as nested tuples, which compare and hash as a whole."""
    return _frozen(array.tolist())


def _frozen(item: Any) -> Any:
    return tuple(_frozen(i) for i in cast("list[Any]", item)) if isinstance(item, list) else item


def _sizes(tensor: onnx.TypeProto.Tensor) -> Dims | None:
    if not tensor.HasField("shape"):
        return None
    sizes = tuple(d.dim_value if d.HasField("dim_value") else -1 for d in tensor.shape.dim)
    return None if -1 in sizes else sizes
