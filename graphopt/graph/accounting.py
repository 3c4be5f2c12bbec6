"""What a model consists of, in numbers."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from graphopt.graph.graph import Graph, Node
from graphopt.graph.model import Model
from graphopt.graph.sizes import SizedShapes, dynamic_dims
from graphopt.graph.tensor import Tensor
from graphopt.graph.work import count_work, operator_name


@dataclass(frozen=True)
class Account:
    """A model in numbers. Counts run over all graphs, bodies included; Constant nodes count as constants.

    Attributes:
        nodes: operators, Constant nodes excluded.
        operators: how many of each, by `Operator` or `domain::Operator`, in alphabetical order.
        constants: initializers (overridable ones too) and Constant nodes.
        parameters: elements of all constants; data that two of them share in a file counts once.
        weight_bytes: bytes of the same, as a file holds them.
        weight_dtypes: those bytes by element type.
        macs: multiply-accumulates of one run, of the nodes for which they can be told.
        macs_by_operator: the same by operator.
        macs_assume: sizes that were put for dynamic dims, and trip counts that no constant tells.
        macs_unknown: nodes that multiply matrices (or may) and are left out of `macs`.
        opsets: version by operator domain; the default one is `ai.onnx`.
        functions: model-local functions, as `domain::name`.
        depth: how deep bodies nest; 0 where there is none.
        ir_version, producer: of the file.
        dynamic_dims: dims of inputs without a size: their names, or `input[axis]`.
        file_bytes: the model file and its data files; None for a model without a file.
    """

    nodes: int
    operators: Mapping[str, int]
    constants: int
    parameters: int
    weight_bytes: int
    weight_dtypes: Mapping[str, int]
    macs: int
    macs_by_operator: Mapping[str, int]
    macs_assume: Mapping[str, int]
    macs_unknown: tuple[str, ...]
    opsets: Mapping[str, int]
    functions: tuple[str, ...]
    depth: int
    ir_version: int
    producer: str
    dynamic_dims: tuple[str, ...]
    file_bytes: int | None

    def to_json(self) -> dict[str, Any]:
        return dataclasses.asdict(self)


def account(model: Model, *, file: Path | None = None, sizes: Mapping[str, int] | None = None) -> Account:
    """Count what is in a model.

    `file` is where the model lies now, for its bytes on disk. `sizes` gives dynamic dims of the inputs a size by
    name, for the count of MACs; the others count as 1.
    """
    operators = Counter(operator_name(n) for n in model.all_nodes() if not _is_constant(n))
    weights = list(_weights(model))
    dtypes: Counter[str] = Counter()
    for dtype, _, size in weights:
        dtypes[dtype] += size
    work = count_work(model, SizedShapes(model, sizes))
    header = model.header
    return Account(
        nodes=operators.total(),
        operators=_sorted(operators),
        constants=_constants(model),
        parameters=sum(elements for _, elements, _ in weights),
        weight_bytes=sum(size for _, _, size in weights),
        weight_dtypes=_sorted(dtypes),
        macs=work.total,
        macs_by_operator=_sorted(work.by_operator),
        macs_assume=work.assumed,
        macs_unknown=tuple(work.unknown),
        opsets={domain or "ai.onnx": version for domain, version in sorted(model.opsets.items())},
        functions=tuple(f"{f.domain}::{f.name}" for f in header.functions),
        depth=max(map(_depth, model.all_graphs())),
        ir_version=header.ir_version,
        producer=" ".join(filter(None, (header.producer_name, header.producer_version))),
        dynamic_dims=tuple(dict.fromkeys(dynamic_dims(model.graph.inputs))),
        file_bytes=None if file is None else sum(p.stat().st_size for p in _files(model, file)),
    )


def _sorted(counts: Mapping[str, int]) -> dict[str, int]:
    return dict(sorted(counts.items()))


def _is_constant(node: Node) -> bool:
    return node.op_type == "Constant" and not node.domain


def _constants(model: Model) -> int:
    held = sum(len(g.initializers) + len(g.sparse_initializers) for g in model.all_graphs())
    return held + sum(map(_is_constant, model.all_nodes()))


def _weights(model: Model) -> Iterator[tuple[str, int, int]]:
    """Element type, elements and bytes of each piece of constant data."""
    seen: set[tuple[Path, int, int]] = set()
    for tensor in _tensors(model):
        place = tensor.external
        if place is not None:
            key = (place.path, place.offset, place.length)
            if key in seen:
                continue
            seen.add(key)
        yield tensor.dtype.name, tensor.size, tensor.nbytes


def _tensors(model: Model) -> Iterator[Tensor]:
    for graph in model.all_graphs():
        for value in graph.initializers:
            if value.initializer is not None:
                yield value.initializer
        for sparse in graph.sparse_initializers:
            yield Tensor.from_proto(sparse.values)
            yield Tensor.from_proto(sparse.indices)
        yield from _node_tensors(graph)


def _node_tensors(graph: Graph) -> Iterator[Tensor]:
    for node in graph.nodes:
        if _is_constant(node):
            made = node.output()
            if made is not None and made.constant is not None:
                yield made.constant
            elif "sparse_value" in node.attributes:
                sparse = node.attributes["sparse_value"].value
                yield Tensor.from_proto(sparse.values)
                yield Tensor.from_proto(sparse.indices)


def _depth(graph: Graph) -> int:
    depth = 0
    parent = graph.parent
    while parent is not None and parent.graph is not None:
        depth += 1
        parent = parent.graph.parent
    return depth


def _files(model: Model, file: Path) -> set[Path]:
    """The model file, and the data files beside it: those that it was read from, or the one that saving makes."""
    if model.source is not None and file == model.source:
        return {file} | {t.external.path for t in _tensors(model) if t.external is not None}
    data = file.with_name(file.name + ".data")
    return {file, data} if data.is_file() else {file}
