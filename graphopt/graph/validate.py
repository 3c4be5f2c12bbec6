"""What holds of every graph between two passes, as a list of one-line claims."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Callable, Iterable, Iterator

from onnx.defs import OpSchema

from graphopt.errors import RewriteError
from graphopt.graph.graph import Graph, Node, Value
from graphopt.graph.interface import Interface, TensorSpec, spec_of
from graphopt.graph.model import Model
from graphopt.graph.order import dependencies, topological
from graphopt.graph.schemas import STANDARD_DOMAINS, attribute_kind, schema, standard_domain

SHOWN = 5
"""Violations that the error spells out; the rest are counted."""


def validate(model: Model, interface: Interface | None = None) -> None:
    """Check every claim, and with an interface that the model still has that one.

    Raises:
        RewriteError: a claim does not hold; the message names what broke, and where.
    """
    found = violations(model, interface)
    if not found:
        return
    lines = [f"  - {line}" for line in found[:SHOWN]]
    if len(found) > SHOWN:
        lines.append(f"  - and {len(found) - SHOWN} more")
    raise RewriteError(
        "\n".join(["the graph does not hold together:", *lines]),
        help="the rule or pass that ran last broke it; run without it, and tell its author",
    )


def violations(model: Model, interface: Interface | None = None) -> list[str]:
    """Every place where a claim does not hold, as `claim: place`; empty for a sound model."""
    facts = _Facts(model)
    found = [f"{claim}: {place}" for claim, places in CLAIMS for place in places(facts)]
    if interface is not None:
        found += [f"the interface of the model stays as it was: {place}" for place in _changed(interface, model)]
    return found


def interface_of_model(model: Model) -> Interface:
    """What the model takes and gives, as it is declared; the loaded form of `interface_of`."""
    graph = model.graph
    defaults = {v.name for v in graph.initializers} | set(_sparse_names(graph))
    inputs = [spec_of(v.declared) for v in graph.inputs if v.declared is not None]
    outputs = zip(graph.outputs, graph.output_infos, strict=False)
    return Interface(
        tuple(i for i in inputs if i.name not in defaults),
        tuple(dataclasses.replace(spec_of(info), name=value.name) for value, info in outputs),
        tuple(i for i in inputs if i.name in defaults),
    )


class _Facts:
    """What the claims speak of, gathered in one walk.

    Attributes:
        graphs: every graph, the main one first.
        nodes: every node, with its graph.
        defined: every value that a graph defines (once for each definition), with that graph.
        scopes: the values that each graph defines, by name.
        reads: every slot that reads a value: the reading node (None for an output of the graph), its graph, the value.
        inputs: the values that each graph lists as its inputs.
        uses, output_slots: the use-def index, made anew.
    """

    def __init__(self, model: Model) -> None:
        self.model = model
        self.graphs = list(model.all_graphs())
        self.nodes = [(node, graph) for graph in self.graphs for node in graph.nodes]
        self.defined = [(value, graph) for graph in self.graphs for value in _definitions(graph)]
        self.scopes: dict[Graph, dict[str, Value]] = {graph: {} for graph in self.graphs}
        for value, graph in self.defined:
            self.scopes[graph].setdefault(value.name, value)
        self.inputs = {(value, graph) for graph in self.graphs for value in graph.inputs}
        self.reads = list(self._reads())
        for _, _, value in self.reads:
            if value.producer is None and value.name in _sparse_names(value.graph):
                self.scopes[value.graph].setdefault(value.name, value)
        self.uses: dict[Value, Counter[Node]] = {}
        for node, _ in self.nodes:
            for value in node.inputs:
                if value is not None:
                    self.uses.setdefault(value, Counter())[node] += 1
        self.output_slots = Counter(value for graph in self.graphs for value in graph.outputs)

    def _reads(self) -> Iterator[tuple[Node | None, Graph, Value]]:
        for node, graph in self.nodes:
            for value in node.inputs:
                if value is not None:
                    yield node, graph, value
        for graph in self.graphs:
            for value in graph.outputs:
                yield None, graph, value

    def seen_as(self, name: str, graph: Graph) -> Value | None:
        """The value that a reader in `graph` means by this name: the innermost."""
        scope: Graph | None = graph
        while scope is not None:
            found = self.scopes[scope].get(name) if scope in self.scopes else None
            if found is not None:
                return found
            scope = scope.parent.graph if scope.parent is not None else None
        return None

    def schemas(self) -> Iterator[tuple[Node, OpSchema | None]]:
        """Nodes whose operators the standard defines, with their schemas at the model's opsets."""
        model = self.model
        functions = {(standard_domain(f.domain), f.name) for f in model.header.functions}
        for node, _ in self.nodes:
            if node.domain in STANDARD_DOMAINS and (node.domain, node.op_type) not in functions:
                yield node, schema(node.op_type, model.opsets.get(node.domain, 0), node.domain)


