"""Two models value by value: which of one is which of the other, and where they begin to differ."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import onnx

from graphopt.data.sample import Sample
from graphopt.graph.bodies import bodies_of
from graphopt.graph.names import unnamed
from graphopt.graph.provenance import names_of, rules_of, said_by, table
from graphopt.parity.comparison import Comparison, OutputFigures
from graphopt.parity.contract import Contract
from graphopt.parity.part import with_outputs
from graphopt.parity.reference import Reference
from graphopt.progress import SILENT, Progress


@dataclass(frozen=True)
class Layer:
    """A value that both models compute.

    Attributes:
        name: in the reference.
        candidate: its name in the candidate, mostly the same.
        node, op_type: of the candidate's node that makes it.
        rules: the rules (name@file:line) that had a part in that node.
        figures: its difference and what it was held to; None where it could not be compared.
    """

    name: str
    candidate: str
    node: str
    op_type: str
    rules: tuple[str, ...]
    figures: OutputFigures | None = None

    @property
    def departs(self) -> bool:
        return self.figures is not None and not self.figures.ok

    def to_json(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "candidate": self.candidate,
            "node": self.node,
            "op_type": self.op_type,
            "rules": list(self.rules),
            "figures": None if self.figures is None else self.figures.to_json(),
        }


@dataclass(frozen=True)
class Layers:
    """The values that two models share, in the candidate's order of execution.

    Attributes:
        layers: the values.
        failures: why the candidate could not be run, if so.
    """

    layers: tuple[Layer, ...]
    failures: tuple[str, ...] = ()

    @property
    def first(self) -> Layer | None:
        """The first value that departs."""
        return next((layer for layer in self.layers if layer.departs), None)

    @property
    def equal(self) -> dict[str, str]:
        """Names in the candidate by names in the reference, of values that do not depart."""
        return {x.name: x.candidate for x in self.layers if x.figures is not None and x.figures.ok}


def compare_layers(
    reference: onnx.ModelProto,
    candidate: onnx.ModelProto,
    samples: Sequence[Sample],
    contract: Contract,
    *,
    progress: Progress = SILENT,
) -> Layers:
    """Compare every value of the main graphs that both models have, each held to a contract as outputs are.

    Args:
        reference, candidate: models with all their weights in them.

    Raises:
        NotRunnable: ONNX Runtime lacks something that a model needs.
        ModelError, RunError: the reference does not run.
    """
    matched = list(matched_values(reference, candidate))
    first = with_outputs(reference, {layer.name: layer.name for layer in matched})
    second = with_outputs(candidate, {layer.candidate: layer.name for layer in matched})
    with Reference(first.SerializeToString(), samples, label="the reference", progress=progress) as original:
        found = original.compare(second.SerializeToString(), contract, label="the candidate", progress=progress)
    figures = {output.name: output for output in found.outputs}
    layers = tuple(Layer(x.name, x.candidate, x.node, x.op_type, x.rules, figures.get(x.name)) for x in matched)
    return Layers(layers, found.failures if not found.outputs else ())


def matched_values(reference: onnx.ModelProto, candidate: onnx.ModelProto) -> Iterator[Layer]:
    """Values of the main graphs that are the same by name; or, where a rule made one node of one node, by provenance.

    The order is that in which the candidate computes them. Constants are not among them, nor outputs of the graph that
    no node makes.
    """
    origins = {_label(node): node for node in reference.graph.node}
    known = {name for node in reference.graph.node for name in node.output if name}
    taken = known & {name for node in candidate.graph.node for name in node.output}
    hidden = _names_within(candidate)
    table_of_candidate = table(candidate)
    for node in candidate.graph.node:
        if node.op_type == "Constant" and not node.domain:
            continue
        said = said_by(node, table_of_candidate)
        rules = tuple(rules_of(said))
        for index, name in enumerate(node.output):
            if not name:
                continue
            original = name if name in known else _by_provenance(said, origins, index, node)
            if original is None or (original != name and (original in taken or original in hidden)):
                continue
            taken.add(original)
            yield Layer(original, name, _label(node), node.op_type, rules)


def decisive(comparison: Comparison, samples: Sequence[Sample]) -> Sample:
    """The sample on which an output fails; the first sample where none does."""
    named = {sample.name: sample for sample in samples}
    failed = [named[o.sample] for o in comparison.outputs if not o.ok and o.sample in named]
    return failed[0] if failed else samples[0]


def _by_provenance(
    said: Mapping[str, str], origins: Mapping[str, onnx.NodeProto], index: int, node: onnx.NodeProto
) -> str | None:
    """The output of the one node of the reference that this one stands for."""
    names = names_of(said)
    origin = origins.get(names[0]) if len(names) == 1 else None
    if origin is None or len(origin.output) != len(node.output) or origin.op_type != node.op_type:
        return None
    return origin.output[index] or None


def _names_within(model: onnx.ModelProto) -> set[str]:
    """All names that the graphs of a model use, those in bodies included."""
    found: set[str] = set()
    graphs = [model.graph]
    while graphs:
        graph = graphs.pop()
        found |= {i.name for i in graph.input} | {t.name for t in graph.initializer}
        for node in graph.node:
            found |= {*node.input, *node.output}
            graphs += bodies_of(node)
    return found


def _label(node: onnx.NodeProto) -> str:
    return node.name or unnamed(node.op_type, [name for name in node.output if name])
