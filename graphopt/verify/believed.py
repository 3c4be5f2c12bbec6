"""Whether a model is what is believed of it: a rule may rely on shapes, and is not wrong where those are."""

from __future__ import annotations

from collections.abc import Mapping

import onnx

from graphopt.errors import GraphoptError
from graphopt.graph.interface import Shape
from graphopt.graph.load import from_proto
from graphopt.verify.judge_run import NoKernel, Refused, run, run_reference
from graphopt.verify.judge_values import Array


def false_belief(model: onnx.ModelProto, feeds: Mapping[str, Array]) -> str | None:
    """The first shape, declared by the model or inferred from it, that its tensors do not have; None if all hold.

    A shape may be declared falsely, since nobody can tell before the model runs; and onnx infers some of what is
    beyond the standard (a negative axis in an old opset) otherwise than runtimes compute it.
    """
    try:
        known = from_proto(model)
    except GraphoptError as error:
        return str(error)
    made = [v for n in known.graph.nodes for v in n.outputs if v is not None]
    shapes = {v.name: v.shape for v in (*known.graph.inputs, *made) if v.shape is not None}
    try:
        found = {**feeds, **_everything(model, feeds)}
    except Refused:
        return None
    sizes: dict[str, int] = {}
    for name, shape in shapes.items():
        if name in found and not _fits(shape, found[name].shape, sizes):
            return f"{name} is believed to have the shape {list(shape)}, and has {list(found[name].shape)}"
    return None


def _everything(model: onnx.ModelProto, feeds: Mapping[str, Array]) -> dict[str, Array]:
    """All that the nodes of the main graph make."""
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    del copy.graph.output[:], copy.graph.value_info[:]
    copy.graph.output.extend(onnx.ValueInfoProto(name=o) for n in model.graph.node for o in n.output if o)
    try:
        return run(copy, feeds)
    except NoKernel:
        return run_reference(copy, feeds)


def _fits(shape: Shape, actual: tuple[int, ...], sizes: dict[str, int]) -> bool:
    """Whether a tensor has a shape, its named dims being the same size everywhere."""
    if len(shape) != len(actual):
        return False
    for dim, size in zip(shape, actual, strict=True):
        if isinstance(dim, str):
            dim = sizes.setdefault(dim, size)
        if dim is not None and dim != size:
            return False
    return True
