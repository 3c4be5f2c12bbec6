"""Choosing how the tensor before a Q/DQ pair is centred, scaled and rounded, and changing the graph to that."""

from __future__ import annotations

from collections.abc import Mapping, MutableMapping, Sequence
from dataclasses import dataclass

import numpy as np

from graphopt.data.sample import Array
from graphopt.graph.attributes import Attribute
from graphopt.graph.graph import Node
from graphopt.graph.model import Model
from graphopt.quantization import ranges, rows
from graphopt.quantization.affine import Affine
from graphopt.quantization.layers import Layer
from graphopt.quantization.pairs import Pair

RESTORED = ("Add", "Mul", "GlobalAveragePool", "AveragePool")
"""Operators that read a tensor as it was, beside the layers: they compute in float, and the two nodes that put back
what was taken away are computed with them."""

Weights = MutableMapping[Node, tuple[Array, Array]]
"""By layer: the float weights [groups, outputs, inputs] and biases [groups, outputs]."""


@dataclass(frozen=True)
class _Readers:
    layers: list[Layer]
    others: list[Node]
    axis: int


def settle(
    pair: Pair, values: Sequence[Array], layers: Mapping[Node, Layer], given: Weights, model: Model, wanted: int
) -> bool:
    """Change the graph around a pair, and the weights in `given` of the layers that read it; whether that was possible.

    A padded layer would read zeros that are none after centring. Where it is the only reader, a Pad node before the
    centring puts them in; else the tensor is not centred.

    Args:
        values: the tensor before the pair, for each sample.
        layers: those whose weights may change.
        wanted: how many positions to look at.
    """
    readers = _readers(pair, layers)
    if readers is None or not pair.is_symmetric or pair.shares_scale:
        return False
    windows = [window(layer, values[0]) for layer in readers.layers]
    padded = next((w for w in windows if w is not None and w.pads), None)
    alone = len(readers.layers) + len(readers.others) == 1
    margins = (0, 0, *padded.before, 0, 0, *padded.after) if padded is not None and alone else None
    sampled, sample = _channels(values, readers.axis, wanted)
    weights = [_reader(given[layer.node][0], layer, sampled.shape[1]) for layer in readers.layers]
    shift = padded is None or margins is not None
    chosen = ranges.choose(sampled, sample, weights, others=len(readers.others), shift=shift)
    affine = Affine(readers.axis, chosen.centre.astype(np.float32), chosen.spread.astype(np.float32), margins)
    affine.before(pair, model)
    affine.undo(pair, readers.others, model)
    pair.rescale(chosen.scale, model)
    for layer in readers.layers:
        given[layer.node] = _absorbed(*given[layer.node], layer, affine)
    if margins is not None and padded is not None:
        node = readers.layers[0].node
        node.attributes.pop("auto_pad", None)
        node.attributes["pads"] = Attribute.of("pads", [0] * (2 * len(padded.kernel)))
    return True


def window(layer: Layer, x: Array) -> rows.Window | None:
    """How a Conv walks over an input; None for a matrix product."""
    return rows.Window.of(layer.node, layer.shape, x.shape[2:]) if layer.is_conv else None


def _readers(pair: Pair, layers: Mapping[Node, Layer]) -> _Readers | None:
    """Who reads the pair; None where some reader cannot take another range, or they differ in what a channel is."""
    rank, users = pair.source.rank, list(pair.result.uses)
    if rank is None or rank < 2 or pair.result.is_output:
        return None
    fitted = [layers[n] for n in users if n in layers and layers[n].activation is pair.result]
    others = [n for n in users if n.op_type in RESTORED and not n.domain and n.graph is pair.quantize.graph]
    if len(fitted) + len(others) != len(users):
        return None
    axes = {1 if layer.is_conv else rank - 1 for layer in fitted} or {1 if rank > 2 else rank - 1}
    return _Readers(fitted, others, axes.pop()) if len(axes) == 1 else None


def _channels(values: Sequence[Array], axis: int, wanted: int) -> tuple[Array, Array]:
    """Rows of channels at some positions of each sample, and the number of the sample of each row."""
    each = max(1, wanted // len(values))
    taken: list[Array] = []
    for number, x in enumerate(values):
        flat = np.moveaxis(x, axis, -1).reshape(-1, x.shape[axis])
        taken.append(flat[rows.positions(len(flat), each, number)])
    return np.concatenate(taken), np.repeat(np.arange(len(taken)), [len(t) for t in taken])


def _reader(weights: Array, layer: Layer, channels: int) -> Array:
    return weights.reshape(*weights.shape[:2], channels // layer.groups, -1)


def _absorbed(weights: Array, bias: Array, layer: Layer, affine: Affine) -> tuple[Array, Array]:
    """Weights and bias for the tensor as it is now: W(x's + c) + b = (Ws)x' + (b + Wc)."""
    members = len(affine.spread) // layer.groups
    wide = weights.reshape(*weights.shape[:2], members, -1)
    spread = affine.spread.reshape(layer.groups, 1, members, 1)
    centre = affine.centre.reshape(layer.groups, 1, members, 1)
    return (wide * spread).reshape(weights.shape), bias + (wide * centre).sum((2, 3))
