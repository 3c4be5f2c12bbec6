"""What is odd but legal about a model: where its values are declared, held, shown and computed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from graphopt.parity.part import names_read
from tests.fuzz.blocks import Feed
from tests.fuzz.growing import Grown, another_feed, declared

Dims = list[int | str | None]


@dataclass
class Odd:
    """A model and what to run it on. Each feed holds all inputs without a default, and some of those with one."""

    model: onnx.ModelProto
    feeds: list[Feed] = field(default_factory=list)


def odd_model(grown: Grown, random: Random) -> Odd:
    """A model of a grown graph, with a few oddities."""
    for change, chance in CHANGES:
        if random.random() < chance:
            change(grown, random)
    feeds = [grown.inputs, another_feed(grown.inputs, grown.fixed, random)]
    for name, array in list(feeds[1].items()):
        if array.dtype == np.bool_ and array.shape == ():
            feeds[1][name] = ~array
    dynamic = random.random() < 0.5
    graph = helper.make_graph(grown.nodes, random.choice(("main", "0", "graph")), [], [], [])
    modes = ("named", "apart", "nameless") if dynamic else ("static",)
    mode = random.choice(modes)
    graph.input.extend(declared(n, a, _dims(n, a.shape, mode, random)) for n, a in grown.inputs.items())
    graph.initializer.extend(grown.weights.values())
    for name in _outputs(grown, random):
        array = grown.values[name]
        known = mode == "static" and random.random() < 0.8
        shape: Dims = [d if known else None for d in array.shape]
        same = next((i for i in graph.input if i.name == name), None)
        graph.output.append(same if same is not None else declared(name, array, shape))
    opsets = [helper.make_opsetid(d, v) for d, v in {"": grown.opset, **grown.domains}.items()]
    model = helper.make_model(graph, opset_imports=opsets, ir_version=random.choice((8, 9, 10)))
    _overridable(model, random)
    return Odd(model, feeds)


def _dims(name: str, shape: tuple[int, ...], mode: str, random: Random) -> Dims:
    if mode == "static":
        return list(shape)
    named = {"named": lambda i, d: f"d{d}", "apart": lambda i, d: f"{name}_{i}", "nameless": lambda i, d: None}[mode]
    return [named(i, d) if random.random() < 0.6 else d for i, d in enumerate(shape)]


def _outputs(grown: Grown, random: Random) -> list[str]:
    """What nobody reads, a few that others read, now and then an input or a weight."""
    made = [n for node in grown.nodes for n in node.output if n in grown.values]
    shown = [n for n in made if n not in grown.read]
    shown += [n for n in made if n in grown.read and random.random() < 0.12]
    shown += [n for n in grown.inputs if random.random() < 0.05]
    shown += [n for n in grown.weights if random.random() < 0.03]
    random.shuffle(shown)
    return list(dict.fromkeys(shown)) or made[-1:]


def _overridable(model: onnx.ModelProto, random: Random) -> None:
    """Weights that are inputs as well: all of them, as in old files, or one."""
    graph = model.graph
    draw = random.random()
    inputs = {i.name for i in graph.input}
    weights = [t for t in graph.initializer if t.name not in inputs]
    if draw < 0.08 and model.opset_import[0].version < 9:
        model.ir_version = 3
        chosen = weights
    else:
        chosen = [t for t in weights if random.random() < 0.3] if draw < 0.2 else []
    graph.input.extend(helper.make_tensor_value_info(t.name, t.data_type, list(t.dims)) for t in chosen)


# --- changes of the graph ---


def _constant_nodes(grown: Grown, random: Random) -> None:
    """Some weights as Constant nodes, in the form that is shortest."""
    for name, tensor in list(grown.weights.items()):
        if name in grown.inputs or random.random() < 0.6:
            continue
        array = numpy_helper.to_array(tensor)
        attributes = {"value": tensor}
        if grown.opset >= 12 and random.random() < 0.7:
            if array.dtype == np.float32 and array.ndim < 2 and array.size:
                attributes = _short("value_float", array)
            elif array.dtype == np.int64 and array.ndim < 2 and array.size:
                attributes = _short("value_int", array)
        del grown.weights[name]
        grown.nodes.insert(0, helper.make_node("Constant", [], [name], **attributes))


def _short(name: str, array: np.ndarray) -> dict[str, object]:
    return {name: array.item()} if array.ndim == 0 else {f"{name}s": array.tolist()}


def _equal_weights(grown: Grown, random: Random) -> None:
    """Two weights of one content."""
    if grown.weights:
        name = random.choice(list(grown.weights))
        copy = onnx.TensorProto()
        copy.CopyFrom(grown.weights[name])
        copy.name = f"{name}_again"
        grown.weights[copy.name] = copy
        grown.values[copy.name] = grown.values[name]
        for node in grown.nodes[len(grown.nodes) // 2 :]:
            for index, read in enumerate(node.input):
                if read == name:
                    node.input[index] = copy.name


def _repeated(grown: Grown, random: Random) -> None:
    """A node that stands there twice."""
    plain = [n for n in grown.nodes if n.output and all(o in grown.values for o in n.output if o)]
    if plain:
        node = random.choice(plain)
        copy = onnx.NodeProto()
        copy.CopyFrom(node)
        copy.name = ""
        for index, name in enumerate(node.output):
            if name:
                copy.output[index] = f"{name}_twin"
                grown.values[f"{name}_twin"] = grown.values[name]
        grown.nodes.insert(grown.nodes.index(node) + 1, copy)


def _unused(grown: Grown, random: Random) -> None:
    grown.inputs["unused"] = grown.values["unused"] = np.ones(random.choice(((), (2,), (1, 3))), np.float32)
    grown.weights["idle"] = numpy_helper.from_array(np.arange(3, dtype=np.float32), "idle")
    grown.values["idle"] = np.arange(3, dtype=np.float32)


def _identities(grown: Grown, random: Random) -> None:
    for name in [n for n in grown.values if random.random() < 0.15]:
        made = f"{name}_id"
        at = max((i for i, n in enumerate(grown.nodes) if name in n.output), default=-1) + 1
        for node in grown.nodes[at:]:
            for index, read in enumerate(node.input):
                if read == name and random.random() < 0.5:
                    node.input[index] = made
        grown.nodes.insert(at, helper.make_node("Identity", [name], [made]))
        grown.values[made] = grown.values[name]


def _in_branch(grown: Grown, random: Random) -> None:
    """Some nodes in a row as a branch of an If, which reads the graph around it."""
    found = _row(grown, random)
    if found is None:
        return
    start, end, made = found
    nodes = grown.nodes[start:end]
    inner = {n: f"{n}_then" for node in nodes for n in node.output if n}
    inside = [onnx.NodeProto.FromString(node.SerializeToString()) for node in nodes]
    for node in inside:
        _rename_shallow(node, inner)
    taken = helper.make_graph(inside, "then", [], [declared(inner[n], grown.values[n], None) for n in made])
    copied = {n: f"{n}_else" for n in inner}
    other = [onnx.NodeProto.FromString(node.SerializeToString()) for node in nodes]
    for node in other:
        _rename_shallow(node, copied)
    left = helper.make_graph(other, "else", [], [declared(copied[n], grown.values[n], None) for n in made])
    condition = f"condition{len(grown.nodes)}"
    truth = np.asarray(random.random() < 0.5)
    if random.random() < 0.5:
        grown.inputs[condition] = truth
    else:
        grown.weights[condition] = numpy_helper.from_array(truth, condition)
        grown.fixed.add(condition)
    grown.values[condition] = truth
    held = [t for n, t in grown.weights.items() if _only_in(n, nodes, grown) and n not in grown.inputs]
    if random.random() < 0.5:
        for tensor in held:
            del grown.weights[tensor.name]
            del grown.values[tensor.name]
            for graph in (taken, left):
                graph.initializer.append(tensor)
    node = helper.make_node("If", [condition], made, then_branch=taken, else_branch=left)
    grown.nodes[start:end] = [node]
    for name in inner:
        if name not in made:
            grown.values.pop(name, None)


def _in_loop(grown: Grown, random: Random) -> None:
    """Some nodes in a row as the body of a Loop of 1 or 2 trips, each of which computes the same."""
    found = _row(grown, random)
    if found is None or grown.opset < 13:
        return
    start, end, made = found
    nodes = grown.nodes[start:end]
    inner = {n: f"{n}_body" for node in nodes for n in node.output if n}
    inside = [onnx.NodeProto.FromString(node.SerializeToString()) for node in nodes]
    for node in inside:
        _rename_shallow(node, inner)
    tag = f"loop{len(grown.nodes)}"
    inside.append(helper.make_node("Identity", [f"{tag}_going"], [f"{tag}_still"]))
    states = [f"{tag}_state{i}" for i in range(len(made))]
    begins = [f"{tag}_begin{i}" for i in range(len(made))]
    inputs = [
        helper.make_tensor_value_info(f"{tag}_number", TensorProto.INT64, []),
        helper.make_tensor_value_info(f"{tag}_going", TensorProto.BOOL, []),
        *(declared(s, grown.values[n], None) for s, n in zip(states, made, strict=True)),
    ]
    outputs = [helper.make_tensor_value_info(f"{tag}_still", TensorProto.BOOL, [])]
    outputs += [declared(inner[n], grown.values[n], None) for n in made]
    trips = f"{tag}_trips"
    grown.values[trips] = np.asarray(random.choice((1, 2, 2, 0)), np.int64)
    grown.weights[trips] = numpy_helper.from_array(grown.values[trips], trips)
    grown.fixed.add(trips)
    for begin, name in zip(begins, made, strict=True):
        zeros = np.zeros_like(grown.values[name])
        grown.weights[begin] = numpy_helper.from_array(zeros, begin)
        grown.values[begin] = zeros
        grown.fixed.add(begin)
    body = helper.make_graph(inside, "body", inputs, outputs)
    grown.nodes[start:end] = [helper.make_node("Loop", [trips, "", *begins], made, body=body)]
    for name in inner:
        if name not in made:
            grown.values.pop(name, None)


def _row(grown: Grown, random: Random) -> tuple[int, int, list[str]] | None:
    """Some plain nodes in a row, and what of theirs is read by others or may be shown."""
    if not grown.nodes:
        return None
    start = random.randrange(len(grown.nodes))
    end = min(len(grown.nodes), start + random.randint(1, 4))
    nodes = grown.nodes[start:end]
    if any(n.domain or any(a.HasField("g") for a in n.attribute) or not n.output for n in nodes):
        return None
    inside = [n for node in nodes for n in node.output if n]
    later = {n for node in grown.nodes[end:] for n in names_read(node)}
    made = [n for n in inside if n in grown.values and (n in later or n not in grown.read)]
    unknown = [n for n in inside if n in later and n not in grown.values]
    return None if unknown or not made else (start, end, made)


def _only_in(name: str, nodes: list[onnx.NodeProto], grown: Grown) -> bool:
    inside = any(name in names_read(n) for n in nodes)
    return inside and not any(name in names_read(n) for n in grown.nodes if not any(n is m for m in nodes))


def _rename_shallow(node: onnx.NodeProto, names: dict[str, str]) -> None:
    for field_ in (node.input, node.output):
        for index, name in enumerate(field_):
            field_[index] = names.get(name, name)
    if node.name:
        node.name = f"{node.name}_inner"


Change = Callable[[Grown, Random], None]

CHANGES: tuple[tuple[Change, float], ...] = (
    (_equal_weights, 0.15),
    (_repeated, 0.15),
    (_identities, 0.25),
    (_in_branch, 0.25),
    (_in_loop, 0.1),
    (_constant_nodes, 0.35),
    (_unused, 0.08),
)
