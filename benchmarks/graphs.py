"""Graphs of any size for the scaling benchmark: one kind of structure each, tiny weights.

    python benchmarks/graphs.py [KIND NODES FILE]

writes one; without arguments it prints the kinds, as JSON. Benchmarks call it as a process of its own: the peak of a
process counts from the memory of the one that started it, which must be small for that reason.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable

import numpy as np
import onnx
from builder import Builder
from onnx import TensorProto, helper

DEPTH = 24
"""How deep Ifs are nested: protobuf reads no message deeper than 100, and an If costs three."""


def conv_bn_relu(count: int) -> onnx.ModelProto:
    """Blocks of Conv, BatchNormalization and Relu."""
    build = Builder()
    for i in range(count // 3):
        build.weight(f"w{i}", (4, 4, 1, 1), 0.5)
        for part in ("gamma", "beta", "mean", "var"):
            build.weight(f"{part}{i}", (4,))
        build.node("Conv", [f"w{i}"])
        build.node("BatchNormalization", [f"{part}{i}" for part in ("gamma", "beta", "mean", "var")])
        build.node("Relu")
    return build.model(["n", 4, 8, 8])


def transpose_pairs(count: int) -> onnx.ModelProto:
    """Transposes of which each second one undoes the first."""
    build = Builder()
    for _ in range(count // 2):
        build.node("Transpose", perm=[0, 2, 3, 1])
        build.node("Transpose", perm=[0, 3, 1, 2])
    return build.model(["n", 4, 8, 8])


def reshape_pairs(count: int) -> onnx.ModelProto:
    """Reshapes to and fro."""
    build = Builder()
    build.constant("flat", np.array([2, 256], np.int64))
    build.constant("cube", np.array([2, 4, 8, 8], np.int64))
    for _ in range(count // 2):
        build.node("Reshape", ["flat"])
        build.node("Reshape", ["cube"])
    return build.model([2, 4, 8, 8])


def constant_subgraphs(count: int) -> onnx.ModelProto:
    """Additions of what two constants give by arithmetic."""
    build = Builder()
    for i in range(count // 4):
        build.weight(f"a{i}", (4, 1, 1))
        build.weight(f"b{i}", (4, 1, 1))
        build.side(f"s{i}", "Mul", [f"a{i}", f"b{i}"])
        build.side(f"t{i}", "Sub", [f"s{i}", f"a{i}"])
        build.side(f"u{i}", "Exp", [f"t{i}"])
        build.node("Add", [f"u{i}"])
    return build.model(["n", 4, 8, 8])


def shared_initializer(count: int) -> onnx.ModelProto:
    """One weight that every node reads, and an Identity behind each."""
    build = Builder()
    build.weight("w", (4, 1, 1))
    for _ in range(count // 2):
        build.node("Add", ["w"])
        build.node("Identity")
    return build.model(["n", 4, 8, 8])


def many_consumers(count: int) -> onnx.ModelProto:
    """One value with thousands of readers, each behind an Identity, summed up a hundred at a time."""
    build = Builder()
    build.node("Relu")
    root = build.current
    sums: list[str] = []
    for start in range(0, count // 2, 100):
        names: list[str] = []
        for i in range(start, min(start + 100, count // 2)):
            build.side(f"i{i}", "Identity", [root])
            build.side(f"n{i}", "Neg", [f"i{i}"])
            names.append(f"n{i}")
        build.side(f"sum{start}", "Sum", names)
        sums.append(f"sum{start}")
    build.side("total", "Sum", sums)
    build.current = "total"
    return build.model(["n", 4, 8, 8])


def mixed(count: int) -> onnx.ModelProto:
    """A little of everything, in blocks of eleven nodes."""
    build = Builder()
    for i in range(count // 11):
        build.weight(f"w{i}", (4, 4, 1, 1), 0.5)
        for part in ("gamma", "beta", "mean", "var"):
            build.weight(f"{part}{i}", (4,))
        skip = build.current
        build.node("Conv", [f"w{i}"])
        build.node("BatchNormalization", [f"{part}{i}" for part in ("gamma", "beta", "mean", "var")])
        build.node("Relu")
        build.node("Transpose", perm=[0, 2, 3, 1])
        build.node("Transpose", perm=[0, 3, 1, 2])
        build.node("Add", [skip])
        build.node("Identity")
        build.node("Cast", to=int(TensorProto.FLOAT))
        build.side(f"c{i}", "Add", [f"gamma{i}", f"beta{i}"])
        build.side(f"d{i}", "ReduceMax", [f"c{i}"], keepdims=0)
        build.node("Mul", [f"d{i}"])
    return build.model(["n", 4, 8, 8])


def deep_if(count: int) -> onnx.ModelProto:
    """Ifs in Ifs, 24 deep, one such nest after another; the innermost reads what the outermost graph made."""
    build = Builder()
    for number in range(max(1, count // (5 * DEPTH))):
        nest = helper.make_node("If", ["condition"], [f"nest{number}"], f"nest{number}", **_branches(build, number, 0))
        build.add(nest)
        build.current = f"nest{number}"
    model = build.model(["n", 4, 8, 8])
    model.graph.input.append(helper.make_tensor_value_info("condition", TensorProto.BOOL, []))
    return model


def _branches(build: Builder, number: int, depth: int) -> dict[str, onnx.GraphProto]:
    """The branches of an If: one goes on nesting, the other one ends."""
    name = f"{number}_{depth}"
    last = f"same{name}"
    nodes = [
        helper.make_node("Relu", [build.current], [f"relu{name}"], f"relu{name}"),
        helper.make_node("Identity", [f"relu{name}"], [last], f"same{name}"),
    ]
    if depth + 1 < DEPTH:
        last = f"if{name}"
        nodes.append(helper.make_node("If", ["condition"], [last], last, **_branches(build, number, depth + 1)))
        nodes.append(helper.make_node("Add", [last, f"same{name}"], [f"sum{name}"], f"sum{name}"))
        last = f"sum{name}"
    other = helper.make_node("Neg", [build.current], [f"neg{name}"], f"neg{name}")
    return {
        "then_branch": helper.make_graph(nodes, f"then{name}", [], [_result(last)]),
        "else_branch": helper.make_graph([other], f"else{name}", [], [_result(f"neg{name}")]),
    }


def _result(name: str) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n", 4, 8, 8])


KINDS: dict[str, Callable[[int], onnx.ModelProto]] = {
    f.__name__.replace("_", "-"): f
    for f in (
        conv_bn_relu,
        transpose_pairs,
        reshape_pairs,
        constant_subgraphs,
        shared_initializer,
        many_consumers,
        deep_if,
        mixed,
    )
}


def main() -> None:
    if len(sys.argv) == 1:
        print(json.dumps({name: (make.__doc__ or "").splitlines()[0] for name, make in KINDS.items()}))
        return
    kind, nodes, file = sys.argv[1:]
    onnx.save(KINDS[kind](int(nodes)), file)


if __name__ == "__main__":
    main()
