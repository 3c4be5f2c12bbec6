"""Element types under the names that the rule language uses, tied to ONNX and numpy."""

from __future__ import annotations

from enum import IntEnum
from typing import Any

import ml_dtypes
import numpy as np


class DType(IntEnum):
    """Element type of a tensor; the values are those of `onnx.TensorProto.DataType`."""

    float32 = 1
    uint8 = 2
    int8 = 3
    uint16 = 4
    int16 = 5
    int32 = 6
    int64 = 7
    string = 8
    bool = 9
    float16 = 10
    float64 = 11
    uint32 = 12
    uint64 = 13
    complex64 = 14
    complex128 = 15
    bfloat16 = 16
    float8e4m3fn = 17
    float8e4m3fnuz = 18
    float8e5m2 = 19
    float8e5m2fnuz = 20
    uint4 = 21
    int4 = 22
    float4e2m1 = 23
    float8e8m0 = 24
    uint2 = 25
    int2 = 26
    float6e2m3 = 27
    float6e3m2 = 28

    # plain attributes, filled in below: a property of an enumeration costs ten times as much, and rules ask often

    numpy: np.dtype[Any]
    """The numpy type that holds one element (sub-byte types take a byte each, unpacked)."""

    bits: int
    """Bits of one element in a file; 0 for strings, whose size varies."""

    is_float: bool
    is_integer: bool

    __hash__ = int.__hash__


_NUMPY: dict[DType, np.dtype[Any]] = {
    DType.float32: np.dtype(np.float32),
    DType.uint8: np.dtype(np.uint8),
    DType.int8: np.dtype(np.int8),
    DType.uint16: np.dtype(np.uint16),
    DType.int16: np.dtype(np.int16),
    DType.int32: np.dtype(np.int32),
    DType.int64: np.dtype(np.int64),
    DType.string: np.dtype(object),
    DType.bool: np.dtype(np.bool_),
    DType.float16: np.dtype(np.float16),
    DType.float64: np.dtype(np.float64),
    DType.uint32: np.dtype(np.uint32),
    DType.uint64: np.dtype(np.uint64),
    DType.complex64: np.dtype(np.complex64),
    DType.complex128: np.dtype(np.complex128),
    DType.bfloat16: np.dtype(ml_dtypes.bfloat16),
    DType.float8e4m3fn: np.dtype(ml_dtypes.float8_e4m3fn),
    DType.float8e4m3fnuz: np.dtype(ml_dtypes.float8_e4m3fnuz),
    DType.float8e5m2: np.dtype(ml_dtypes.float8_e5m2),
    DType.float8e5m2fnuz: np.dtype(ml_dtypes.float8_e5m2fnuz),
    DType.uint4: np.dtype(ml_dtypes.uint4),
    DType.int4: np.dtype(ml_dtypes.int4),
    DType.float4e2m1: np.dtype(ml_dtypes.float4_e2m1fn),
    DType.float8e8m0: np.dtype(ml_dtypes.float8_e8m0fnu),
    DType.uint2: np.dtype(ml_dtypes.uint2),
    DType.int2: np.dtype(ml_dtypes.int2),
    DType.float6e2m3: np.dtype(ml_dtypes.float6_e2m3fn),
    DType.float6e3m2: np.dtype(ml_dtypes.float6_e3m2fn),
}

_PACKED = {
    DType.string: 0,
    DType.uint4: 4,
    DType.int4: 4,
    DType.float4e2m1: 4,
    DType.uint2: 2,
    DType.int2: 2,
    DType.float6e2m3: 6,
    DType.float6e3m2: 6,
}

for _dtype, _numpy_type in _NUMPY.items():
    _dtype.numpy = _numpy_type
    _dtype.bits = _PACKED.get(_dtype, _numpy_type.itemsize * 8)
    _dtype.is_float = _dtype.name.startswith(("float", "bfloat"))
    _dtype.is_integer = _dtype.name.startswith(("int", "uint"))

DTYPES = {int(dtype): dtype for dtype in DType}
"""By number; many times as fast as asking the enumeration."""

_FROM_NUMPY = {numpy_type: dtype for dtype, numpy_type in _NUMPY.items()}


def dtype_of(array: np.ndarray[Any, Any]) -> DType:
    """The element type of a numpy array; text of any width counts as `string`.

    Raises:
        TypeError: ONNX has no such element type.
    """
    if array.dtype.kind in "USO":
        return DType.string
    found = _FROM_NUMPY.get(array.dtype)
    if found is None:
        raise TypeError(f"ONNX has no element type for numpy's {array.dtype}")
    return found
