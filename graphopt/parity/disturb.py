"""A model and its inputs moved by a few units of rounding: what that does to its outputs is what rounding can do."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import onnx
from onnx import external_data_helper, numpy_helper

from graphopt.data.sample import Array, Feed, Sample
from graphopt.graph.bodies import bodies_of
from graphopt.graph.dtypes import DType, dtype_of
from graphopt.parity.tolerance import DISTURBANCE, ROUNDOFF

SMALLEST = 16
"""Elements. Shorter tensors are left alone: among them are the scales of a Resize, axes, exponents and bounds, which
are not sums' terms but decisions."""

BLOCK = 1 << 20
"""Elements at a time, so that a large weight is not held in float64 as a whole."""

LARGEST_MESSAGE = 1 << 30
"""Bytes of a model that is handed on in memory; protobuf ends at 2 GB."""


def disturbed_model(model: Path | bytes, seed: int, folder: Path) -> Path | bytes | None:
    """The model with every float weight moved up or down by `DISTURBANCE` roundoffs, at random; None if it has none.

    Large models are written into the folder, which the caller removes.
    """
    proto = _load(model)
    touched = 0
    for number, tensor in enumerate(_tensors(proto.graph)):
        touched += _disturb_tensor(tensor, seed, number)
    if not touched:
        return None
    if sum(len(tensor.raw_data) for tensor in _tensors(proto.graph)) < LARGEST_MESSAGE:  # ByteSize fails above 2 GB
        return proto.SerializeToString()
    path = folder / f"disturbed-{seed}.onnx"
    external_data_helper.convert_model_to_external_data(proto, location=f"{path.name}.data")
    external_data_helper.write_external_data_tensors(proto, str(folder))
    path.write_bytes(proto.SerializeToString())
    return path


def _load(model: Path | bytes) -> onnx.ModelProto:
    proto = onnx.ModelProto.FromString(model.read_bytes() if isinstance(model, Path) else model)
    if isinstance(model, Path):
        external_data_helper.load_external_data_for_model(proto, str(model.parent))
    return proto


def disturbed_sample(sample: Sample, seed: int) -> Sample:
    """The sample with its float inputs moved likewise."""
    arrays: dict[str, Feed] = {
        name: _moved(value, f"{seed}/{name}") if isinstance(value, np.ndarray) and _is_movable(value) else value
        for name, value in sample.arrays.items()
    }
    return Sample(sample.name, arrays)


def _tensors(graph: onnx.GraphProto) -> Iterator[onnx.TensorProto]:
    yield from graph.initializer
    for node in graph.node:
        for attribute in node.attribute:
            if attribute.HasField("t") and node.op_type == "Constant":
                yield attribute.t
        for body in bodies_of(node):
            yield from _tensors(body)


def _disturb_tensor(tensor: onnx.TensorProto, seed: int, number: int) -> bool:
    if tensor.data_type not in _TYPES or np.prod(tensor.dims, dtype=np.int64) < SMALLEST:
        return False
    moved = _moved(numpy_helper.to_array(tensor), f"{seed}/{number}")
    name = tensor.name
    tensor.Clear()
    tensor.CopyFrom(numpy_helper.from_array(moved, name))
    return True


_TYPES = frozenset(int(dtype) for dtype in ROUNDOFF)


def _is_movable(array: Array) -> bool:
    return array.size >= SMALLEST and dtype_of(array) in ROUNDOFF


def _moved(array: Array, seed: str) -> Array:
    dtype: DType = dtype_of(array)
    step = DISTURBANCE[dtype] * ROUNDOFF[dtype]
    digest = hashlib.sha256(seed.encode()).digest()
    signs = np.random.Generator(np.random.PCG64(int.from_bytes(digest[:16], "big")))
    moved: Array = np.ascontiguousarray(array).reshape(-1).copy()
    with np.errstate(over="ignore", invalid="ignore"):
        for start in range(0, moved.size, BLOCK):
            block: Array = moved[start : start + BLOCK]
            up = signs.integers(0, 2, block.size, bool)
            changed = (block.astype(np.float64) * np.where(up, 1 + step, 1 - step)).astype(array.dtype)
            np.copyto(block, changed, where=np.isfinite(changed))  # what is largest, as masks are, stays finite
    return moved.reshape(array.shape)
