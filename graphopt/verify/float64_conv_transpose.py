"""ConvTranspose as the standard says; the reference evaluator fails on most that have groups."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from onnx.reference.op_run import OpRun

from graphopt.verify.float64_widen import Array


class ConvTranspose(OpRun):
    """Every input element is spread over the output, times each tap of the weight, which is [input channels, output
    channels / group, ...kernel]."""

    def _run(self, x: Array, w: Array, b: Array | None = None, group: int = 1, **how: Any) -> tuple[Array, ...]:
        if b is not None and b.size != group * w.shape[1]:
            raise ValueError("a bias of another size than the output channels")
        axes = x.ndim - 2
        sizes, kernel = x.shape[2:], w.shape[2:]
        strides, dilations = (how.get(n) or [1] * axes for n in ("strides", "dilations"))
        extra = how.get("output_padding") or [0] * axes
        spread = [strides[i] * (sizes[i] - 1) + (kernel[i] - 1) * dilations[i] + 1 for i in range(axes)]
        starts, stops = _crop(sizes, spread, strides, extra, how)
        whole = np.zeros((x.shape[0], group * w.shape[1], *(s + e for s, e in zip(spread, extra, strict=True))))
        for tap in np.ndindex(*kernel):
            places = tuple(
                slice(t * d, t * d + s * (n - 1) + 1, s)
                for t, d, s, n in zip(tap, dilations, strides, sizes, strict=True)
            )
            if math.prod(sizes):
                whole[(slice(None), slice(None), *places)] += _taken(x, w[(slice(None), slice(None), *tap)], group)
        y = whole[(slice(None), slice(None), *(slice(a, z) for a, z in zip(starts, stops, strict=True)))]
        return (y if b is None else y + b.reshape([-1, *[1] * axes]),)


def _taken(x: Array, w: Array, group: int) -> Array:
    """Each pixel times one tap [input channels, output channels / group], group by group."""
    parts = np.split(x, group, 1), np.split(w, group, 0)
    mixed = [np.moveaxis(np.tensordot(a, k, ([1], [0])), -1, 1) for a, k in zip(*parts, strict=True)]
    return np.concatenate(mixed, 1)


def _crop(
    sizes: Sequence[int], spread: Sequence[int], strides: Sequence[int], extra: Sequence[int], how: dict[str, Any]
) -> tuple[list[int], list[int]]:
    """Where the output begins and ends in what the input was spread over."""
    axes = len(sizes)
    mode, wanted = how.get("auto_pad") or "NOTSET", how.get("output_shape")
    if wanted is None and mode.startswith("SAME"):
        wanted = [n * s for n, s in zip(sizes, strides, strict=True)]
    if wanted is not None:
        totals = [max(spread[i] + extra[i] - wanted[-axes:][i], 0) for i in range(axes)]
        halves = [t // 2 for t in totals]
        starts = halves if mode == "SAME_UPPER" else [t - h for t, h in zip(totals, halves, strict=True)]
    else:
        pads = how.get("pads") if mode == "NOTSET" else None
        pads = pads or [0] * (2 * axes)
        starts = list(pads[:axes])
        totals = [pads[i] + pads[i + axes] for i in range(axes)]
    stops = [starts[i] + spread[i] + extra[i] - totals[i] for i in range(axes)]
    return starts, stops
