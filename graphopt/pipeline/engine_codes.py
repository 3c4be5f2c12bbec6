"""Which nodes that read codes an engine computes in codes, by the list of its kernels."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from graphopt.backends.base import Artifact
from graphopt.graph.graph import Node, Value
from graphopt.graph.model import Model

MULTIPLYING = ("correlation", "gemm", "runtime_fusion")
"""What the builder calls kernels of Conv, Gemm and MatMul."""

WEIGHTED = ("Conv", "ConvTranspose", "Gemm", "MatMul")
QUANTIZE, DEQUANTIZE = "QuantizeLinear", "DequantizeLinear"
CODES = ("int8", "float8e4m3fn")


@dataclass(frozen=True)
class EngineCodes:
    """What became of the codes of one engine.

    Attributes:
        target: name of the target.
        computed: labels of nodes that read codes in the model, and that a kernel computes in codes.
        missed: those that every kernel computes in floating point.
        alone: QuantizeLinear nodes that no kernel computes along with what makes their input, so that they cost a
            kernel of their own; those of the graph's inputs, which nothing makes, are left out.
    """

    target: str
    computed: tuple[str, ...]
    missed: tuple[str, ...]
    alone: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        return {
            "target": self.target,
            "computed": list(self.computed),
            "missed": list(self.missed),
            "alone": list(self.alone),
        }

    def notes(self) -> Iterator[str]:
        """What the user should know, one sentence each."""
        if self.missed:
            yield f"{self.target} computes in floating point, though it reads codes: {', '.join(self.missed)}"
        if self.alone:
            yield f"{self.target} has a kernel of its own for: {', '.join(self.alone)}"


def engine_codes(model: Model, artifact: Artifact) -> EngineCodes | None:
    """The verdict on one artifact; None where its kernels are not known, or the model has no codes."""
    intended = [n for n in model.all_nodes() if reads_codes(n)]
    if not artifact.layers or not intended:
        return None
    computed = {
        label
        for layer in artifact.layers
        if layer.kind in MULTIPLYING and any(dtype in CODES for dtype in layer.inputs)
        for label in layer.onnx_nodes
    }
    together = [set(layer.onnx_nodes) for layer in artifact.layers]
    alone = [n.label for n in model.all_nodes() if _is(n, QUANTIZE) and _is_alone(n, together)]
    return EngineCodes(
        artifact.target,
        tuple(n.label for n in intended if n.label in computed),
        tuple(n.label for n in intended if n.label not in computed),
        tuple(alone),
    )


def reads_codes(node: Node) -> bool:
    """Whether a node multiplies two operands that come out of codes."""
    if node.domain or node.op_type not in WEIGHTED:
        return False
    return all(_comes_of_codes(value) for value in node.inputs[:2])


def _comes_of_codes(value: Value | None) -> bool:
    return value is not None and value.producer is not None and _is(value.producer, DEQUANTIZE)


def _is_alone(quantize: Node, together: list[set[str]]) -> bool:
    source = quantize.inputs[0]
    maker = source.producer if source is not None else None
    if maker is None:
        return False
    listed = [nodes for nodes in together if quantize.label in nodes]
    return bool(listed) and not any(maker.label in nodes for nodes in listed)


def _is(node: Node, operator: str) -> bool:
    return node.op_type == operator and not node.domain
