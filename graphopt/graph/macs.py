"""Multiply-accumulates of one node, from the shapes of what it reads and makes.

Counted is what multiplies matrices: convolutions, matrix products, recurrent layers, Einsum and Attention. Elementwise
work, normalization, pooling and biases count nothing, and zeros (padding, sparsity, masks) count as any number does.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from math import prod

from graphopt.graph.graph import Node
from graphopt.graph.sizes import SizedShapes, Sizes


class _Unsized(Exception):
    """A shape that the count depends on is not known."""


class _Shapes:
    """The shapes around one node."""

    def __init__(self, node: Node, shapes: SizedShapes) -> None:
        self._node = node
        self._shapes = shapes

    def input(self, index: int) -> Sizes:
        return self._known(self._shapes.of(self._node.input(index)))

    def output(self) -> Sizes:
        return self._known(self._shapes.of(self._node.output()))

    def inputs(self) -> list[Sizes]:
        return [self.input(i) for i in range(len(self._node.inputs))]

    def _known(self, sizes: Sizes | None) -> Sizes:
        if sizes is None:
            raise _Unsized
        return sizes


Count = Callable[[Node, _Shapes], int]


def node_macs(node: Node, shapes: SizedShapes) -> int | None:
    """Multiply-accumulates of one run of this node, its bodies left out; None where they cannot be told."""
    count = COUNTS.get((node.domain, node.op_type))
    if count is None:
        return 0
    try:
        return count(node, _Shapes(node, shapes))
    except (_Unsized, LookupError, ValueError, TypeError, ArithmeticError):
        return None  # a shape is open, or the file states ranks or attributes that the operator cannot have


def _convolution(weight: int) -> Count:
    """N·OC·OH·OW·KH·KW·IC/group; the weight [OC, IC/group, KH, KW] is the input at this index."""
    return lambda node, shapes: prod(shapes.output()) * prod(shapes.input(weight)[1:])


def _transposed(node: Node, shapes: _Shapes) -> int:
    """N·IC·H·W·KH·KW·OC/group: each element of the input meets the whole kernel [IC, OC/group, KH, KW]."""
    return prod(shapes.input(0)) * prod(shapes.input(1)[1:])


def _gemm(node: Node, shapes: _Shapes) -> int:
    a, b = shapes.input(0), shapes.input(1)
    columns = b[0] if node.attribute("transB", 0) else b[1]
    return prod(a) * columns


def _product(first: int, second: int) -> Count:
    """batch·M·N·K as numpy's matmul has it: vectors stand for one row or column, batch dims broadcast."""

    def count(node: Node, shapes: _Shapes) -> int:
        a, b = shapes.input(first), shapes.input(second)
        a = a if len(a) > 1 else (1, *a)
        b = b if len(b) > 1 else (*b, 1)
        return prod(_broadcast(a[:-2], b[:-2])) * a[-2] * a[-1] * b[-1]

    return count


def _broadcast(a: Sizes, b: Sizes) -> Sizes:
    rank = max(len(a), len(b))
    pairs = zip((1,) * (rank - len(a)) + a, (1,) * (rank - len(b)) + b, strict=True)
    return tuple(y if x == 1 else x for x, y in pairs)


def _recurrent(node: Node, shapes: _Shapes) -> int:
    """steps·batch·(|W| + |R|): every step multiplies all gates of all directions, for input and state."""
    steps, batch, _ = shapes.input(0)
    return steps * batch * (prod(shapes.input(1)) + prod(shapes.input(2)))


def _attention(node: Node, shapes: _Shapes) -> int:
    """batch·heads·queries·keys·(head size + value head size), keys from the past included."""
    q, k, v = shapes.input(0), shapes.input(1), shapes.input(2)
    if len(q) == 3:
        heads, kv_heads = node.attributes["q_num_heads"].value, node.attributes["kv_num_heads"].value
        batch, queries, keys, size, value_size = q[0], q[1], k[1], q[2] // heads, v[2] // kv_heads
    else:
        batch, heads, queries, size = q
        keys, value_size = k[2], v[3]
    past = shapes.input(4)[2] if node.input(4) is not None else 0
    return batch * heads * queries * (keys + past) * (size + value_size)


def _einsum(node: Node, shapes: _Shapes) -> int:
    """Operands contracted from left to right, each step one product over all labels of both."""
    terms, output = _einsum_terms(node.attributes["equation"].value, shapes.inputs())
    sizes: dict[str, int] = {}
    for labels, shape in terms:
        for label, size in zip(labels, shape, strict=True):
            sizes[label] = size if sizes.get(label, 1) == 1 else sizes[label]
    total = 0
    left = set(terms[0][0])
    for step, (labels, _) in enumerate(terms[1:], 2):
        total += prod(sizes[label] for label in left | set(labels))
        needed = set(output).union(*(rest for rest, _ in terms[step:]))
        left = (left | set(labels)) & needed
    return total


def _einsum_terms(equation: str, shapes: list[Sizes]) -> tuple[list[tuple[list[str], Sizes]], list[str]]:
    """The labels of each operand with its shape, and those of the output; an ellipsis becomes numbered labels."""
    left, arrow, right = equation.replace(" ", "").partition("->")
    texts = left.split(",")
    if len(texts) != len(shapes):
        raise _Unsized
    terms = [(list(_labels(t, len(s))), s) for t, s in zip(texts, shapes, strict=True)]
    if any(len(labels) != len(shape) for labels, shape in terms):
        raise _Unsized
    every = [label for labels, _ in terms for label in labels]
    dots = sorted({label for label in every if label[0] == "."})
    if not arrow:
        return terms, dots + [label for label in every if every.count(label) == 1]
    return terms, [label for label in right if label != "."] + dots * ("..." in right)


def _labels(text: str, rank: int) -> Iterator[str]:
    """The labels of one operand; dims of an ellipsis count from the right, as they broadcast."""
    before, dots, after = text.partition("...")
    yield from before
    if dots:
        count = rank - len(before) - len(after)
        yield from (f".{place}" for place in range(count, 0, -1))
    yield from after


def _packed_product(node: Node, shapes: _Shapes) -> int:
    """rows·K·N of a matrix product whose weight is packed in blocks, its sizes given as attributes."""
    return prod(shapes.input(0)) * int(node.attributes["N"].value)


def _never(node: Node, shapes: _Shapes) -> int:
    raise _Unsized


COUNTS: dict[tuple[str, str], Count] = {
    ("", "Conv"): _convolution(1),
    ("", "ConvInteger"): _convolution(1),
    ("", "QLinearConv"): _convolution(3),
    ("", "DeformConv"): _convolution(1),
    ("", "CausalConvWithState"): _convolution(1),
    ("", "ConvTranspose"): _transposed,
    ("", "Gemm"): _gemm,
    ("", "MatMul"): _product(0, 1),
    ("", "MatMulInteger"): _product(0, 1),
    ("", "QLinearMatMul"): _product(0, 3),
    ("", "RNN"): _recurrent,
    ("", "GRU"): _recurrent,
    ("", "LSTM"): _recurrent,
    ("", "Attention"): _attention,
    ("", "Einsum"): _einsum,
    ("", "LinearAttention"): _never,
    ("ai.onnx.preview", "FlexAttention"): _never,
    ("com.microsoft", "FusedConv"): _convolution(1),
    ("com.microsoft", "FusedGemm"): _gemm,
    ("com.microsoft", "MatMulNBits"): _packed_product,
}
"""Operators that multiply matrices. Those that nobody here can count say so instead of counting nothing."""
