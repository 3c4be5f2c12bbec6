"""The graph in memory: values, nodes and graphs, with a use-def index that is right after every change.

Uses count wherever they are: an input of a node here, an input of a node in the body of an If, Loop or Scan
(a capture), and a place among a graph's outputs.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

import onnx

from graphopt.graph.attributes import Attribute
from graphopt.graph.dtypes import DType
from graphopt.graph.interface import Shape
from graphopt.graph.names import unnamed
from graphopt.graph.tensor import Tensor

if TYPE_CHECKING:
    from graphopt.graph.model import Model


class Value:
    """One tensor (or sequence, optional, map) of a graph.

    Attributes:
        name: unique in its model once loaded.
        dtype, shape: None where unknown; dims are sizes, names of dynamic sizes, or None.
        type_proto: the type of what is not a plain tensor.
        constant: the data of an initializer or Constant that nobody can override, else None.
        initializer: the data, if this is an initializer, overridable or not.
        producer: the node that makes it, or None for inputs and initializers.
        uses: consuming nodes, each with the number of its input slots that read this value.
        output_slots: how many places among outputs of graphs it fills.
        graph: the graph whose scope defines it.
        declared: the type as the file declared it, written back as it was.
    """

    __slots__ = (
        "constant",
        "declared",
        "dtype",
        "graph",
        "initializer",
        "is_input",
        "name",
        "output_slots",
        "producer",
        "shape",
        "type_proto",
        "uses",
    )

    def __init__(self, name: str, graph: Graph, dtype: DType | None = None, shape: Shape | None = None) -> None:
        self.name = name
        self.graph = graph
        self.dtype = dtype
        self.shape = shape
        self.type_proto: onnx.TypeProto | None = None
        self.constant: Tensor | None = None
        self.initializer: Tensor | None = None
        self.producer: Node | None = None
        self.uses: dict[Node, int] = {}
        self.output_slots = 0
        self.is_input = False
        self.declared: onnx.ValueInfoProto | None = None

    @property
    def rank(self) -> int | None:
        return None if self.shape is None else len(self.shape)

    @property
    def is_output(self) -> bool:
        return self.output_slots > 0

    @property
    def is_used(self) -> bool:
        return bool(self.uses) or self.output_slots > 0

    def __repr__(self) -> str:
        dims = "?" if self.shape is None else ",".join("?" if d is None else str(d) for d in self.shape)
        return f"{self.name}: {self.dtype.name if self.dtype else '?'}[{dims}]"


class Node:
    """One operator. `inputs` and `outputs` hold None where an optional one is absent.

    Change inputs through `set_input` and outputs through `Graph`, so that the use-def index stays right.
    `order` sorts nodes that do not depend on each other; `has_bodies` is set when the node enters a graph.
    """

    __slots__ = (
        "attributes",
        "doc_string",
        "domain",
        "graph",
        "has_bodies",
        "inputs",
        "metadata",
        "name",
        "op_type",
        "order",
        "outputs",
        "overload",
    )

    def __init__(
        self,
        op_type: str,
        inputs: Iterable[Value | None],
        outputs: Iterable[Value | None],
        attributes: dict[str, Attribute] | None = None,
        *,
        domain: str = "",
        name: str = "",
    ) -> None:
        self.op_type = op_type
        self.domain = domain
        self.name = name
        self.inputs: list[Value | None] = list(inputs)
        self.outputs: list[Value | None] = list(outputs)
        self.attributes: dict[str, Attribute] = attributes or {}
        self.overload = ""
        self.doc_string = ""
        self.metadata: dict[str, str] = {}
        self.graph: Graph | None = None
        self.order = 0
        self.has_bodies = False

    def input(self, index: int) -> Value | None:
        """The input at this place, None where absent."""
        return self.inputs[index] if index < len(self.inputs) else None

    def output(self, index: int = 0) -> Value | None:
        """The output at this place, None where absent."""
        return self.outputs[index] if index < len(self.outputs) else None

    def attribute(self, name: str, default: Any = None) -> Any:
        """The value of an attribute, or the default given here where the node does not set it."""
        found = self.attributes.get(name)
        return default if found is None else found.value

    def set_input(self, index: int, value: Value | None) -> None:
        """Read another value at this place."""
        old = self.inputs[index]
        if old is value:
            return
        if old is not None:
            _drop_use(old, self)
        self.inputs[index] = value
        if value is not None:
            value.uses[self] = value.uses.get(self, 0) + 1

    def trim_inputs(self) -> None:
        """Leave out trailing absent inputs."""
        while self.inputs and self.inputs[-1] is None:
            self.inputs.pop()

    @property
    def bodies(self) -> Iterator[Graph]:
        """The subgraphs that this node holds."""
        for attribute in self.attributes.values():
            if attribute.is_graph:
                yield from attribute.graphs

    @property
    def label(self) -> str:
        """How messages name this node: its name, or its operator and first output where it has none."""
        return self.name or unnamed(self.op_type, (o.name for o in self.outputs if o is not None))

    def __repr__(self) -> str:
        return f"<{self.op_type} {self.label}>"


class Graph:
    """A graph or the body of a node: inputs, outputs, initializers, and nodes in execution order.

    Inside a pass the order may lag behind; `sort` restores it.
    """

    def __init__(self, model: Model, name: str = "", parent: Node | None = None) -> None:
        self.model = model
        self.name = name
        self.parent = parent
        self.doc_string = ""
        self.metadata: dict[str, str] = {}
        self.inputs: list[Value] = []
        self.outputs: list[Value] = []
        self.output_infos: list[onnx.ValueInfoProto] = []
        self.initializers: dict[Value, None] = {}
        self.sparse_initializers: list[onnx.SparseTensorProto] = []
        self.quantization_annotations: list[onnx.TensorAnnotation] = []
        self.nodes: dict[Node, None] = {}
        self.sorted = True
        self._next_order = 0

    # --- building and changing ---

    def add_node(self, node: Node, order: int | None = None) -> Node:
        """Put a node into this graph. `order` is that of the node that it stands in for; the end if not given."""
        node.graph = self
        node.has_bodies = bool(node.attributes) and any(a.is_graph for a in node.attributes.values())
        if order is None:
            node.order = self._next_order
        else:
            node.order = order
            self.sorted = False
        self._next_order = max(self._next_order, node.order) + 1
        self.nodes[node] = None
        for value in node.inputs:
            if value is not None:
                value.uses[node] = value.uses.get(node, 0) + 1
        for value in node.outputs:
            if value is not None:
                value.producer = node
                value.graph = self
        if node.has_bodies:
            for body in node.bodies:
                body.parent = node
        return node

    def remove_node(self, node: Node) -> None:
        """Take a node out. Its outputs must be unused or about to be defined by another node."""
        self.detach_node(node)
        for value in node.outputs:
            if value is not None and value.producer is node:
                value.producer = None
                value.constant = None
        if node.has_bodies:
            for body in node.bodies:
                body.release()

    def detach_node(self, node: Node) -> None:
        """Take a node out that is about to be added to another graph, with its outputs and bodies."""
        for value in node.inputs:
            if value is not None and node in value.uses:
                del value.uses[node]
        del self.nodes[node]
        node.graph = None

    def release(self) -> None:
        """Give up everything that the nodes and outputs of a removed body read from outside."""
        for node in list(self.nodes):
            self.remove_node(node)
        for value in self.outputs:
            value.output_slots -= 1
        self.outputs = []

    def add_initializer(self, tensor: Tensor, base_name: str) -> Value:
        """A new constant under a fresh name made from `base_name`."""
        value = Value(self.model.names.fresh(base_name), self, tensor.dtype, tensor.shape)
        value.constant = value.initializer = tensor
        self.initializers[value] = None
        return value

    def remove_initializer(self, value: Value) -> None:
        del self.initializers[value]
        value.initializer = None
        value.constant = None

    def new_value(self, base_name: str, dtype: DType | None = None, shape: Shape | None = None) -> Value:
        """A new value under a fresh name, to be an output of a node that is about to be added."""
        return Value(self.model.names.fresh(base_name), self, dtype, shape)

    def set_output(self, index: int, value: Value) -> None:
        """Fill a place among the outputs; the caller answers for the name that it shows."""
        old = self.outputs[index]
        if old is not value:
            old.output_slots -= 1
            value.output_slots += 1
            self.outputs[index] = value

    def redirect(self, old: Value, new: Value) -> None:
        """Make every node that reads `old` read `new` instead; places among graph outputs stay."""
        for node in list(old.uses):
            for index, value in enumerate(node.inputs):
                if value is old:
                    node.set_input(index, new)

    # --- reading ---

    @property
    def is_main(self) -> bool:
        return self.parent is None

    def sort(self) -> None:
        """Order the nodes topologically, by `order` wherever dependencies leave a choice.

        Raises:
            RewriteError: the nodes form a cycle.
        """
        if self.sorted:
            return
        from graphopt.graph.order import topological

        self.nodes = dict.fromkeys(topological(self))
        for position, node in enumerate(self.nodes):
            node.order = position
        self.sorted = True

    def all_nodes(self) -> Iterator[Node]:
        """Every node here and in bodies, each node before the nodes of its bodies."""
        pending = [iter(self.nodes)]
        while pending:
            for node in pending[-1]:
                yield node
                if node.has_bodies:
                    pending.extend(reversed([iter(body.nodes) for body in node.bodies]))
                    break
            else:
                pending.pop()

    def all_graphs(self) -> Iterator[Graph]:
        """This graph and every body below it, each graph before those of its nodes."""
        pending: list[Graph] = [self]
        while pending:
            graph = pending.pop()
            yield graph
            pending.extend(reversed([body for node in graph.nodes if node.has_bodies for body in node.bodies]))

    def contains(self, inner: Graph) -> bool:
        """Whether `inner` is this graph or a body somewhere below it."""
        graph: Graph | None = inner
        while graph is not None:
            if graph is self:
                return True
            graph = graph.parent.graph if graph.parent is not None else None
        return False


def _drop_use(value: Value, node: Node) -> None:
    count = value.uses[node] - 1
    if count:
        value.uses[node] = count
    else:
        del value.uses[node]
