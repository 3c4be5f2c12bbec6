"""What is in models and how right they are: `ORIGINAL RESULT...`, a line of JSON for each, the original first.

Runs as a process of its own: a broken model can end the process that runs it.
"""

from __future__ import annotations

import hashlib
import json
import math
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import onnx

from graphopt.data.sample import Sample
from graphopt.errors import GraphoptError
from graphopt.graph.bodies import nodes_below
from graphopt.graph.load import read_proto
from graphopt.parity.comparison import Comparison
from graphopt.parity.reference import Reference
from graphopt.parity.samples import parity_samples
from graphopt.parity.tolerance import Limits

from .inputs import real_samples

STANDARD = ("", "ai.onnx")

RIGHT = 60.0
"""Decibels of signal over noise from which a result is right however the original takes rounding: an error of a
thousandth of the output. Folding a BatchNormalization rounds anew, and deep networks magnify that."""


def main() -> None:
    original, *results = map(Path, sys.argv[1:])
    proto = read_proto(original)
    _say(contents(proto) | {"operators_of_others": []})
    if not results:
        return
    with ExitStack() as held:
        references = _references(original, held)
        for result in results:
            made = read_proto(result)
            foreign = sorted(_domains(made) - _domains(proto))
            _say(contents(made) | {"operators_of_others": foreign} | _parity(references, result))


def _say(found: dict[str, Any]) -> None:
    print(json.dumps(found), flush=True)


# --- what is in it ---


def contents(model: onnx.ModelProto) -> dict[str, Any]:
    """Nodes without Constant, by operator, those of bodies and functions included; and what the bytes are."""
    operators = Counter(_operator(n) for n in _all_nodes(model) if n.op_type != "Constant")
    found = {"nodes": operators.total(), "operators": dict(sorted(operators.items())), "bytes": _bytes(model)}
    return found | {"computes": _computes(model)}


def _all_nodes(model: onnx.ModelProto) -> Iterator[onnx.NodeProto]:
    yield from nodes_below(model.graph.node)
    for function in model.functions:
        yield from nodes_below(function.node)


def _operator(node: onnx.NodeProto) -> str:
    return node.op_type if node.domain in STANDARD else f"{node.domain}::{node.op_type}"


def _domains(model: onnx.ModelProto) -> set[str]:
    return {n.domain for n in _all_nodes(model)} - set(STANDARD)


def _computes(model: onnx.ModelProto) -> str:
    """A digest of the model without metadata and documentation: two with the same one compute the same, as quickly."""
    bare = onnx.ModelProto()
    bare.CopyFrom(model)
    for holder in (*_holders(bare), *bare.graph.value_info, *_tensors(bare)):
        del holder.metadata_props[:]
        holder.ClearField("doc_string")
    return hashlib.sha256(bare.SerializeToString(deterministic=True)).hexdigest()


def _holders(model: onnx.ModelProto) -> Iterator[Any]:
    """What can have metadata, apart from what _bytes counts by itself."""
    yield from (model, model.graph, *_all_nodes(model), *model.graph.input, *model.graph.output)


def _tensors(model: onnx.ModelProto) -> Iterator[onnx.TensorProto]:
    yield from model.graph.initializer
    for node in _all_nodes(model):
        yield from (a.t for a in node.attribute if node.op_type == "Constant" and a.HasField("t"))


def _bytes(model: onnx.ModelProto) -> dict[str, int]:
    """Bytes of the file by what they are for: metadata by key, documentation, weights, types of values."""
    found: Counter[str] = Counter()
    for holder in _holders(model):
        found += _remarks(holder)
    for value in model.graph.value_info:
        remarks = _remarks(value)
        found += remarks + Counter({"types of values": value.ByteSize() - remarks.total()})
    for tensor in _tensors(model):
        remarks = _remarks(tensor)
        found += remarks + Counter({"weights": tensor.ByteSize() - remarks.total()})
    return dict(sorted(found.items()))


def _remarks(holder: Any) -> Counter[str]:
    """Bytes of what the standard gives no meaning to: metadata by key, and documentation."""
    found = Counter({"documentation": len(holder.doc_string.encode())}) if holder.doc_string else Counter[str]()
    for entry in holder.metadata_props:
        size = entry.ByteSize()
        found[f"metadata {entry.key}"] += size + (2 if size < 128 else 3)  # a tag, and the size as a varint
    return found


# --- how right it is ---


def _references(original: Path, held: ExitStack) -> dict[str, Reference]:
    """The original on every kind of samples; none where ONNX Runtime does not run it."""
    try:
        return {k: held.enter_context(Reference(original, s)) for k, s in _samples(original).items()}
    except GraphoptError as error:
        print(f"{original}: {error}", file=sys.stderr)
        return {}


def _samples(original: Path) -> dict[str, Sequence[Sample]]:
    """Made ones of two shapes wherever a dim is dynamic, and real ones."""
    found: dict[str, Sequence[Sample]] = {"made": parity_samples(original).samples, "real": real_samples(original)}
    return {kind: samples for kind, samples in found.items() if samples}


def _parity(references: dict[str, Reference], result: Path) -> dict[str, Any]:
    if not references:
        return {"failure": "the original does not run"}
    try:
        return {kind: _figures(_compare(reference, result)) for kind, reference in references.items()}
    except GraphoptError as error:
        return {"failure": error.message}


def _compare(reference: Reference, result: Path) -> Comparison:
    """By a bound that takes one run; where it is not met, by how far rounding moves the original, which takes many."""
    found = reference.compare(result, limits=Limits(min_sqnr_db=RIGHT))
    return found if found.ok or found.failures else reference.compare(result)


def _figures(found: Comparison) -> dict[str, Any]:
    """The worst difference relative to an output's scale, the least signal-to-noise ratio (None: there is no noise),
    and what is wrong."""
    judged = [o for o in found.outputs if o.judged]
    alike = [o.figures for o in judged if o.figures.structure is None]
    return {
        "problems": list(found.problems),
        "notes": list(found.notes),
        "shapes": len(found.shapes),
        "max_rel": max((_finite(f.max_rel) for f in alike), default=None),
        "sqnr_db": min((_finite(f.sqnr_db) for f in alike if f.sqnr_db != math.inf), default=None),
    }


def _finite(figure: float) -> float:
    """JSON has no infinities: the largest numbers stand for them."""
    return math.copysign(sys.float_info.max, figure) if math.isinf(figure) else figure


if __name__ == "__main__":
    main()
