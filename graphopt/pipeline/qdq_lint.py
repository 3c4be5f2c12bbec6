"""Whether pairs of QuantizeLinear and DequantizeLinear stand where TensorRT wants them: five rules, on any model."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from graphopt.graph.dtypes import DType
from graphopt.graph.graph import Node, Value
from graphopt.graph.model import Model
from graphopt.lang.graph_functions import is_skip

QUANTIZE, DEQUANTIZE = "QuantizeLinear", "DequantizeLinear"
WEIGHTED = ("Conv", "ConvTranspose", "Gemm", "MatMul")
FOLLOWING = ("BatchNormalization", "Relu", "Clip", "LeakyRelu", "PRelu", "HardSwish", "Swish", "Sigmoid")
SYMMETRIC = (DType.int8, DType.float8e4m3fn, DType.int4)


@dataclass(frozen=True)
class Finding:
    """One place where a rule is broken: the node, and what is there, in a sentence."""

    rule: str
    node: str
    text: str

    def to_json(self) -> dict[str, Any]:
        return {"rule": self.rule, "node": self.node, "text": self.text}


def lint(model: Model) -> tuple[Finding, ...]:
    """Every place where one of the rules is broken, rule by rule."""
    nodes = [n for n in model.all_nodes() if not n.domain]
    return tuple(
        Finding(name, node.label, text) for name, (_, look) in RULES.items() for node in nodes for text in look(node)
    )


def _symmetric(node: Node) -> Iterator[str]:
    if node.op_type not in (QUANTIZE, DEQUANTIZE):
        return
    zero = node.input(2)
    source = node.input(0) if node.op_type == DEQUANTIZE else node.output()
    dtype = zero.dtype if zero is not None else source.dtype if source is not None else None
    if dtype not in SYMMETRIC:
        yield f"its codes are {dtype.name if dtype is not None else 'of an unknown type'}"
    elif zero is not None and (zero.constant is None or zero.constant.numpy().astype("float32").any()):
        yield "the code of 0 is not 0"


def _nothing_before_the_activation(node: Node) -> Iterator[str]:
    if node.op_type not in FOLLOWING:
        return
    maker = _behind_codes(node.input(0))
    if maker is not None and maker.op_type in WEIGHTED:
        yield f"a pair stands between {maker.label} and it"


def _one_residual_branch(node: Node) -> Iterator[str]:
    if node.op_type != "Add" or len(node.inputs) != 2 or None in node.inputs:
        return
    first, second = node.inputs
    sources = [_before_codes(v) for v in (first, second)]
    for main, around in ((0, 1), (1, 0)):
        if is_skip(sources[around], sources[main]):
            if sources[main] is not node.inputs[main]:
                yield "what the Conv makes for it goes through a pair"
            if sources[around] is node.inputs[around]:
                yield "what goes around the Conv is not in codes"
            return


def _steps_for_each_channel(node: Node) -> Iterator[str]:
    if node.op_type not in WEIGHTED:
        return
    weight = node.input(1)
    half = weight.producer if weight is not None else None
    codes = half.input(0) if half is not None and half.op_type == DEQUANTIZE else None
    steps = half.input(1) if half is not None else None
    if codes is None or codes.constant is None or steps is None or steps.constant is None or half is None:
        return
    rank = len(codes.constant.shape)
    axis = int(half.attribute("axis", 1)) % rank
    if steps.constant.size == 1:
        if codes.constant.shape[_channels(node, rank)] > 1:
            yield "its weight has one step for all channels"
    elif not half.attribute("block_size", 0) and axis != _channels(node, rank):
        yield f"its weight has steps along axis {axis}, and its channels are axis {_channels(node, rank)}"


def _folded(node: Node) -> Iterator[str]:
    if node.op_type != "BatchNormalization":
        return
    source = node.input(0)
    maker = source.producer if source is not None else None
    is_constant = all(v is not None and v.constant is not None for v in node.inputs[1:])
    if maker is not None and maker.op_type in ("Conv", "ConvTranspose") and is_constant:
        yield f"it could be part of {maker.label}"


def _channels(node: Node, rank: int) -> int:
    if node.op_type == "Conv":
        return 0
    if node.op_type == "ConvTranspose":
        return 1
    return 0 if node.op_type == "Gemm" and node.attribute("transB", 0) else rank - 1


def _before_codes(value: Value | None) -> Value | None:
    """What a value was before it went through a pair; itself if it did not."""
    half = value.producer if value is not None else None
    codes = half.input(0) if half is not None and half.op_type == DEQUANTIZE and not half.domain else None
    quantize = codes.producer if codes is not None else None
    if quantize is None or quantize.op_type != QUANTIZE:
        return value
    return quantize.input(0)


def _behind_codes(value: Value | None) -> Node | None:
    """The node before a pair, if a value comes out of one."""
    source = _before_codes(value)
    return source.producer if source is not None and source is not value else None


Look = Callable[[Node], Iterator[str]]

RULES: dict[str, tuple[str, Look]] = {
    "symmetric": ("codes are int8 (or narrower) around 0", _symmetric),
    "activation": ("nothing stands between a Conv and its activation", _nothing_before_the_activation),
    "residual": ("of a residual Add, what goes around the Conv is in codes, and nothing else", _one_residual_branch),
    "channels": ("weights have a step for each output channel", _steps_for_each_channel),
    "folded": ("a BatchNormalization behind a Conv is part of it", _folded),
}
"""The rules by name: what each wants, and where it is broken."""
