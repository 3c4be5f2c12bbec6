"""Counting one array into the statistics of its tensor: what calibration spends its time on.

An array is cut into blocks that stay in the cache while every figure is taken from them. Blocks follow from the shape
alone, so that the sums of a sample are the same bits wherever it is counted.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np

from graphopt.calibration.channels import Channels
from graphopt.calibration.exact import Floats
from graphopt.calibration.histogram import BINS, FLOAT32_EXACT, Histogram, exponent_of
from graphopt.calibration.statistics import TensorStatistics, first_name
from graphopt.data.sample import Array

BLOCK = 1 << 16
"""Values in a block: 256 KB of float32, 512 KB of float64. Half of it, or twice, takes a tenth longer."""

WIDEST = 1 << 17
"""Channels of which statistics are kept; more are no channels."""

Float32s = np.ndarray[Any, np.dtype[np.float32]]


class _Scratch(threading.local):
    """Memory of one thread, used for each block again: fresh memory costs more than the counting."""

    def __init__(self) -> None:
        self.float32 = np.empty(BLOCK, np.float32)
        self.float64 = np.empty(BLOCK, np.float64)
        self.places = np.empty(BLOCK, np.int32)
        self.wide_places = np.empty(BLOCK, np.intp)


_scratch = _Scratch()


def count(tensor: TensorStatistics, array: Array, sample: str, axis: int | None, *, products: bool = False) -> None:
    """Count the values of an array, which must be of floating point; they count as float32.

    `sample` is the name of the sample that the array belongs to. `axis` is where its channels are; `products` asks for
    those of each pair of them, from the first array on.
    """
    with np.errstate(over="ignore"):  # a float64 beyond float32 becomes infinite, and counts as that
        values = np.ascontiguousarray(array, np.float32)
    if values.size == 0:
        return
    channels = _channels(tensor, values.shape, axis, products)
    if channels is None:
        for block in _blocks(values.reshape(1, 1, -1)):
            _count_block(tensor, block, sample, None)
        return
    layout = (prod(values.shape[: channels.axis]), channels.size, prod(values.shape[channels.axis + 1 :]))
    moments = _Moments(channels)
    for block in _blocks(values.reshape(layout)):
        _count_block(tensor, block, sample, moments)
    channels.sums.add(moments.sums)
    channels.squares.add(moments.squares)
    if channels.products is not None:
        channels.products.add(_products(values.reshape(layout)))


def _channels(tensor: TensorStatistics, shape: tuple[int, ...], axis: int | None, products: bool) -> Channels | None:
    """The channels to count into; once the size of the axis changes there are none any more."""
    if axis is None or axis >= len(shape) or shape[axis] > WIDEST:
        tensor.channels = None
    elif tensor.count == 0 and tensor.not_finite == 0:
        tensor.channels = Channels(axis, shape[axis], products=products)
    elif tensor.channels is not None and (tensor.channels.axis, tensor.channels.size) != (axis, shape[axis]):
        tensor.channels = None
    return tensor.channels


class _Moments:
    """Sums and sums of squares of one sample, float64[channels], beside the channels that they will go to."""

    def __init__(self, channels: Channels) -> None:
        self.channels = channels
        self.sums: Floats = np.zeros(channels.size)
        self.squares: Floats = np.zeros(channels.size)

    def add(self, block: _Block, wide: Floats, low: Floats, high: Floats, counts: Any) -> None:
        """Add the values of a block, `wide`; `low` and `high` are its extremes, `counts` its values a channel."""
        channels, chosen = self.channels, block.channels
        np.minimum(channels.minimum[chosen], low, out=channels.minimum[chosen])
        np.maximum(channels.maximum[chosen], high, out=channels.maximum[chosen])
        channels.counts[chosen] += counts
        self.sums[chosen] += wide.sum(axis=block.axis)
        self.squares[chosen] += np.einsum(_DOTS[block.axis], wide, wide)


_DOTS = ("ij,ij->j", "ij,ij->i")
"""Sums of squares along axis 0, and along axis 1."""


@dataclass(frozen=True)
class _Block:
    """Values of some channels: a matrix whose `axis` is not the one of the channels."""

    channels: slice
    values: Float32s
    axis: int


def _blocks(values: Float32s) -> Iterator[_Block]:
    """The blocks of an array of the layout [outer, channels, inner]."""
    outer, size, inner = values.shape
    if inner == 1 and size > 1:
        yield from _row_blocks(values.reshape(outer, size))
        return
    if outer > 1 and size * inner < BLOCK:
        values = np.ascontiguousarray(values.transpose(1, 0, 2)).reshape(1, size, -1)
        inner *= outer
    step = max(BLOCK // inner, 1)
    for row in values:
        for start in range(0, size, step):
            rows = row[start : start + step]
            for place in range(0, inner, BLOCK):
                yield _Block(slice(start, start + len(rows)), rows[:, place : place + BLOCK], 1)


def _row_blocks(rows: Float32s) -> Iterator[_Block]:
    """The blocks of an array whose last axis holds the channels."""
    size = rows.shape[1]
    step = max(BLOCK // size, 1)
    for start in range(0, len(rows), step):
        for place in range(0, size, BLOCK):
            part = rows[start : start + step, place : place + BLOCK]
            yield _Block(slice(place, place + part.shape[1]), part, 0)


def _products(values: Float32s) -> Floats:
    """Sums of the products of each pair of channels, the upper triangle, of an array [outer, channels, inner]."""
    outer, size, inner = values.shape
    total = np.zeros((size, size))
    rows = values.transpose(1, 0, 2).reshape(size, outer * inner)
    step = max(BLOCK // size, 1)
    for start in range(0, outer * inner, step):
        part = np.nan_to_num(rows[:, start : start + step].astype(np.float64), nan=0.0, posinf=0.0, neginf=0.0)
        total += part @ part.T
    return total[np.triu_indices(size)]


def _count_block(tensor: TensorStatistics, block: _Block, sample: str, moments: _Moments | None) -> None:
    values = block.values
    lows, highs = values.min(axis=block.axis), values.max(axis=block.axis)
    low, high = float(lows.min()), float(highs.max())
    if not (np.isfinite(low) and np.isfinite(high)):
        _count_finite(tensor, block, sample, moments)
        return
    wide = _scratch.float64[: values.size].reshape(values.shape)
    np.copyto(wide, values)
    if moments is not None:
        moments.add(block, wide, lows, highs, values.shape[block.axis])
    _count_flat(tensor, values.reshape(-1), wide.reshape(-1), low, high)


def _count_finite(tensor: TensorStatistics, block: _Block, sample: str, moments: _Moments | None) -> None:
    """Count a block that holds NaN or infinities without them."""
    finite = np.isfinite(block.values)
    tensor.not_finite += int(finite.size - np.count_nonzero(finite))
    tensor.not_finite_in = first_name(tensor.not_finite_in, sample)
    if moments is not None:
        wide = np.where(finite, block.values, 0.0).astype(np.float64)
        low = block.values.min(axis=block.axis, where=finite, initial=np.inf)
        high = block.values.max(axis=block.axis, where=finite, initial=-np.inf)
        moments.add(block, wide, low, high, finite.sum(axis=block.axis))
    flat = block.values[finite]
    if flat.size:
        _count_flat(tensor, flat, flat.astype(np.float64), float(flat.min()), float(flat.max()))


def _count_flat(tensor: TensorStatistics, values: Float32s, wide: Floats, low: float, high: float) -> None:
    """Count finite values without regard to channels; `wide` holds the same ones, and is written to."""
    tensor.count += values.size
    tensor.minimum, tensor.maximum = min(tensor.minimum, low), max(tensor.maximum, high)
    if low <= 0 <= high:
        tensor.zeros += int(values.size - np.count_nonzero(values != 0))
    histogram = tensor.histogram
    histogram.grow(exponent_of(max(-low, high)))
    places = _scratch.wide_places[: values.size]
    if histogram.exponent is not None and histogram.exponent > FLOAT32_EXACT:
        _place(wide, wide, histogram, places)
    else:
        _place(values, _scratch.float32[: values.size], histogram, places)
    histogram.counts += np.bincount(places, minlength=2 * BINS)


def _place(values: Any, scratch: Any, histogram: Histogram, places: Any) -> None:
    """The number of the bin of each value, into `places`."""
    np.multiply(values, values.dtype.type(histogram.factor), out=scratch)
    np.floor(scratch, out=scratch)
    scratch += values.dtype.type(BINS)
    narrow = _scratch.places[: values.size]  # by way of int32, since processors cast floats to int64 slowly
    np.copyto(narrow, scratch, casting="unsafe")
    np.copyto(places, narrow)