Claim = Callable[[_Facts], Iterable[str]]
"""The places where a claim does not hold."""

CLAIMS: tuple[tuple[str, Claim], ...] = (
    ("a value has a name", lambda f: (_title(g) for v, g in f.defined if not v.name)),
    (
        "a name means one value in its graph",
        lambda f: (f"{n} in {_title(g)}" for (n, g), k in Counter((v.name, g) for v, g in f.defined).items() if k > 1),
    ),
    (
        "what is read is defined in its graph or around it",
        lambda f: (_reading(*read) for read in f.reads if f.seen_as(read[2].name, read[1]) is None),
    ),
    (
        "a name leads its reader to the value that is meant",
        lambda f: (_reading(*read) for read in f.reads if f.seen_as(read[2].name, read[1]) not in (None, read[2])),
    ),
    ("every name is reserved", lambda f: (v.name for v, _ in f.defined if v.name not in f.model.names)),
    ("a value knows the graph that defines it", lambda f: (v.name for v, g in f.defined if v.graph is not g)),
    ("a node knows its graph", lambda f: (n.label for n, g in f.nodes if n.graph is not g)),
    (
        "a body knows its node and its model",
        lambda f: (n.label for n, g in f.nodes for b in n.bodies if b.parent is not n or b.model is not g.model),
    ),
    (
        "the producer of a value is the node that has it as an output",
        lambda f: (v.name for v, p in _producers(f) if v.producer is not p),
    ),
    (
        "the uses of a value are the input slots that read it",
        lambda f: (v.name for v, _ in f.defined if v.uses != f.uses.get(v, Counter())),
    ),
    (
        "the output slots of a value are the places that it fills",
        lambda f: (v.name for v, _ in f.defined if v.output_slots != f.output_slots[v]),
    ),
    ("nodes form no cycle", lambda f: (c for g in f.graphs for c in _cycles(g))),
    ("nodes come after what they read, where marked as sorted", lambda f: (n for g in f.graphs for n in _early(g))),
    ("an input is marked as one", lambda f: (v.name for v, g in f.defined if v.is_input != ((v, g) in f.inputs))),
    ("an input has a declared type", lambda f: (v.name for g in f.graphs for v in g.inputs if v.declared is None)),
    (
        "an output has a declared type",
        lambda f: (_title(g) for g in f.graphs if len(g.outputs) != len(g.output_infos)),
    ),
    (
        "an initializer is listed by its graph, with its data",
        lambda f: (v.name for v, g in f.defined if (v.initializer is not None) != (v in g.initializers)),
    ),
    ("an initializer that is an input is no constant", lambda f: (v.name for v, _ in f.defined if _frozen_input(v))),
    ("a constant is an initializer, or made by a Constant", lambda f: (v.name for v, _ in f.defined if _unbacked(v))),
    (
        "a value has the dtype and shape of its data",
        lambda f: (v.name for v, _ in f.defined if _contradicts_data(v)),
    ),
    ("an operator exists in the model's opset", lambda f: (n.label for n, s in f.schemas() if s is None)),
    (
        "a node sets only attributes that its operator has",
        lambda f: (f"{a} of {n.label}" for n, s in f.schemas() if s for a in n.attributes if a not in s.attributes),
    ),
    (
        "an attribute is of the kind that its operator asks for",
        lambda f: (f"{a} of {n.label}" for n, s in f.schemas() if s for a in _misfits(n, s)),
    ),
    (
        "a node sets the attributes that its operator demands",
        lambda f: (f"{a} of {n.label}" for n, s in f.schemas() if s for a in _missing(n, s)),
    ),
    (
        "a node has as many inputs and outputs as its operator takes",
        lambda f: (n.label for n, s in f.schemas() if s and not _fits(n, s)),
    ),
)


