"""Noise or wrong: the part of a model where two models part ways, run in float64."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import onnx

from graphopt.data.sample import Sample
from graphopt.errors import GraphoptError
from graphopt.parity.layers import Layer, Layers
from graphopt.parity.part import Part, part_between, part_model, values_of
from graphopt.verify.judge import Contract, Outcome, judge

MOST_ELEMENTS = 1 << 24
"""Elements, of the values that a part reads and gives, up to which it is run in float64."""


@dataclass(frozen=True)
class Explanation:
    """Whether a difference is rounding.

    Attributes:
        kind: "noise": over the real numbers the two parts are equal, so that only rounding differs; "wrong": they
            differ in float64 as well; "unknown".
        text: in a sentence.
        nodes: the nodes of the candidate that were looked at.
    """

    kind: Literal["noise", "wrong", "unknown"]
    text: str
    nodes: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        return {"kind": self.kind, "text": self.text, "nodes": list(self.nodes)}


def explain(
    reference: onnx.ModelProto, candidate: onnx.ModelProto, layers: Layers, layer: Layer, sample: Sample
) -> Explanation:
    """Run what lies between the last values that are equal and one that is not in float64, in both models, on the
    values that the reference has there."""
    first = part_between(reference, layers.equal, [layer.name])
    second = part_between(candidate, layers.equal.values(), [layer.candidate])
    original = {name: known for known, name in layers.equal.items()}
    reads = {*first.reads, *(original.get(name, name) for name in second.reads)}
    nodes = tuple(node.name or node.op_type for node in second.nodes)
    try:
        feeds = values_of(reference, sorted(reads), sample)
    except GraphoptError as error:
        return Explanation("unknown", f"the values there cannot be had: {error.message}", nodes)
    if sum(array.size for array in feeds.values()) > MOST_ELEMENTS:
        return Explanation("unknown", "the part is too large for a run in float64", nodes)
    before = part_model(reference, first, feeds, {layer.name: layer.name})
    after = part_model(_renamed(candidate, original), _renamed_part(second, original), feeds, _given(layer))
    return _explained(judge(before, after, feeds, Contract("real")), nodes)


def _given(layer: Layer) -> Mapping[str, str]:
    return {layer.candidate: layer.name}


def _renamed(model: onnx.ModelProto, names: Mapping[str, str]) -> onnx.ModelProto:
    return model if all(a == b for a, b in names.items()) else _with_names(model, names)


def _with_names(model: onnx.ModelProto, names: Mapping[str, str]) -> onnx.ModelProto:
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    for node in copy.graph.node:
        _rename(node, names)
    return copy


def _renamed_part(part: Part, names: Mapping[str, str]) -> Part:
    if all(a == b for a, b in names.items()):
        return part
    nodes = [onnx.NodeProto.FromString(node.SerializeToString()) for node in part.nodes]
    for node in nodes:
        _rename(node, names)
    return Part(tuple(nodes), tuple(names.get(name, name) for name in part.reads))


def _rename(node: onnx.NodeProto, names: Mapping[str, str]) -> None:
    for index, name in enumerate(node.input):
        node.input[index] = names.get(name, name)


def _explained(outcome: Outcome, nodes: tuple[str, ...]) -> Explanation:
    figures = f"{outcome.error:.3g} apart, rounding explains {outcome.allowed:.3g}"
    if outcome.kind in ("same", "rounding"):
        said = "bit by bit the same there" if outcome.kind == "same" else f"in float64 {figures}"
        return Explanation("noise", f"rounding: {said}", nodes)
    if outcome.kind == "wrong":
        more = f": {figures}" if outcome.error else ""
        return Explanation("wrong", f"wrong, and not rounding: {outcome.note}{more}", nodes)
    return Explanation("unknown", outcome.note, nodes)
