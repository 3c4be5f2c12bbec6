"""The first 64 bytes of a TensorRT-RTX engine.

Undocumented; found by comparing engines of many models and targets of tensorrt_rtx 1.7.1, and checked for each compute
capability. Little endian: bytes 0-3 magic, u64 at 16 the file's size, bytes 24-27 the builder's version, u32 at 32 a
bit for each compute capability. It is the only check of an engine that works without a GPU: the library itself answers
INVALID there for good and bad engines alike.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

SIZE = 64


@dataclass(frozen=True)
class PlanHeader:
    """What an engine says of itself: `size` in bytes, `version` of its builder, `mask` of compute capabilities."""

    magic: str
    size: int
    version: str
    mask: int


def read(head: bytes) -> PlanHeader | None:
    """The header in the first bytes of a file, or None if there are too few."""
    if len(head) < SIZE:
        return None
    (size,) = struct.unpack_from("<Q", head, 16)
    (mask,) = struct.unpack_from("<I", head, 32)
    return PlanHeader(head[:4].decode("latin-1"), size, ".".join(map(str, head[24:28])), mask)


def fault(head: bytes, *, magic: str, size: int, version: str, mask: int) -> str | None:
    """What is wrong with the header of an engine that should be so, or None."""
    found = read(head)
    if found is None:
        return f"it has {len(head)} bytes, fewer than its header"
    expected = PlanHeader(magic, size, version, mask)
    for name in ("magic", "size", "version"):
        if getattr(found, name) != getattr(expected, name):
            return f"its header says {name} {getattr(found, name)!r}, not {getattr(expected, name)!r}"
    if found.mask != mask:
        return f"its header says compute capabilities {found.mask:#x}, not {mask:#x}"
    return None
