"""Data of weights and inputs that follows from names, types and shapes alone."""

from __future__ import annotations

from collections.abc import Iterator
from zlib import crc32

import numpy as np
import onnx
from onnx import helper, numpy_helper

DTYPES = {"float": 1, "float16": 10, "double": 11, "bfloat16": 16}

SIZES = ((2, 3, 5, 4, 6), (3, 1, 4, 2, 7))
"""Sizes of dynamic dims, in the order in which a model names them: once for each sample."""


def weight(info: onnx.ValueInfoProto) -> onnx.TensorProto:
    """The initializer that a declaration stands for."""
    tensor = info.type.tensor_type
    shape = tuple(d.dim_value for d in tensor.shape.dim)
    return numpy_helper.from_array(array(info.name, tensor.elem_type, shape), info.name)


def array(name: str, elem_type: int, shape: tuple[int, ...], salt: int = 0) -> np.ndarray:
    """Standard normal numbers, small integers or coin flips.

    Where the name begins with `var` the numbers are between 0.5 and 2, as variances are; with `ratio`, below 1.
    """
    numbers = np.random.default_rng([crc32(name.encode()), *shape, salt])
    dtype = np.dtype(helper.tensor_dtype_to_np_dtype(elem_type))
    if dtype == np.bool_:
        return np.asarray(numbers.integers(0, 2, shape) == salt % 2)
    if dtype.kind in "iu":
        return numbers.integers(0, 5, shape).astype(dtype)
    for prefix, low, high in (("var", 0.5, 2), ("ratio", 0, 1)):
        if name.startswith(prefix):
            return np.asarray(numbers.uniform(low, high, shape)).astype(dtype)
    return np.asarray(numbers.standard_normal(shape)).astype(dtype)


def samples(model: onnx.ModelProto, empty: str = "") -> Iterator[dict[str, np.ndarray]]:
    """Two sets of inputs, of different sizes where dims are dynamic; a single boolean is true, then false. The dim that
    is said to be `empty` is 0."""
    defaults = {t.name for t in model.graph.initializer}
    for number, sizes in enumerate(SIZES):
        known: dict[str, int] = {empty: 0} if empty else {}
        feed: dict[str, np.ndarray] = {}
        for info in model.graph.input:
            tensor = info.type.tensor_type
            shape = tuple(_size(d, info.name, known, sizes) for d in tensor.shape.dim)
            made = array(info.name, tensor.elem_type, shape, number)
            if info.name not in defaults:
                feed[info.name] = np.asarray(number == 0) if made.dtype == np.bool_ and not shape else made
        yield feed


def _size(dim: onnx.TensorShapeProto.Dimension, of: str, known: dict[str, int], sizes: tuple[int, ...]) -> int:
    if dim.HasField("dim_value"):
        return dim.dim_value
    name = dim.dim_param or f"{of} {len(known)}"
    return known.setdefault(name, sizes[len(known) % len(sizes)])


def with_dtype(model: onnx.ModelProto, dtype: str) -> onnx.ModelProto:
    """The same model with another element type wherever it says `float`."""
    if dtype != "float":
        _convert(model.graph, DTYPES[dtype])
    return model


def _convert(graph: onnx.GraphProto, wanted: int) -> None:
    for info in (*graph.input, *graph.output, *graph.value_info):
        if info.type.tensor_type.elem_type == onnx.TensorProto.FLOAT:
            info.type.tensor_type.elem_type = wanted
    for tensor in graph.initializer:
        _convert_tensor(tensor, wanted)
    for node in graph.node:
        for attribute in node.attribute:
            if attribute.HasField("t"):
                _convert_tensor(attribute.t, wanted)
            if attribute.HasField("g"):
                _convert(attribute.g, wanted)


def _convert_tensor(tensor: onnx.TensorProto, wanted: int) -> None:
    if tensor.data_type == onnx.TensorProto.FLOAT:
        with np.errstate(over="ignore"):
            converted = numpy_helper.to_array(tensor).astype(helper.tensor_dtype_to_np_dtype(wanted))
        tensor.CopyFrom(numpy_helper.from_array(converted, tensor.name))
