"""Parts of models: values inside shown as outputs, and what lies between some values made a model of its own."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
import onnx
from onnx import helper

from graphopt.data.sample import Array, Sample
from graphopt.graph.bodies import bodies_of
from graphopt.graph.dtypes import dtype_of
from graphopt.parity.runners import Runner


def with_outputs(model: onnx.ModelProto, names: Mapping[str, str]) -> onnx.ModelProto:
    """A copy that shows values of its main graph as further outputs; `names` says under which name each is shown.

    What already is an output stays where it is, and is not shown twice.
    """
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    shown = {o.name for o in copy.graph.output}
    for name, as_name in names.items():
        if as_name in shown:
            continue
        if name != as_name:
            copy.graph.node.append(helper.make_node("Identity", [name], [as_name]))
        copy.graph.output.append(onnx.ValueInfoProto(name=as_name))
    return copy


@dataclass(frozen=True)
class Part:
    """What makes some values of a model's main graph out of others.

    Attributes:
        nodes: in execution order.
        reads: names of the values that come from outside, constants not among them.
    """

    nodes: tuple[onnx.NodeProto, ...]
    reads: tuple[str, ...]


def part_between(model: onnx.ModelProto, known: Iterable[str], wanted: Iterable[str]) -> Part:
    """The nodes that make the `wanted` values, as far up as values that are `known` or inputs of the graph."""
    stops = set(known)
    pending = set(wanted)
    constants = {t.name for t in model.graph.initializer} | {t.values.name for t in model.graph.sparse_initializer}
    constants -= {i.name for i in model.graph.input}
    chosen: list[onnx.NodeProto] = []
    for node in reversed(model.graph.node):
        if pending.intersection(node.output):
            chosen.append(node)
            pending -= set(node.output)
            pending |= names_read(node) - stops
    made = {name for node in chosen for name in node.output}
    read = {name for node in chosen for name in names_read(node)} - made - constants
    return Part(tuple(reversed(chosen)), tuple(sorted(read)))


def names_read(node: onnx.NodeProto) -> set[str]:
    """The values that a node reads, those that its bodies capture among them."""
    found = {name for name in node.input if name}
    for body in bodies_of(node):
        inner = {i.name for i in body.input} | {t.name for t in body.initializer}
        inner |= {name for n in body.node for name in n.output}
        read = {name for n in body.node for name in names_read(n)} | {o.name for o in body.output}
        found |= read - inner
    return found


def part_model(
    model: onnx.ModelProto, part: Part, feeds: Mapping[str, Array], wanted: Mapping[str, str]
) -> onnx.ModelProto:
    """A part as a model: its inputs are the `feeds`, of their shapes; `wanted` says under which name each value is
    given. All the feeds are inputs, read or not, so that two parts can be made to take the same."""
    read = {name for node in part.nodes for name in names_read(node)}
    weights = [t for t in model.graph.initializer if t.name in read and t.name not in feeds]
    nodes = [*part.nodes, *(helper.make_node("Identity", [n], [w]) for n, w in wanted.items() if n != w)]
    inputs = [helper.make_tensor_value_info(n, int(dtype_of(a)), a.shape) for n, a in feeds.items()]
    outputs = [onnx.ValueInfoProto(name=name) for name in wanted.values()]
    graph = helper.make_graph(nodes, "part", inputs, outputs, weights)
    made = helper.make_model(graph, opset_imports=model.opset_import, functions=model.functions)
    made.ir_version = model.ir_version
    return made


def values_of(model: onnx.ModelProto, names: list[str], sample: Sample) -> dict[str, Array]:
    """The values of these names in a run of the model; inputs and defaults as they were given."""
    given = {t.name: onnx.numpy_helper.to_array(t) for t in model.graph.initializer if t.name in names}
    given |= {n: v for n, v in sample.arrays.items() if n in names and isinstance(v, np.ndarray)}
    inside = [name for name in names if name not in given]
    if not inside:
        return given
    with Runner(with_outputs(model, {n: n for n in inside}).SerializeToString(), "the reference") as runner:
        found = runner.run(sample)
    tensors = {name: found[name] for name in inside}
    return {**given, **{n: v for n, v in tensors.items() if isinstance(v, np.ndarray)}}
