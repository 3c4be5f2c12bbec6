"""The same match in other surroundings: more readers, captures, bodies, constants that are none, near misses.

Whatever the engine makes of such a model, it must compute what it did; whether the rule still fires is for the engine
to know.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from random import Random
from typing import Any

import numpy as np
import onnx
from onnx import helper

from graphopt.graph.attributes import Attribute, Kind
from graphopt.graph.dtypes import DType
from graphopt.graph.tensor import Tensor
from graphopt.verify.attribute_domains import sample_attribute
from graphopt.verify.build import Feed, Instance
from graphopt.verify.draft import Known

Variant = tuple[onnx.ModelProto, tuple[Feed, ...]]
"""A model, and inputs for it."""

DECIDES = "_decides"


def variant(instance: Instance, kind: str, random: Random) -> Variant | None:
    """The instance in surroundings of this kind (of `KINDS`); None where there is nothing to do."""
    model = onnx.ModelProto()
    model.CopyFrom(instance.model)
    return KINDS[kind](_Subject(model, instance, random))


class _Subject:
    def __init__(self, model: onnx.ModelProto, instance: Instance, random: Random) -> None:
        self.model = model
        self.graph = model.graph
        self.feeds = instance.feeds
        self.random = random
        self.draft = instance.draft

    def interior(self) -> str | None:
        """A value between two nodes, of known type."""
        shown = {o.name for o in self.graph.output}
        names = [n for n in self.draft.sketch.interior if n not in shown and self.known(n).dtype is not DType.string]
        return self.random.choice(names) if names else None

    def known(self, name: str) -> Known:
        return self.draft.tensors[name]

    def done(self, more: Mapping[str, Any] | None = None) -> Variant:
        feeds = tuple({**feed, **(more or {})} for feed in self.feeds)
        return self.model, feeds


def _shown(subject: _Subject) -> Variant | None:
    name = subject.interior()
    if name is None:
        return None
    subject.graph.output.append(helper.make_tensor_value_info(name, int(subject.known(name).dtype), None))
    return subject.done()


def _read(subject: _Subject) -> Variant | None:
    name = subject.interior()
    if name is None:
        return None
    subject.graph.node.append(helper.make_node("Identity", [name], ["_read"]))
    subject.graph.output.append(helper.make_tensor_value_info("_read", int(subject.known(name).dtype), None))
    return subject.done()


def _captured(subject: _Subject) -> Variant | None:
    """The body of an If reads an interior value."""
    name = subject.interior()
    if name is None:
        return None
    elem = int(subject.known(name).dtype)
    bodies: dict[str, Any] = {}
    for branch in ("then", "else"):
        made = f"_{branch}_out"
        node = helper.make_node("Identity", [name], [made])
        output = helper.make_tensor_value_info(made, elem, None)
        bodies[f"{branch}_branch"] = helper.make_graph([node], branch, [], [output])
    subject.graph.node.append(helper.make_node("If", [DECIDES], ["_captured"], **bodies))
    subject.graph.output.append(helper.make_tensor_value_info("_captured", elem, None))
    return _decided(subject)


def _decided(subject: _Subject) -> Variant:
    subject.graph.input.append(helper.make_tensor_value_info(DECIDES, onnx.TensorProto.BOOL, []))
    return subject.done({DECIDES: np.asarray(True)})


def _in_body(subject: _Subject) -> Variant | None:
    """The whole graph as both branches of an If, its constants in the body or around it."""
    graph = subject.graph
    outputs = [o.name for o in graph.output]
    inside = subject.random.random() < 0.5
    bodies: dict[str, Any] = {}
    outer = {i.name for i in graph.input}
    if not inside:
        outer |= {t.name for t in graph.initializer}
    for branch in ("then", "else"):
        body = onnx.GraphProto(name=branch)
        body.node.extend(graph.node)
        body.output.extend(graph.output)
        if inside:
            body.initializer.extend(graph.initializer)
        _prefix(body, branch, outer)
        bodies[f"{branch}_branch"] = body
    infos = list(graph.output)
    del graph.node[:], graph.output[:]
    if inside:
        del graph.initializer[:]
    graph.node.append(helper.make_node("If", [DECIDES], outputs, **bodies))
    graph.output.extend(infos)
    return _decided(subject)


def laid_open(model: onnx.ModelProto) -> onnx.ModelProto:
    """A model that is one If on `DECIDES` as the branch that is taken, so that oracles see the nodes; any other model
    as it is."""
    nodes = model.graph.node
    if len(nodes) != 1 or nodes[0].op_type != "If" or nodes[0].input[0] != DECIDES:
        return model
    body = next(a.g for a in nodes[0].attribute if a.name == "then_branch")
    opened = onnx.ModelProto(ir_version=model.ir_version, opset_import=model.opset_import)
    opened.graph.CopyFrom(body)
    opened.graph.name = model.graph.name
    opened.graph.input.extend(model.graph.input)
    opened.graph.initializer.extend(model.graph.initializer)
    return opened


def _prefix(body: onnx.GraphProto, prefix: str, outer: set[str]) -> None:
    def renamed(name: str) -> str:
        return name if not name or name in outer else f"{prefix}_{name}"

    for item in (*body.output, *body.initializer):
        item.name = renamed(item.name)
    for node in body.node:
        node.name = f"{prefix}_{node.name}"  # ONNX Runtime takes no two nodes of one name
        inputs, outputs = [renamed(n) for n in node.input], [renamed(n) for n in node.output]
        del node.input[:], node.output[:]
        node.input.extend(inputs)
        node.output.extend(outputs)


def _overridable(subject: _Subject) -> Variant | None:
    """Weights that a caller can override, and does not."""
    graph = subject.graph
    if not graph.initializer:
        return None
    for tensor in graph.initializer:
        graph.input.append(helper.make_tensor_value_info(tensor.name, tensor.data_type, tensor.dims))
    return subject.done()


def _fed(subject: _Subject) -> Variant | None:
    """One constant is an input instead."""
    graph = subject.graph
    if not graph.initializer:
        return None
    chosen = subject.random.randrange(len(graph.initializer))
    tensor = graph.initializer[chosen]
    array = Tensor.from_proto(tensor).numpy()
    graph.input.append(helper.make_tensor_value_info(tensor.name, tensor.data_type, tensor.dims))
    name = tensor.name
    del graph.initializer[chosen]
    return subject.done({name: array})


def _shared_constant(subject: _Subject) -> Variant | None:
    """Somebody else reads a constant or an input of the match."""
    numbers = {leaf.name for leaf in subject.draft.sketch.leaves.values() if leaf.number is not None}
    names = [t.name for t in (*subject.graph.initializer, *subject.graph.input) if t.name not in numbers]
    types = {t.name: t.data_type for t in subject.graph.initializer}
    types |= {i.name: i.type.tensor_type.elem_type for i in subject.graph.input}
    if not names:
        return None
    name = subject.random.choice(names)
    subject.graph.node.append(helper.make_node("Identity", [name], ["_also"]))
    subject.graph.output.append(helper.make_tensor_value_info("_also", types[name], None))
    return subject.done()


def _twice(subject: _Subject) -> Variant | None:
    """The match twice, with the same inputs and constants."""
    graph = subject.graph
    copy = onnx.GraphProto()
    copy.CopyFrom(graph)
    outer = {i.name for i in graph.input} | {t.name for t in graph.initializer}
    del copy.initializer[:]
    _prefix(copy, "again", outer)
    graph.node.extend(copy.node)
    graph.output.extend(copy.output)
    return subject.done()


def _swapped(subject: _Subject) -> Variant | None:
    """Two inputs of a node change places."""
    nodes = [n for n in subject.graph.node if len([i for i in n.input if i]) > 1]
    if not nodes or subject.draft.has_zeros:  # ONNX Runtime does not survive every operator without elements
        return None
    node = subject.random.choice(nodes)
    first, second = subject.random.sample(range(len(node.input)), 2)
    if not (node.input[first] and node.input[second]):
        return None
    node.input[first], node.input[second] = node.input[second], node.input[first]
    return subject.done()


def _rewired(subject: _Subject) -> Variant | None:
    """A node reads another tensor of the same element type, but none that is nearly a number of the pattern: what that
    is off by may change where it is read as the number, and must not where it is read as an input."""
    sketch = subject.draft.sketch
    node = subject.random.choice(sketch.nodes)
    indices = [i for i, name in enumerate(node.inputs) if name]
    if not indices or subject.draft.has_zeros:
        return None
    index = subject.random.choice(indices)
    name = str(node.inputs[index])
    proto = next(n for n in subject.graph.node if set(n.output) & {o for o in node.outputs if o})
    earlier = [i.name for i in subject.graph.input] + [t.name for t in subject.graph.initializer]
    near = {n for n, leaf in sketch.leaves.items() if leaf.number is not None and leaf.number.is_approximate}
    others = [n for n in earlier if n in subject.draft.tensors and n != name and n not in near]
    others = [n for n in others if subject.known(n).dtype is subject.known(name).dtype]
    if not others:
        return None
    proto.input[index] = subject.random.choice(others)
    return subject.done()


def _other_attribute(subject: _Subject) -> Variant | None:
    """An attribute of a node is another one: absent, or with a value from its domain."""
    sketch = subject.draft.sketch
    node = subject.random.choice(sketch.nodes)
    names = list(node.version.attributes) if node.version is not None else []
    if not names or node.version is None:
        return None
    name = subject.random.choice(names)
    proto = next(n for n in subject.graph.node if set(n.output) & {o for o in node.outputs if o})
    kept = [a for a in proto.attribute if a.name != name]
    declared = node.version.attributes[name]
    value = sample_attribute(node, name, declared.default, subject.random)
    old = next((a for a in proto.attribute if a.name == name), None)
    if old is not None and old.ints and subject.random.random() < 0.7:
        items = list(old.ints)
        items[subject.random.randrange(len(items))] += subject.random.choice((1, -1))
        value = tuple(items)
    del proto.attribute[:]
    proto.attribute.extend(kept)
    if value is not None and declared.kind in _PLAIN and subject.random.random() < 0.85:
        try:
            proto.attribute.append(Attribute.typed(name, declared.kind, value).to_proto())
        except (TypeError, ValueError):
            return None
    return subject.done()


_PLAIN = (Kind.INT, Kind.FLOAT, Kind.STRING, Kind.INTS, Kind.FLOATS)

KINDS: dict[str, Callable[[_Subject], Variant | None]] = {
    "an interior value is an output": _shown,
    "an interior value has another reader": _read,
    "an attribute differs": _other_attribute,
    "a body reads an interior value": _captured,
    "the match lies in a body": _in_body,
    "two inputs are swapped": _swapped,
    "constants can be overridden": _overridable,
    "a constant is an input": _fed,
    "an input is another tensor": _rewired,
    "a constant has another reader": _shared_constant,
    "the match stands there twice": _twice,
}
