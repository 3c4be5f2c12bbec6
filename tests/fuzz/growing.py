"""Blocks grown together to one graph, whose every value is known on one set of inputs."""

from __future__ import annotations

from dataclasses import dataclass, field
from random import Random
from typing import Any

import numpy as np
import onnx
from onnx import helper, numpy_helper

from graphopt.graph.bodies import bodies_of
from graphopt.graph.dtypes import dtype_of
from tests.fuzz.blocks import OPSETS, Array, Block, Feed, Tie, operator_block, rule_block

LARGEST = 4096
"""Elements of a value that others may read on."""


@dataclass
class Grown:
    """A graph in the making.

    Attributes:
        opset: of the default domain; `domains` are versions of the others.
        nodes: in execution order.
        weights: by name.
        inputs: what the graph is fed with, by name.
        fixed: inputs and weights whose numbers others depend on: indices, sizes, divisors.
        values: what every value of the graph is, by name.
        read: names that some node reads.
    """

    opset: int
    domains: dict[str, int] = field(default_factory=dict)
    nodes: list[onnx.NodeProto] = field(default_factory=list)
    weights: dict[str, onnx.TensorProto] = field(default_factory=dict)
    inputs: Feed = field(default_factory=dict)
    fixed: set[str] = field(default_factory=set)
    values: Feed = field(default_factory=dict)
    read: set[str] = field(default_factory=set)

    def ties(self) -> list[Tie]:
        """Values that a block may read, those that nobody reads yet more often."""
        found = [Tie(n, v) for n, v in self.values.items() if v.size <= LARGEST and v.dtype.kind != "O"]
        return found + [tie for tie in found if tie.name not in self.read] * 3


def grow(random: Random, number: int) -> Grown:
    """A graph of 1 to 7 blocks; `number` says where to begin with the rules, so that all get their turn."""
    opset = random.choice([*OPSETS, 11, 13, 13, 17, 17, 18])
    graph = Grown(opset)
    wanted = random.randint(1, 7)
    turn = number * 3
    for _ in range(wanted * 3):
        if random.random() < 0.45:
            block = rule_block(random, opset, graph.ties(), turn)
            turn += 1
        else:
            block = operator_block(random, opset, graph.ties())
        if block is not None:
            _splice(graph, block, random)
            wanted -= 1
        if not wanted:
            break
    return graph


def _splice(graph: Grown, block: Block, random: Random) -> None:
    """Put a block into the graph, under names of its own."""
    prefix = f"{random.choice(('v', 'v', '', 'x.Conv'))}{len(graph.values)}_{len(graph.nodes)}_"
    names = {inner: outer for inner, outer in block.tied.items()}
    graph.read.update(names.values())
    proto = block.model.graph
    for value in proto.input:
        if value.name not in names:
            names[value.name] = prefix + value.name
            default = next((t for t in proto.initializer if t.name == value.name), None)
            graph.inputs[prefix + value.name] = block.feed.get(
                value.name, numpy_helper.to_array(default) if default is not None else np.zeros(0)
            )
            graph.values[prefix + value.name] = graph.inputs[prefix + value.name]
            if value.name in block.fixed:
                graph.fixed.add(prefix + value.name)
    for tensor in proto.initializer:
        name = names.setdefault(tensor.name, prefix + tensor.name)
        weight = onnx.TensorProto()
        weight.CopyFrom(tensor)
        weight.name = name
        graph.weights[name] = weight
        graph.values[name] = numpy_helper.to_array(tensor)
        graph.fixed.add(name)
    for node in proto.node:
        copy = onnx.NodeProto()
        copy.CopyFrom(node)
        rename_node(copy, names, prefix)
        copy.name = prefix + node.name if random.random() < 0.6 else ""
        graph.nodes.append(copy)
        graph.read.update(n for n in copy.input if n)
    for opset in block.model.opset_import:
        if opset.domain:
            graph.domains[opset.domain] = opset.version
    graph.values.update({names[name]: array for name, array in block.made.items() if name in names})


def rename_node(node: onnx.NodeProto, names: dict[str, str], prefix: str) -> None:
    """Rename what a node reads and makes, in its bodies as well; what is not known gets the prefix."""
    for index, name in enumerate(node.input):
        node.input[index] = names.get(name, name) if not name else names.setdefault(name, prefix + name)
    for body in bodies_of(node):
        inner = dict(names)
        for tensor in body.initializer:
            tensor.name = inner[tensor.name] = prefix + tensor.name
        for value in body.input:
            value.name = inner[value.name] = prefix + value.name
        for child in body.node:
            rename_node(child, inner, prefix)
        for value in body.output:
            value.name = inner[value.name]
    for index, name in enumerate(node.output):
        if name:
            node.output[index] = names.setdefault(name, prefix + name)


def another_feed(graph_inputs: Feed, fixed: set[str], random: Random) -> Feed:
    """Other numbers: the same ones elsewhere, floats stretched as well; what must be as it is stays."""
    generator = np.random.default_rng(random.getrandbits(32))
    found: Feed = {}
    for name, array in graph_inputs.items():
        if name in fixed or array.size == 0:
            found[name] = array
            continue
        moved: Any = generator.permutation(array.reshape(-1)).reshape(array.shape)
        if array.dtype.kind == "f":
            with np.errstate(all="ignore"):
                moved = (moved * np.float64(generator.uniform(0.5, 1.5))).astype(array.dtype)
        found[name] = np.asarray(moved, array.dtype)
    return found


def declared(name: str, array: Array, dims: list[int | str | None] | None) -> onnx.ValueInfoProto:
    """A declaration with the element type of an array and these dims; no shape at all for None."""
    return helper.make_tensor_value_info(name, int(dtype_of(array)), dims)
