"""One pair of QuantizeLinear and DequantizeLinear for each tensor, whoever reads it, and how their values are named."""

from __future__ import annotations

from collections.abc import Collection

import numpy as np

from graphopt.graph.graph import Graph, Node, Value
from graphopt.lang.quantizer import has_one_step

QUANTIZE, DEQUANTIZE = "QuantizeLinear", "DequantizeLinear"

CODES, VALUES = ".quantized", ".dequantized"
"""What stands behind the name of a tensor in the names of its codes, and of what they stand for."""


def is_half(node: Node) -> bool:
    """Whether a node is one of a pair."""
    return not node.domain and node.op_type in (QUANTIZE, DEQUANTIZE)


def find_twin(made: Node, graph: Graph, gone: Collection[Node]) -> Node | None:
    """A node of the graph that does what this half of a pair is to do; `gone` are about to leave."""
    source = made.inputs[0]
    if not is_half(made) or source is None or source.constant is not None:
        return None
    return next((n for n in source.uses if n.graph is graph and n not in gone and _does_the_same(n, made)), None)


def supersede(quantize: Node, dequantize: Node) -> list[Value]:
    """Let who reads a tensor in other steps read it in these; returns the values that nobody reads now."""
    source, made, graph = quantize.inputs[0], dequantize.outputs[0], quantize.graph
    assert source is not None
    assert made is not None
    assert graph is not None
    left: list[Value] = []
    others = [n for n in source.uses if n.graph is graph and n is not quantize and has_one_step(n, QUANTIZE)]
    for other in others:
        codes = other.outputs[0]
        for half in list(codes.uses) if codes is not None else ():
            values = half.outputs[0]
            if half.op_type == DEQUANTIZE and half.graph is graph and values is not None:
                graph.redirect(values, made)
                left.append(values)
    return left


def output_name(made: Node, of: str) -> str | None:
    """The name that the output of half of a pair takes; `of` is what it reads. None for other nodes."""
    if not is_half(made):
        return None
    if made.op_type == QUANTIZE:
        return of + CODES
    return of.removesuffix(CODES) + VALUES


def _does_the_same(node: Node, made: Node) -> bool:
    if node.op_type != made.op_type or node.domain or len(node.inputs) != len(made.inputs):
        return False
    attributes = sorted(a.key() for a in node.attributes.values()) == sorted(a.key() for a in made.attributes.values())
    pairs = zip(node.inputs[1:], made.inputs[1:], strict=True)
    return attributes and all(same_constant(a, b) for a, b in pairs)


def same_constant(left: Value | None, right: Value | None) -> bool:
    """Whether two values are known while compiling, and equal in type and content."""
    if left is None or right is None or left.constant is None or right.constant is None:
        return False
    same_type = left.dtype is right.dtype and left.shape == right.shape
    return same_type and bool(np.array_equal(left.constant.numpy(), right.constant.numpy()))
