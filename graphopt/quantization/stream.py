"""A model run over some samples piece by piece, so that its weights can change between one piece and the next."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
import onnx

from graphopt.data.sample import Array, Feed, Feeds
from graphopt.errors import ModelError
from graphopt.graph.dtypes import dtype_of
from graphopt.graph.graph import Graph, Node, Value
from graphopt.graph.model import Model
from graphopt.graph.order import dependencies, reads
from graphopt.graph.save import node_proto
from graphopt.graph.schemas import opset_imports
from graphopt.graph.session import new_session
from graphopt.graph.tensor import Tensor
from graphopt.graph.types import tensor_type


class Stream:
    """What a model computes for each of some samples, as far as anybody has asked.

    A node runs when a value that depends on it is asked for, once; a value is kept until every node that reads it has
    run. So the memory is that of the widest cut through the graph, times the samples. Constants are read when a node
    runs: a weight that changes before counts, one that changes later does not.
    """

    def __init__(self, model: Model, samples: Sequence[Feeds]) -> None:
        self._model = model
        self._kept: list[dict[str, Feed]] = [dict(feeds) for feeds in samples]
        self._done: set[Node] = set()
        self._absent = {v.name for v in model.graph.inputs if v.constant is None and v.initializer is not None}

    def __len__(self) -> int:
        return len(self._kept)

    def has_run(self, node: Node) -> bool:
        """Whether a node has run already, and can no more be changed to any effect."""
        return node in self._done

    def pending(self, value: Value) -> list[Node]:
        """The nodes that must still run before a value is there, in the order in which they run."""
        graph = self._model.graph
        graph.sort()
        wanted: set[Node] = set()
        stack = [value.producer] if value.producer is not None else []
        while stack:
            node = stack.pop()
            if node in self._done or node in wanted or _is_constant(node):
                continue
            wanted.add(node)
            stack.extend(dependencies(node, graph))
        return sorted(wanted, key=lambda node: node.order)

    def values(self, value: Value) -> list[Array]:
        """A tensor for each sample; what must run for it is run.

        Raises:
            ModelError: ONNX Runtime will not run a part of the model, or the value was dropped already.
        """
        if value.constant is not None:
            return [value.constant.numpy()] * len(self._kept)
        nodes = self.pending(value)
        if nodes:
            self._run(nodes, value)
        try:
            return [np.asarray(kept[value.name]) for kept in self._kept]
        except KeyError:
            raise ModelError(f"the value {value.name!r} is not at hand any more") from None

    def assume(self, value: Value, arrays: Sequence[Array]) -> None:
        """Take a tensor to be this for each sample, whatever would make it."""
        if value.producer is not None:
            self._done.add(value.producer)
        for kept, array in zip(self._kept, arrays, strict=True):
            kept[value.name] = array

    def fork(self) -> Stream:
        """Another stream that goes on from here; what one of them runs or drops does not concern the other."""
        other = Stream(self._model, self._kept)
        other._done = set(self._done)
        return other

    def forget(self) -> None:
        """Drop what no node that is still to run reads."""
        needed = {v.name for n in self._model.graph.nodes if n not in self._done for v in reads(n)}
        for kept in self._kept:
            for name in [name for name in kept if name not in needed]:
                del kept[name]

    def _run(self, nodes: list[Node], wanted: Value) -> None:
        ran = set(nodes)
        made = dict.fromkeys(v for n in nodes for v in n.outputs if v is not None)
        outputs = [v for v in made if v is wanted or any(self._is_to_run(user, ran) for user in _users(v))]
        given = [v for v in dict.fromkeys(v for n in nodes for v in reads(n)) if v not in made and self._is_outer(v)]
        inputs = [v for v in given if v.constant is None and v.name not in self._absent]
        proto = self._proto(nodes, given, inputs, outputs)
        try:
            session = new_session(proto.SerializeToString())
            names = [v.name for v in outputs]
            for kept in self._kept:
                results = session.run(names, {v.name: kept[v.name] for v in inputs})
                kept.update(zip(names, results, strict=True))
        except Exception as error:  # ONNX Runtime's errors share no base but this one
            raise ModelError(
                f"ONNX Runtime cannot run the part of the model that makes {wanted.name!r}: {error}"
            ) from error
        self._done |= ran
        self._drop(inputs)

    def _proto(
        self, nodes: Sequence[Node], given: Sequence[Value], inputs: Sequence[Value], outputs: Sequence[Value]
    ) -> onnx.ModelProto:
        header = self._model.header
        proto = onnx.ModelProto(ir_version=header.ir_version, opset_import=opset_imports(self._model.opsets))
        proto.functions.extend(header.functions)
        graph = proto.graph
        graph.name = "piece"
        for value in given:
            held = value.constant if value.constant is not None else value.initializer
            if value not in inputs and held is not None:
                graph.initializer.append(held.to_proto(value.name))
        for value in inputs:
            graph.input.add(name=value.name).type.CopyFrom(self._type(value))
        for number, node in enumerate(nodes):
            weight = constant_dequantized(node)
            if weight is not None and node.outputs[0] is not None:
                graph.initializer.append(Tensor.of(weight).to_proto(node.outputs[0].name))
            else:
                node_proto(node, graph.node.add()).name = f"{number}"
        for value in outputs:
            graph.output.add(name=value.name)
        return proto

    def _type(self, value: Value) -> onnx.TypeProto:
        first = self._kept[0][value.name]
        if value.type_proto is not None:
            return value.type_proto
        return tensor_type(dtype_of(np.asarray(first)), None)

    def _is_to_run(self, user: Node, ran: set[Node]) -> bool:
        return user not in ran and user not in self._done

    def _is_outer(self, value: Value) -> bool:
        return value.graph is self._model.graph

    def _drop(self, read: Iterable[Value]) -> None:
        for value in read:
            if all(user in self._done for user in _users(value)):
                for kept in self._kept:
                    kept.pop(value.name, None)


def _is_constant(node: Node) -> bool:
    return all(v is None or v.constant is not None for v in node.outputs)


def _users(value: Value) -> Iterable[Node]:
    """The nodes of the value's own graph that read it, themselves or in a body."""
    return (_outermost(node, value.graph) for node in value.uses)


def _outermost(node: Node, graph: Graph) -> Node:
    while node.graph is not graph:
        assert node.graph is not None
        assert node.graph.parent is not None
        node = node.graph.parent
    return node


def constant_dequantized(node: Node) -> Array | None:
    """What a DequantizeLinear of constants makes; None for any other node."""
    held = [v.constant if v is not None else None for v in node.inputs]
    if node.op_type != "DequantizeLinear" or node.domain or held[0] is None or len(held) < 2 or held[1] is None:
        return None
    if node.attribute("block_size", 0):
        return None
    integers, scale = held[0].numpy(), held[1].numpy()
    zero = held[2].numpy() if len(held) > 2 and held[2] is not None else np.zeros(scale.shape, np.int32)
    axis = int(node.attribute("axis", 1))
    shape = [1] * integers.ndim
    if scale.ndim == 1 and scale.size > 1:
        shape[axis] = scale.size
    wide = integers.astype(np.int32) - zero.astype(np.int32).reshape(shape)
    return (wide.astype(scale.dtype) * scale.reshape(shape)).astype(scale.dtype)


def tensor_of(array: Array) -> Tensor:
    """A constant with values of its own."""
    owned = np.array(array, order="C")
    owned.flags.writeable = False
    return Tensor.of(owned)
