"""What must hold of constant data before it is read: a file may say anything."""

from __future__ import annotations

from math import prod

import onnx

from graphopt.errors import ModelError
from graphopt.graph.check_file import known_dtype
from graphopt.graph.dtypes import DType

ADDRESSABLE = 2**63 - 1
"""Bytes that an array can have, counted as numpy does: a dim of 0 as 1."""

_FIELDS = {
    DType.float32: "float_data",
    DType.complex64: "float_data",
    DType.float64: "double_data",
    DType.complex128: "double_data",
    DType.int64: "int64_data",
    DType.uint32: "uint64_data",
    DType.uint64: "uint64_data",
    DType.string: "string_data",
}
"""Where a proto keeps what it does not keep as raw bytes; `int32_data` for the rest."""


def check_tensor(proto: onnx.TensorProto, what: str) -> tuple[DType, int]:
    """The element type and the bytes of a tensor, once its data is known to fit its shape.

    Raises:
        ModelError: the element type is unknown, the shape impossible, or there is more or less data than it needs.
    """
    dtype = known_dtype(proto.data_type, what)
    dims = tuple(proto.dims)
    if any(d < 0 for d in dims) or prod(d or 1 for d in dims) * 16 > ADDRESSABLE:
        raise ModelError(f"{what} has the impossible shape {list(dims)}", help=_DAMAGED)
    if proto.HasField("segment"):
        raise ModelError(f"{what} is one segment of a larger one", help="export the model with weights in one piece")
    elements = prod(dims)
    size = (elements * dtype.bits + 7) // 8
    if proto.data_location == onnx.TensorProto.EXTERNAL:
        if dtype is DType.string:
            raise ModelError(f"{what} is text in an external file, where only numbers can be", help=_DAMAGED)
        return dtype, size
    if proto.HasField("raw_data"):
        there, wanted, unit = len(proto.raw_data), size, "bytes"
    else:
        there, wanted, unit = len(getattr(proto, _FIELDS.get(dtype, "int32_data"))), _entries(dtype, elements), "values"
    if there != wanted or (dtype is DType.string and unit == "bytes"):
        raise ModelError(f"{what} has {there} {unit} of data; its shape {list(dims)} needs {wanted}", help=_DAMAGED)
    return dtype, size


_DAMAGED = "the file is damaged; export or download it again"


def _entries(dtype: DType, elements: int) -> int:
    """Numbers in the typed field: two for a complex one; types of 2 and 4 bits share the bytes of an int32."""
    if dtype in (DType.complex64, DType.complex128):
        return 2 * elements
    return (elements * dtype.bits + 7) // 8 if dtype.bits in (2, 4) else elements
