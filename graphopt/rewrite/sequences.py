"""Sequences whose elements are known: what reads one of them can read the element."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from onnx.shape_inference import InferenceError

from graphopt.graph.attributes import Attribute
from graphopt.graph.constant_node import constant_node_attributes
from graphopt.graph.dead import sweep
from graphopt.graph.graph import Node, Value
from graphopt.graph.interface import Dim
from graphopt.graph.model import Model
from graphopt.graph.refine import refine, refine_from
from graphopt.graph.tensor import Tensor
from graphopt.graph.types import infer_node

SPLIT_TAKES_AN_INPUT = 13
"""The opset from which on Split reads its sizes as an input."""


def unpack_sequences(model: Model) -> int:
    """Let readers of known elements read these, and make one Split of a SplitToSequence; returns how many readers.

    A sequence that somebody reads as a whole stays."""
    readers = 0
    model.sort()
    for node in list(model.all_nodes()):
        if node.graph is None or node.domain:
            continue
        if node.op_type == "SplitToSequence":
            readers += _split(node, model)
        elif node.op_type in MADE:
            readers += _hand_out(node, model)
    if readers:
        model.sort()
    return readers


MADE = ("SequenceConstruct", "SequenceEmpty", "SequenceInsert", "SequenceErase")

# --- SplitToSequence ---


def _split(node: Node, model: Model) -> int:
    output, sizes = node.output(), _sizes(node)
    if output is None or output.is_output or not output.uses or not sizes:
        return 0
    if not all(_is_taken_apart(reader, output, len(sizes)) for reader in output.uses):
        return 0
    graph, source = node.graph, node.input(0)
    assert graph is not None
    assert source is not None
    parts = [graph.new_value(f"{output.name}.{i}", source.dtype) for i in range(len(sizes))]
    attributes = {"axis": Attribute.of("axis", node.attribute("axis", 0))}
    inputs: list[Value | None] = [source]
    if model.opset >= SPLIT_TAKES_AN_INPUT:
        inputs.append(graph.add_initializer(Tensor.of(np.array(sizes, np.int64)), f"{output.name}.sizes"))
    else:
        attributes["split"] = Attribute.of("split", sizes)
    split = graph.add_node(
        Node("Split", inputs, list(parts), attributes, name=model.names.fresh(node.label)), node.order
    )
    split.metadata = dict(node.metadata)
    _infer(split, model)
    readers = _replace_readers(output, parts, model)
    sweep([output])
    refine_from(parts, model)
    return readers


def _sizes(node: Node) -> tuple[int, ...] | None:
    """The sizes of the parts, None where they are unknown or parts lose the axis."""
    source, given = node.input(0), node.input(1)
    if source is None or source.dtype is None:
        return None
    full = _dim(source, node.attribute("axis", 0))
    if given is None:
        return (1,) * full if isinstance(full, int) and node.attribute("keepdims", 1) else None
    if given.constant is None:
        return None
    numbers = given.constant.numpy()
    if numbers.ndim == 1:
        return tuple(int(n) for n in numbers) if (numbers >= 0).all() else None
    each = int(numbers)
    if not isinstance(full, int) or each <= 0:
        return None
    return tuple(min(each, full - start) for start in range(0, full, each))


def _dim(value: Value, axis: int) -> Dim:
    shape = value.shape
    return shape[axis] if shape is not None and -len(shape) <= axis < len(shape) else None


def _is_taken_apart(reader: Node, sequence: Value, count: int) -> bool:
    """Whether a reader takes known elements of a sequence of this many, and not the whole."""
    if reader.domain or reader.inputs[0] is not sequence:
        return False
    if reader.op_type == "SequenceAt":
        return _place(reader, count) is not None
    return reader.op_type == "ConcatFromSequence" and not reader.attribute("new_axis", 0)


# --- sequences that are put together ---


def _hand_out(node: Node, model: Model) -> int:
    output = node.output()
    elements = _elements(output) if output is not None else None
    if output is None or elements is None:
        return 0
    readers = _replace_readers(output, elements, model)
    if readers:
        sweep([output])
    return readers


def _elements(sequence: Value) -> list[Value] | None:
    """The elements of a sequence, None where they are not known."""
    node = sequence.producer
    if node is None or node.domain:
        return None
    if node.op_type == "SequenceEmpty":
        return []
    if node.op_type == "SequenceConstruct":
        return [v for v in node.inputs if v is not None]
    source = node.input(0)
    before = _elements(source) if source is not None and node.op_type in ("SequenceInsert", "SequenceErase") else None
    if before is None:
        return None
    return _changed(node, before)


def _changed(node: Node, before: Sequence[Value]) -> list[Value] | None:
    inserts = node.op_type == "SequenceInsert"
    added, position = (node.input(1), node.input(2)) if inserts else (None, node.input(1))
    end = len(before) if inserts else len(before) - 1
    place = end if position is None else _number(position)
    if place is None or not -len(before) <= place <= end:
        return None
    place += len(before) if place < 0 else 0
    kept = before[place:] if inserts else before[place + 1 :]
    return [*before[:place], *([added] if added is not None else []), *kept]


# --- readers ---


def _replace_readers(sequence: Value, elements: Sequence[Value], model: Model) -> int:
    replaced = 0
    for reader in list(sequence.uses):
        output = reader.output()
        if reader.domain or reader.inputs[0] is not sequence or output is None:
            continue
        if reader.op_type == "SequenceAt":
            place = _place(reader, len(elements))
            if place is None:
                continue
            _take_element(reader, output, elements[place])
        elif reader.op_type == "SequenceLength":
            _take_length(reader, output, len(elements), model)
        elif reader.op_type == "ConcatFromSequence" and elements and not reader.attribute("new_axis", 0):
            _join(reader, output, elements, model)
        else:
            continue
        replaced += 1
    return replaced


def _take_element(reader: Node, output: Value, element: Value) -> None:
    graph, position = reader.graph, reader.input(1)
    assert graph is not None
    order, name = reader.order, reader.name
    graph.remove_node(reader)
    if output.is_output:
        graph.add_node(Node("Identity", [element], [output], name=name), order)
    graph.redirect(output, element)
    sweep([v for v in (position,) if v is not None])


def _take_length(reader: Node, output: Value, length: int, model: Model) -> None:
    graph = reader.graph
    assert graph is not None
    tensor = Tensor.of(np.array(length, np.int64))
    order, name = reader.order, reader.name
    graph.remove_node(reader)
    graph.add_node(Node("Constant", [], [output], dict(constant_node_attributes(tensor)), name=name), order)
    output.constant, output.shape = tensor, ()
    refine([output], model)


def _join(reader: Node, output: Value, elements: Sequence[Value], model: Model) -> None:
    graph = reader.graph
    assert graph is not None
    order, name = reader.order, reader.name
    attributes = {"axis": Attribute.of("axis", reader.attribute("axis"))}
    graph.remove_node(reader)
    joined = graph.add_node(Node("Concat", list(elements), [output], attributes, name=name), order)
    _infer(joined, model)
    refine_from([output], model)


def _place(reader: Node, count: int) -> int | None:
    position = reader.input(1)
    place = _number(position) if position is not None else None
    return place % count if place is not None and -count <= place < count else None


def _number(value: Value) -> int | None:
    if value.constant is None or value.constant.size != 1:
        return None
    return int(value.constant.numpy().reshape(-1)[0])


def _infer(node: Node, model: Model) -> None:
    try:
        infer_node(node, model)
    except InferenceError:  # what the operator does not take, whoever runs it will say
        return
