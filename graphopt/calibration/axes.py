"""Which axis of an activation holds its channels: what its neighbours in the graph take for them."""

from __future__ import annotations

from collections.abc import Iterator

from graphopt.graph.graph import Graph, Node, Value

CHANNELS_SECOND = frozenset(
    {
        *("Conv", "ConvTranspose", "ConvInteger", "DeformConv", "BatchNormalization", "InstanceNormalization"),
        *("GroupNormalization", "MaxPool", "AveragePool", "LpPool", "GlobalAveragePool", "GlobalMaxPool"),
        *("GlobalLpPool", "LRN", "DepthToSpace", "SpaceToDepth", "Upsample", "MaxUnpool", "MaxRoiPool", "RoiAlign"),
    }
)
"""Operators that read [N, C, ...] and, all but RoiAlign's boxes, give it."""

CHANNELS_LAST = frozenset(
    {
        *("MatMul", "Gemm", "LayerNormalization", "SimplifiedLayerNormalization", "RMSNormalization"),
        *("Attention", "RotaryEmbedding", "Gather", "LSTM", "GRU", "RNN"),
    }
)
"""Operators that read or give [..., C]."""

_SAME_SHAPE = frozenset(
    {
        *("Add", "Sub", "Mul", "Div", "Relu", "LeakyRelu", "PRelu", "Clip", "Sigmoid", "HardSigmoid", "HardSwish"),
        *("Swish", "Mish", "Gelu", "Erf", "Tanh", "Elu", "Selu", "Celu", "Softplus", "Exp", "Sqrt", "Pow", "Neg"),
        *("Abs", "Identity", "Dropout", "Cast", "Where", "Min", "Max", "Sum", "QuantizeLinear", "DequantizeLinear"),
    }
)
"""Operators through which the question goes on to the next one."""


def channel_sides(graph: Graph) -> dict[Value, int | None]:
    """Where each value of a graph, bodies excluded, has its channels: 1 for [N, C, ...], -1 for [..., C], None where
    nothing tells.

    That is: where it stands, through operators that keep the shape, next to one that reads or gives either form.
    """
    values = [*graph.inputs, *(v for n in graph.nodes for v in n.outputs if v is not None)]
    sides: dict[Value, int | None] = {}
    pending: list[Value] = []
    for value in values:
        side = _told(value)
        if side is not None:
            sides[value] = side
            pending.append(value)
    while pending:
        value = pending.pop()
        for other in _tied(value):
            if other not in sides and other.rank == value.rank:
                sides[other] = sides[value]
                pending.append(other)
    return {value: sides.get(value) for value in values}


def channel_axis(side: int | None, rank: int) -> int | None:
    """The axis of the channels of a tensor of this rank; None for a scalar.

    Tensors of rank 1 and 2 have them last; where nothing tells, those of rank 4 and 5 have them second, and others
    last.
    """
    if rank <= 2:
        return rank - 1 if rank else None
    if side is None:
        side = 1 if rank in (4, 5) else -1
    return side % rank


def _told(value: Value) -> int | None:
    """1 or -1, where a reader or the producer says it; readers of channels in second place come first."""
    nodes = [n for n in (value.producer, *value.uses) if n is not None and n.domain in ("", "com.microsoft")]
    if any(_is_data(n, value) and n.op_type in CHANNELS_SECOND for n in nodes):
        return 1
    return -1 if any(n.op_type in CHANNELS_LAST for n in nodes) else None


def _is_data(node: Node, value: Value) -> bool:
    """Whether a value is what a node works on or makes, and not a weight or a list of boxes."""
    return value.producer is node or node.input(0) is value


def _tied(value: Value) -> Iterator[Value]:
    for node in (value.producer, *value.uses):
        if node is not None and node.op_type in _SAME_SHAPE and not node.domain:
            yield from (v for v in (*node.inputs, *node.outputs) if v is not None and v is not value and not v.constant)
