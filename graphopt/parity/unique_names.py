"""Two nodes of one name are legal in ONNX, and ONNX Runtime refuses them."""

from __future__ import annotations

from pathlib import Path

import onnx

from graphopt.graph.bodies import nodes_below


def with_unique_names(model: Path | bytes) -> tuple[bytes, Path | None]:
    """The model with the later of equal node names emptied, and the folder of its external data."""
    raw = model.read_bytes() if isinstance(model, Path) else model
    proto = onnx.ModelProto.FromString(raw)
    taken: set[str] = set()
    for node in nodes_below(proto.graph.node):
        if node.name in taken:
            node.name = ""
        taken.add(node.name)
    return proto.SerializeToString(), model.parent if isinstance(model, Path) else None
