"""Two nodes of one name are legal in ONNX, and ONNX Runtime refuses them."""

from __future__ import annotations

from pathlib import Path

import onnx


def with_unique_names(model: Path | bytes) -> tuple[bytes, Path | None]:
    """The model with the later of equal node names emptied, and the folder of its external data."""
    raw = model.read_bytes() if isinstance(model, Path) else model
    proto = onnx.ModelProto.FromString(raw)
    _rename(proto.graph, set())
    return proto.SerializeToString(), model.parent if isinstance(model, Path) else None


def _rename(graph: onnx.GraphProto, taken: set[str]) -> None:
    for node in graph.node:
        if node.name in taken:
            node.name = ""
        taken.add(node.name)
        for attribute in node.attribute:
            if attribute.HasField("g"):
                _rename(attribute.g, taken)
            for body in attribute.graphs:
                _rename(body, taken)
