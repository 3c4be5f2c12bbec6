"""The kernels of an engine, out of the builder's log.

With detailed profiling verbosity the builder's last verbose messages hold one that begins with `Layers:` and has one
record a kernel: Name, LayerType, Inputs, Constants, Outputs (each tensor in braces with its Datatype), TacticName,
StreamId, jump targets if it jumps, and Metadata: the ONNX nodes as `[ONNX Layer: name]` with unit separators between.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from graphopt.backends.base import FusedLayer

_RECORD = re.compile(
    r"^Name: (?P<name>.*?), LayerType: (?P<kind>\w+), Inputs: \[(?P<inputs>.*)\], Constants: \[.*\], "
    r"Outputs: \[(?P<outputs>.*)\], TacticName: .*?, StreamId: \d+, .*?Metadata: (?P<metadata>.*)$",
    re.DOTALL,
)
_DATATYPE = re.compile(r", Datatype: (\w+), Format: ")
_NODE = "[ONNX Layer: "
_BETWEEN = "\x1f"

DTYPES = {
    "Float": "float32",
    "Double": "float64",
    "Half": "float16",
    "BFloat16": "bfloat16",
    "FP8": "float8e4m3fn",
    "FP4E2M1": "float4e2m1",
    "Int4": "int4",
    "Int8": "int8",
    "UInt8": "uint8",
    "Int32": "int32",
    "Int64": "int64",
    "Bool": "bool",
}
"""Our names for the element types of the dump; one that is not here keeps the builder's name."""


def parse_layers(dump: str, labels: Mapping[str, str]) -> tuple[FusedLayer, ...]:
    """The kernels that a `Layers:` message lists, in the order in which they run.

    `labels` says what a node is called in our messages, by its name in the builder's. Names may hold anything, brackets
    and line breaks too; a record that cannot be read for that is left out.
    """
    body = dump.removeprefix("Layers:\n").split("\n\nI/O Tensors:", 1)[0]
    records = re.split(r"\n(?=Name: .*?, LayerType: )", body)
    found = (_RECORD.match(record) for record in records)
    return tuple(
        FusedLayer(
            match["name"],
            match["kind"],
            _dtypes(match["inputs"]),
            _dtypes(match["outputs"]),
            tuple(_label(name, labels) for name in _nodes(match["metadata"])),
        )
        for match in found
        if match
    )


def _dtypes(tensors: str) -> tuple[str, ...]:
    names: list[str] = _DATATYPE.findall(tensors)
    return tuple(DTYPES.get(name, name) for name in names)


def _nodes(metadata: str) -> list[str]:
    parts = metadata.strip("\n ").split(_BETWEEN)
    return [part.removeprefix(_NODE).removesuffix("]") for part in parts if part.startswith(_NODE)]


def _label(name: str, labels: Mapping[str, str]) -> str:
    """A node in a body or function reads `name | body (branch) | caller (Op)`: each part is named as it should be."""
    first, *callers = name.split(" | ")
    parts = [labels.get(first, first)]
    for caller in callers:
        inner, space, kind = caller.rpartition(" (")
        parts.append(labels[inner] + space + kind if inner in labels else caller)
    return " | ".join(parts)
