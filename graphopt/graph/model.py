"""A model: its main graph, and what surrounds it in the file."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import onnx

from graphopt.graph.graph import Graph, Node
from graphopt.graph.names import Names


class Model:
    """What a `.onnx` file holds.

    Attributes:
        graph: the main graph.
        header: everything of the file outside the graph (versions, producer, metadata, functions, training info).
        opsets: version of each operator domain that the main graph imports; `""` is the default domain.
        names: the authority for fresh names.
        source: the file that it was read from, if any.
        external: whether its weights lay in files beside it.
        has_notes: whether nodes of its file say in plain text where they come from; else provenance is in one table.
        notes: what loading wants the user to know.
    """

    def __init__(self, header: onnx.ModelProto, source: Path | None = None) -> None:
        self.header = header
        self.source = source
        self.external = False
        self.has_notes = True
        self.notes: list[str] = []
        self.names = Names()
        self.opsets = {("" if o.domain == "ai.onnx" else o.domain): int(o.version) for o in header.opset_import}
        self.graph = Graph(self, "")

    @property
    def opset(self) -> int:
        """Version of the default operator domain (1 where a file imports none)."""
        return self.opsets.get("", 1)

    def all_nodes(self) -> Iterator[Node]:
        """Every node of the main graph and its bodies."""
        return self.graph.all_nodes()

    def all_graphs(self) -> Iterator[Graph]:
        return self.graph.all_graphs()

    def weight_bytes(self) -> int:
        """Bytes of all initializers, those of bodies included."""
        weights = (v.initializer for g in self.all_graphs() for v in g.initializers)
        return sum(t.nbytes for t in weights if t is not None)

    def files(self) -> set[Path]:
        """The files that it lies in: its own, and those of weights beside it."""
        found = {self.source} if self.source is not None else set[Path]()
        if self.external:
            weights = [v.initializer for g in self.all_graphs() for v in g.initializers]
            constants = [v.constant for n in self.all_nodes() if not n.inputs for v in n.outputs if v is not None]
            found |= {t.external.path for t in (*weights, *constants) if t is not None and t.external is not None}
        return found

    def sort(self) -> None:
        """Bring the nodes of every graph into execution order."""
        for graph in list(self.all_graphs()):
            graph.sort()
