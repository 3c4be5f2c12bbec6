"""Activations as rows of what one output position is a weighted sum of."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod

import numpy as np

from graphopt.data.sample import Array
from graphopt.graph.graph import Node


@dataclass(frozen=True)
class Window:
    """How a Conv walks over its input: one number for each spatial dimension."""

    kernel: tuple[int, ...]
    strides: tuple[int, ...]
    dilations: tuple[int, ...]
    before: tuple[int, ...]
    after: tuple[int, ...]

    @staticmethod
    def of(node: Node, weight_shape: Sequence[int], spatial: Sequence[int]) -> Window:
        """The window of a Conv over an input of these spatial sizes; `auto_pad` needs them."""
        kernel = tuple(weight_shape[2:])
        rank = len(kernel)
        strides = tuple(node.attribute("strides", (1,) * rank))
        dilations = tuple(node.attribute("dilations", (1,) * rank))
        pads = tuple(node.attribute("pads", (0,) * 2 * rank))
        auto = node.attribute("auto_pad", "NOTSET")
        if auto in ("SAME_UPPER", "SAME_LOWER"):
            pads = _same_pads(kernel, strides, dilations, spatial, upper=auto == "SAME_UPPER")
        elif auto == "VALID":
            pads = (0,) * 2 * rank
        return Window(kernel, strides, dilations, pads[:rank], pads[rank:])

    @property
    def pads(self) -> bool:
        """Whether it reaches beyond its input."""
        return any(self.before) or any(self.after)

    def outputs(self, spatial: Sequence[int]) -> tuple[int, ...]:
        """The sizes of the output."""
        return tuple(
            (size + a + b - d * (k - 1) - 1) // s + 1
            for size, a, b, d, k, s in zip(
                spatial, self.before, self.after, self.dilations, self.kernel, self.strides, strict=True
            )
        )


def _same_pads(
    kernel: tuple[int, ...],
    strides: tuple[int, ...],
    dilations: tuple[int, ...],
    spatial: Sequence[int],
    *,
    upper: bool,
) -> tuple[int, ...]:
    totals = [
        max(0, (-(-size // s) - 1) * s + (k - 1) * d + 1 - size)
        for size, k, s, d in zip(spatial, kernel, strides, dilations, strict=True)
    ]
    small, large = [t // 2 for t in totals], [t - t // 2 for t in totals]
    return (*small, *large) if upper else (*large, *small)


def positions(total: int, wanted: int, seed: int) -> Array:
    """Which of `total` positions to look at: all, or `wanted` drawn without replacement, in ascending order."""
    if total <= wanted:
        return np.arange(total)
    return np.sort(np.random.default_rng(seed).choice(total, wanted, replace=False))


def conv_rows(x: Array, window: Window, groups: int, chosen: Array) -> Array:
    """Rows of the inputs of chosen output positions: x [N, C, …] to [groups, positions, C / groups · taps]."""
    spatial = x.shape[2:]
    if window.pads:
        widths = [(0, 0), (0, 0), *zip(window.before, window.after, strict=True)]
        x = np.pad(x, widths)
    places = np.unravel_index(chosen, (x.shape[0], *window.outputs(spatial)))
    rank = len(spatial)
    index: list[Array] = []
    for axis in range(rank):
        taps = np.arange(window.kernel[axis]) * window.dilations[axis]
        along = places[axis + 1][:, np.newaxis] * window.strides[axis] + taps
        index.append(along.reshape(len(chosen), *(1 if a != axis else -1 for a in range(rank))))
    first = places[0].reshape(-1, *(1,) * rank)
    taken = x[(first, slice(None), *index)]  # [positions, taps…, C]: numpy puts the indexed axes first
    taken = np.moveaxis(taken, -1, 1).reshape(len(chosen), groups, -1)
    return np.ascontiguousarray(taken.transpose(1, 0, 2))


def conv_results(y: Array, groups: int, chosen: Array) -> Array:
    """The outputs at chosen positions: y [N, O, …] to [groups, positions, O / groups]."""
    channels = y.shape[1]
    flat = np.moveaxis(y, 1, -1).reshape(-1, channels)[chosen]
    return np.ascontiguousarray(flat.reshape(len(chosen), groups, -1).transpose(1, 0, 2))


def count(shape: Sequence[int], *, is_conv: bool) -> int:
    """How many positions an output of this shape has."""
    return shape[0] * prod(shape[2:]) if is_conv else prod(shape[:-1])


def matrix_rows(x: Array, chosen: Array) -> Array:
    """Rows of a matrix product's operand or result: [..., K] to [1, positions, K]."""
    return np.ascontiguousarray(x.reshape(-1, x.shape[-1])[chosen])[np.newaxis]
