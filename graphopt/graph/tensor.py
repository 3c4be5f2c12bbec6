"""Constant data. Weights stay where they are, in the file or mapped from external data, until someone reads them."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import numpy_helper

from graphopt.graph.dtypes import DTYPES, DType, dtype_of

Array = np.ndarray[Any, Any]

CHUNK = 1 << 24
"""Bytes of a weight copied at a time."""

SMALL = 64
"""Elements up to which a constant is handed to shape inference by value (shapes, axes, pads)."""


class ExternalRef:
    """Where a tensor's bytes lie in a file beside the model: the resolved path, offset and length in bytes."""

    __slots__ = ("length", "location", "offset", "path")

    def __init__(self, path: Path, location: str, offset: int, length: int) -> None:
        self.path = path
        self.location = location
        self.offset = offset
        self.length = length


class Tensor:
    """An immutable constant of known dtype and shape, backed by a proto, a mapped file range, or an array.

    Sub-byte types read as one element a byte; strings as an object array of `str`.
    """

    __slots__ = ("_array", "_proto", "dtype", "external", "shape")

    def __init__(
        self,
        dtype: DType,
        shape: tuple[int, ...],
        *,
        array: Array | None = None,
        proto: onnx.TensorProto | None = None,
        external: ExternalRef | None = None,
    ) -> None:
        self.dtype = dtype
        self.shape = shape
        self.external = external
        self._array = array
        self._proto = proto

    @staticmethod
    def of(array: Array) -> Tensor:
        """A tensor that holds this array; the caller must not write to it any more."""
        return Tensor(dtype_of(array), tuple(int(d) for d in array.shape), array=array)

    @staticmethod
    def from_proto(proto: onnx.TensorProto, external: ExternalRef | None = None) -> Tensor:
        return Tensor(DTYPES[proto.data_type], tuple(proto.dims), proto=proto, external=external)

    @property
    def size(self) -> int:
        """Number of elements."""
        return prod(self.shape)

    @property
    def nbytes(self) -> int:
        """Bytes in a file, sub-byte types packed; for strings the bytes of the text."""
        if self.dtype is DType.string:
            return sum(len(str(s).encode()) for s in self.numpy().ravel())
        return (self.size * self.dtype.bits + 7) // 8

    def numpy(self) -> Array:
        """The values as a read-only array; mapped from the file where they are external.

        Only what was computed is kept; what a file holds is read anew, so that reading a
        weight does not make it stay in memory.
        """
        if self._array is not None:
            return self._array
        if self.external is not None:
            return self._mapped(self.external)
        assert self._proto is not None
        if self._proto.HasField("raw_data") and self.dtype.bits % 8 == 0:
            stored = self.dtype.numpy if sys.byteorder == "little" else self.dtype.numpy.newbyteorder("<")
            return np.frombuffer(self._proto.raw_data, stored).reshape(self.shape)
        if self.dtype is DType.string:
            texts = [s.decode("utf-8", "surrogateescape") for s in self._proto.string_data]
            array = np.array(texts, dtype=object).reshape(self.shape)
        else:
            array = numpy_helper.to_array(self._proto)
        array.flags.writeable = False
        return array

    def _mapped(self, ref: ExternalRef) -> Array:
        if self.size == 0:
            return np.zeros(self.shape, self.dtype.numpy)
        raw = np.memmap(ref.path, np.uint8, "r", ref.offset, (ref.length,))
        if self.dtype.bits % 8 == 0:
            return np.asarray(raw).view(self.dtype.numpy).reshape(self.shape)
        packed = onnx.TensorProto(data_type=int(self.dtype), dims=self.shape, raw_data=raw.tobytes())
        return numpy_helper.to_array(packed)

    def to_proto(self, name: str) -> onnx.TensorProto:
        """A TensorProto with the data inline; what came from a file keeps the form that it had there."""
        if self._proto is not None and self.external is None:
            proto = onnx.TensorProto()
            proto.CopyFrom(self._proto)
        elif self.external is not None and self._array is None:
            proto = onnx.TensorProto(data_type=int(self.dtype), dims=self.shape, raw_data=self.raw_bytes())
            if self._proto is not None and self._proto.doc_string:
                proto.doc_string = self._proto.doc_string
        else:
            proto = _pack(self.numpy(), self.dtype)
        proto.name = name
        return proto

    def raw_bytes(self) -> bytes:
        """The little-endian bytes as an ONNX file stores them (not for strings)."""
        if self.external is not None and self._array is None:
            if self.external.length == 0:
                return b""
            return np.memmap(self.external.path, np.uint8, "r", self.external.offset, (self.external.length,)).tobytes()
        if self._proto is not None and self._proto.HasField("raw_data"):
            return self._proto.raw_data
        return _pack(self.numpy(), self.dtype).raw_data

    def chunks(self) -> Iterator[bytes | memoryview]:
        """The bytes of `raw_bytes` piece by piece, so that a large weight is never in memory whole."""
        if self.external is None or self._array is not None or not self.external.length:
            yield self.raw_bytes()
            return
        with self.external.path.open("rb") as file:
            file.seek(self.external.offset)
            left = self.external.length
            while left:
                piece = file.read(min(left, CHUNK))
                if not piece:
                    raise OSError(f"{self.external.path} became shorter while it was read")
                left -= len(piece)
                yield piece


def _pack(array: Array, dtype: DType) -> onnx.TensorProto:
    if dtype is DType.string:
        proto = onnx.TensorProto(data_type=int(dtype), dims=array.shape)
        proto.string_data.extend(str(s).encode("utf-8", "surrogateescape") for s in array.ravel())
        return proto
    return numpy_helper.from_array(np.asarray(array, dtype.numpy))
