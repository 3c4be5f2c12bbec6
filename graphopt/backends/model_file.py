"""What a model file is made of, for the sidecar beside what was built from it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import onnx

from graphopt.errors import ModelError
from graphopt.graph.bodies import bodies_of
from graphopt.graph.digest import sha256_of
from graphopt.graph.external import Folder


def identity(path: Path, model: onnx.ModelProto) -> dict[str, Any]:
    """Names, sizes and sha256 of the model file and of the data files that its weights lie in, JSON-able.

    Raises:
        ModelError: a weight lies outside of the model's folder, or its file is missing or too short.
    """
    data = {p.relative_to(path.parent.resolve()).as_posix(): p for p in data_files(path, model)}
    return {
        **_file_identity(path.name, path),
        "external_data": [_file_identity(name, data[name]) for name in sorted(data)],
    }


def data_files(path: Path, model: onnx.ModelProto) -> set[Path]:
    """The resolved paths of the files beside the model in which its weights lie.

    Raises:
        ModelError: a weight lies outside of the model's folder, or its file is missing or too short.
    """
    folder = Folder(path.parent)
    found: set[Path] = set()
    for tensor in _tensors(model):
        if tensor.data_location == onnx.TensorProto.EXTERNAL:
            external = folder.tensor(tensor).external
            if external is not None:
                found.add(external.path)
    return found


def _tensors(model: onnx.ModelProto) -> Iterator[onnx.TensorProto]:
    yield from _graph_tensors(model.graph)
    for function in model.functions:
        yield from _node_tensors(function.node)


def _graph_tensors(graph: onnx.GraphProto) -> Iterator[onnx.TensorProto]:
    yield from graph.initializer
    for sparse in graph.sparse_initializer:
        yield from (sparse.values, sparse.indices)
    yield from _node_tensors(graph.node)


def _node_tensors(nodes: Iterable[onnx.NodeProto]) -> Iterator[onnx.TensorProto]:
    for node in nodes:
        for attribute in node.attribute:
            if attribute.HasField("t"):
                yield attribute.t
            yield from attribute.tensors
        for body in bodies_of(node):
            yield from _graph_tensors(body)


def _file_identity(name: str, path: Path) -> dict[str, Any]:
    try:
        return {"file": name, "bytes": path.stat().st_size, "sha256": sha256_of(path)}
    except OSError as error:
        raise ModelError(f"cannot read {path}: {error.strerror}") from None