def _definitions(graph: Graph) -> Iterator[Value]:
    """The values that a graph defines. An input with a default is defined once."""
    inputs = set(graph.inputs)
    yield from graph.inputs
    yield from (v for v in graph.initializers if v not in inputs)
    for node in graph.nodes:
        yield from (v for v in node.outputs if v is not None)


def _producers(facts: _Facts) -> Iterator[tuple[Value, Node | None]]:
    """Every defined value, with the node that makes it."""
    for graph in facts.graphs:
        for value in (*graph.inputs, *graph.initializers):
            yield value, None
    for node, _ in facts.nodes:
        yield from ((v, node) for v in node.outputs if v is not None)


def _reading(reader: Node | None, graph: Graph, value: Value) -> str:
    return f"{value.name}, read by {f'outputs of {_title(graph)}' if reader is None else f'node {reader.label}'}"


def _title(graph: Graph) -> str:
    return "the main graph" if graph.parent is None else f"the body {graph.name!r} of node {graph.parent.label}"


def _sparse_names(graph: Graph) -> Iterator[str]:
    return (s.values.name for s in graph.sparse_initializers)


def _cycles(graph: Graph) -> Iterator[str]:
    try:
        topological(graph)
    except RewriteError as error:
        yield error.message.removeprefix("the graph has a cycle: ")


def _early(graph: Graph) -> Iterator[str]:
    """Nodes that stand before something that they read."""
    done: set[Node] = set()
    for node in graph.nodes if graph.sorted else ():
        if any(d not in done for d in dependencies(node, graph)):
            yield node.label
        done.add(node)


def _frozen_input(value: Value) -> bool:
    return value.is_input and value.constant is not None


def _unbacked(value: Value) -> bool:
    if value.constant is None or value.constant is value.initializer:
        return False
    return value.producer is None or (value.producer.op_type, value.producer.domain) != ("Constant", "")


def _contradicts_data(value: Value) -> bool:
    data = value.initializer or value.constant
    if data is None:
        return False
    return value.dtype is not data.dtype or (value.shape != data.shape and not value.is_input)


def _misfits(node: Node, found: OpSchema) -> Iterator[str]:
    for name, attribute in node.attributes.items():
        kind = attribute_kind(node.op_type, found.since_version, name, node.domain)
        if kind is not None and attribute.kind != kind:
            yield name


def _missing(node: Node, found: OpSchema) -> Iterator[str]:
    return (name for name, a in found.attributes.items() if a.required and name not in node.attributes)


def _fits(node: Node, found: OpSchema) -> bool:
    inputs, outputs = len(node.inputs), len(node.outputs)
    return found.min_input <= inputs <= found.max_input and found.min_output <= outputs <= found.max_output


def _changed(before: Interface, model: Model) -> Iterator[str]:
    after = interface_of_model(model)
    for what, old, new in (
        ("inputs", before.inputs, after.inputs),
        ("outputs", before.outputs, after.outputs),
        ("inputs with a default", before.optional, after.optional),
    ):
        if old != new:
            yield f"{what} were {_listed(old)}, and are {_listed(new)}"


def _listed(specs: tuple[TensorSpec, ...]) -> str:
    return "(" + ", ".join(map(str, specs)) + ")"
