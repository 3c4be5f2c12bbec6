"""One operator in float64, without a model around it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import onnx
from onnx import helper

from graphopt.verify.float64 import Program
from graphopt.verify.float64_widen import Array


def run_node(node: onnx.NodeProto, inputs: Sequence[Array | None], opset: int) -> list[Any]:
    """What a node computes from these inputs (None where one is absent), None for outputs that it has not.

    Raises:
        NotComputable: see `graphopt.verify.float64`.
    """
    names = [f"i{number}" if value is not None else "" for number, value in enumerate(inputs)]
    bare = onnx.NodeProto()
    bare.CopyFrom(node)
    del bare.input[:], bare.output[:]
    bare.input.extend(names)
    bare.output.extend(f"o{number}" if name else "" for number, name in enumerate(node.output))
    feeds = {name: value for name, value in zip(names, inputs, strict=True) if value is not None}
    given = [helper.make_tensor_value_info(n, helper.np_dtype_to_tensor_dtype(v.dtype), None) for n, v in feeds.items()]
    taken = [helper.make_empty_tensor_value_info(name) for name in bare.output if name]
    graph = helper.make_graph([bare], "one", given, taken)
    found = Program(helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)])).run(feeds)
    return [found.get(name) for name in bare.output]
