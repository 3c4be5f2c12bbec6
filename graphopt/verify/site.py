"""One node of a draft, as the sampler of its operator sees it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import onnx

from graphopt.graph.attributes import Attribute
from graphopt.graph.dtypes import DType
from graphopt.graph.tensor import Array
from graphopt.lang import tree as t
from graphopt.lang.literals import literal_value
from graphopt.lang.names import walk
from graphopt.verify.attribute_domains import sample_attribute
from graphopt.verify.choices import Address, Impossible
from graphopt.verify.element_types import DTYPE_ATTRIBUTES
from graphopt.verify.sketch import NodeSketch

if TYPE_CHECKING:
    from graphopt.verify.draft import Dims, Draft, Known


class Site:
    """One node of a draft, as the sampler of its operator sees it: `stated` are the attributes that it states."""

    def __init__(self, draft: Draft, node: NodeSketch) -> None:
        self.draft = draft
        self.node = node
        self.random = draft.random
        self.opset = draft.sketch.opset
        self.stated = draft.attributes[-1]
        self._effective: dict[str, Any] = {}

    def has(self, index: int) -> bool:
        """Whether there is an input at this place."""
        return index < len(self.node.inputs) and self.node.inputs[index] is not None

    def is_open(self, index: int) -> bool:
        return self.has(index) and self.draft.is_open(self.node.inputs[index])

    def is_leaf(self, index: int) -> bool:
        return self.has(index) and self.node.inputs[index] in self.draft.sketch.leaves

    def _known(self, index: int) -> Known | None:
        name = self.node.inputs[index] if self.has(index) else None
        return self.draft.tensors[name] if name is not None else None

    def shape(self, index: int) -> Dims | None:
        """The shape of an input; None where it is absent, open or not known."""
        known = self._known(index)
        return known.shape if known is not None else None

    def value(self, index: int) -> Array | None:
        """The value of an input that decides shapes, if it is settled."""
        known = self._known(index)
        return known.value if known is not None else None

    def wanted_output(self) -> tuple[t.DimPattern, ...] | None:
        """The dims that the rule asks of the first output, where another statement of it reads that with a type."""
        name = self.node.outputs[0] if self.node.outputs else None
        parts = (p for m in self.draft.rule.matches for p in walk(m.pattern) if isinstance(p, t.Variable))
        return next((p.type.dims for p in parts if p.name == name and p.type is not None), None)

    def dtype(self, index: int) -> DType | None:
        known = self._known(index)
        return known.dtype if known is not None else None

    def settle(self, index: int, proposal: Sequence[int]) -> Dims:
        """Settle the shape of an input, if it is open; returns the shape that it has now."""
        if self.is_open(index):
            name = self.node.inputs[index]
            assert name is not None
            return self.draft.fix_shape(name, proposal)
        return self.shape(index) or ()

    def demand(self, index: int, shape: Sequence[int]) -> None:
        """Settle the shape of an input of which no runtime takes another one, though shape inference may.

        Raises:
            Impossible: it has another one.
        """
        if self.has(index) and self.settle(index, shape) != tuple(shape):
            raise Impossible(f"{self.node.op_type} does not take such an input {index}")

    def settle_value(self, index: int, proposal: Any) -> Array | None:
        """Settle the value of an input that is a leaf; returns the value that it has now, None if not known."""
        if self.is_leaf(index) and self.value(index) is None:
            name = self.node.inputs[index]
            assert name is not None
            return self.draft.fix_value(name, np.asarray(proposal))
        return self.value(index)

    def style(self, index: int, style: str) -> None:
        """Say what the numbers of an input must be for the operator."""
        if self.is_leaf(index):
            name = self.node.inputs[index]
            assert name is not None
            self.draft.style.setdefault(name, style)

    def size(self, least: int = 1) -> int:
        return self.draft.size(least)

    def ranks(self, index: int, options: Sequence[int]) -> list[int]:
        """Those of some ranks that an input has, or may have by the pattern; all of them where none is left."""
        shape = self.shape(index)
        if shape is not None:
            return [len(shape)]
        name = self.node.inputs[index] if self.is_open(index) else None
        return (self.draft.ranks(name, options) if name is not None else []) or list(options)

    def any_shape(self, index: int, ranks: Sequence[int] = (0, 1, 2, 2, 3, 3, 4)) -> Dims:
        """Settle an open input with any shape of some rank."""
        if self.is_open(index):
            name = self.node.inputs[index]
            assert name is not None
            rank = self.random.choice(self.draft.ranks(name, ranks) or list(ranks))
            return self.settle(index, [self.size() for _ in range(rank)])
        shape = self.shape(index)
        if shape is None:
            raise Impossible("a shape that is not known")
        return shape

    # --- attributes ---

    def attribute(self, name: str, sample: Callable[[], Any] | None = None) -> Any:
        """What an attribute is: as the pattern says it, else drawn; the default where the node says nothing."""
        if name not in self._effective:
            declared = self.node.version.attributes.get(name) if self.node.version is not None else None
            if declared is None and self.node.version is not None:
                return None
            default = declared.default if declared is not None else None
            value = self._stated(name, sample, default, declared is not None and declared.is_required)
            if value is not None:
                value = value if declared is None else _of_kind(name, declared.kind, value)
                self.stated[name] = value
            self._effective[name] = value if value is not None else default
        return self._effective[name]

    def leave_out(self, name: str) -> None:
        """State nothing for an attribute, if the pattern leaves that open."""
        pattern = next((a for a in self.node.pattern.attributes if a.name == name), None)
        if pattern is None or (pattern.literal is None and pattern.is_optional):
            self._effective.setdefault(name, None)

    def _stated(self, name: str, sample: Callable[[], Any] | None, default: Any, is_required: bool) -> Any:
        """What the node states; None where it says nothing."""
        pattern = next((a for a in self.node.pattern.attributes if a.name == name), None)
        path = self.node.path
        choices = self.draft.choices
        is_default_stated = default is not None and choices.is_so(("explicit", path, name), 0.25)
        if pattern is not None and pattern.literal is not None:
            wanted = literal_value(pattern.literal)
            return wanted if wanted != default or is_default_stated else None
        if pattern is None and self.node.pattern.rest is None:
            return default if is_default_stated else None
        if name == DTYPE_ATTRIBUTES.get(self.node.op_type) and self.node.outputs[0] is not None:
            return int(self.draft.tensors[self.node.outputs[0]].dtype)
        address = self.address(name)
        may_be_absent = not is_required and (
            default is not None or pattern is None or pattern.is_optional or pattern.variable is None
        )
        if may_be_absent and not choices.is_given(address) and not choices.is_so(("stated", path, name), 0.65):
            return None
        return choices.draw(address, lambda: self._sampled(name, sample, default))

    def _sampled(self, name: str, sample: Callable[[], Any] | None, default: Any) -> Any:
        value = sample() if sample is not None else sample_attribute(self.node, name, default, self.random)
        return float(np.float32(value)) if isinstance(value, float) else value

    def address(self, name: str) -> Address:
        """Where an attribute is decided: under its variable, if it has one."""
        return attribute_address(self.node, name)

    def finish(self) -> None:
        """Settle the attributes that the sampler did not ask for."""
        if self.node.version is not None:
            for name in self.node.version.attributes:
                self.attribute(name)
        else:
            for part in self.node.pattern.attributes:
                self.attribute(part.name)


def _of_kind(name: str, kind: int, value: Any) -> Any:
    """A value that a condition asks for, where the attribute can have it."""
    if kind == onnx.AttributeProto.INTS and isinstance(value, tuple):
        return tuple(_of_kind(name, onnx.AttributeProto.INT, item) for item in cast("tuple[Any, ...]", value))
    if kind == onnx.AttributeProto.INT and isinstance(value, float):
        if not value.is_integer():
            raise Impossible(f"{name} is of whole numbers, and not {value}")
        return int(value)
    return value


def attribute_address(node: NodeSketch, name: str) -> Address:
    pattern = next((a for a in node.pattern.attributes if a.name == name), None)
    if pattern is not None and pattern.variable is not None:
        return ("attribute", pattern.variable)
    return ("attribute", node.path, name)


def node_proto(node: NodeSketch, stated: dict[str, Any]) -> onnx.NodeProto:
    """The node with its attributes."""
    proto = onnx.NodeProto(op_type=node.op_type, domain=node.domain, name="_".join(map(str, ("n", *node.path))))
    proto.input.extend(n or "" for n in node.inputs)
    proto.output.extend(n or "" for n in node.outputs)
    for name, value in stated.items():
        kind = node.version.attributes[name].kind if node.version is not None else None
        try:
            made = Attribute.typed(name, kind, value) if kind is not None else Attribute.of(name, value)
            proto.attribute.append(made.to_proto())
        except (TypeError, ValueError) as error:
            raise Impossible(str(error)) from None
    return proto
