"""What a model holds: its tensors by name, copies to try something on, and taking one over."""

from __future__ import annotations

from collections.abc import Mapping

from graphopt.graph.graph import Value
from graphopt.graph.load import from_proto
from graphopt.graph.model import Model
from graphopt.graph.save import to_proto


def copied(model: Model) -> Model:
    """Another model that holds the same; its weights are shared where nobody writes to them."""
    other = from_proto(to_proto(model), overridable="keep")
    other.source, other.external, other.notes = model.source, model.external, list(model.notes)
    return other


def take_contents(model: Model, other: Model) -> None:
    """Make a model hold what another one holds, which must not be used any more."""
    for graph in other.all_graphs():
        graph.model = model
    model.graph, model.names, model.opsets, model.header = other.graph, other.names, other.opsets, other.header


def values_by_name(model: Model) -> Mapping[str, Value]:
    """The inputs of the main graph and what its nodes make."""
    found = {v.name: v for v in model.graph.inputs}
    found.update((v.name, v) for n in model.graph.nodes for v in n.outputs if v is not None)
    return found
