"""Looking behind a refused node for others.

The parser names every operator that it does not know at all, but stops at the first whose import fails. So the refused
nodes are cut out, their results become inputs of the types that shape inference gives, and the rest is parsed again,
until nothing is refused. It runs in the builder's process.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import onnx
from onnx import shape_inference

from graphopt.backends.parser_error import ParserError
from graphopt.graph.bodies import bodies_of

ROUNDS = 64
"""Most times that the rest is parsed."""

NEEDS_CONSTANT = re.compile("constant|initializer")
"""Errors that may be the cut's own doing: a result that became an input is no constant any more."""

Parse = Callable[[bytes, str], list[ParserError]]


class Unjudged(Exception):
    """Nodes are left of which nothing can be said."""


def behind(path: Path, first: list[ParserError], parse: Parse) -> Iterator[list[ParserError]]:
    """More errors, round by round, with indexes of the original graph; ends when the rest is taken.

    Raises:
        Unjudged: the rest cannot be parsed on its own, or some nodes read values of unknown type.
        Exception: whatever onnx raises on a model that it cannot infer.
    """
    model = onnx.ModelProto.FromString(path.read_bytes())
    types = _types(model)
    refused: set[int] = set()
    fresh = {error.node for error in first if error.node >= 0}
    for _ in range(ROUNDS):
        refused |= fresh
        rest = _without(model, refused, types)
        found = parse(rest.model.SerializeToString(), str(path))
        if any(error.node < 0 for error in found):
            raise Unjudged
        found = [replace(error, node=rest.kept[error.node]) for error in found]
        fresh = {error.node for error in found}
        yield [e for e in found if e.node not in rest.downstream or not NEEDS_CONSTANT.search(e.text)]
        if not fresh:
            if len(rest.kept) + len(refused) < len(model.graph.node):
                raise Unjudged
            return
    raise Unjudged


def _types(model: onnx.ModelProto) -> dict[str, onnx.ValueInfoProto]:
    graph = shape_inference.infer_shapes(model).graph
    return {
        info.name: info
        for info in (*graph.value_info, *graph.output)
        if info.type.tensor_type.elem_type and info.type.tensor_type.HasField("shape")
    }


@dataclass
class _Rest:
    """A model without the refused nodes and those that read a result of theirs of unknown type.

    `kept` holds the original indexes of its nodes, `downstream` those of them that depend on a cut result.
    """

    model: onnx.ModelProto = field(default_factory=onnx.ModelProto)
    kept: list[int] = field(default_factory=list[int])
    downstream: set[int] = field(default_factory=set[int])


def _without(model: onnx.ModelProto, refused: set[int], types: dict[str, onnx.ValueInfoProto]) -> _Rest:
    rest = _Rest()
    cut: set[str] = set()
    unknown: set[str] = set()
    tainted: set[str] = set()
    read: set[str] = set()
    for index, node in enumerate(model.graph.node):
        reads = set(_reads(node))
        if index in refused:
            cut.update(node.output)
            tainted.update(node.output)
            unknown.update(name for name in node.output if name not in types)
        elif not unknown.isdisjoint(reads):
            unknown.update(node.output)
        else:
            rest.kept.append(index)
            read |= reads
            if not tainted.isdisjoint(reads):
                rest.downstream.add(index)
                tainted.update(node.output)
    nodes = [model.graph.node[index] for index in rest.kept]
    made = {name for node in nodes for name in node.output}
    rest.model.CopyFrom(model)
    rest.model.graph.input.extend(types[name] for name in sorted(cut & read))
    _replace(rest.model.graph.node, nodes)
    _replace(rest.model.graph.output, [output for output in model.graph.output if output.name in made])
    return rest


def _replace(items: Any, new: list[Any]) -> None:
    del items[:]
    items.extend(new)


def _reads(node: onnx.NodeProto) -> Iterator[str]:
    yield from (name for name in node.input if name)
    for body in bodies_of(node):
        for inner in body.node:
            yield from _reads(inner)
