"""The figures in docs/parity.md: `python -m tests.parity.measure [MODEL]...`, from the root of the repository.

For each trained model of the corpus, on real inputs: how much of the tolerance right rewrites take up (ONNX Runtime's
own, written to a file and run with optimizations off), and which of many wrong ones are found.
"""

from __future__ import annotations

import copy
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
from onnx import helper, numpy_helper

from graphopt.data.sample import Sample
from graphopt.errors import GraphoptError
from graphopt.parity.reference import Reference
from tests.corpus import fetch, inputs, manifest

SAMPLES = 4
TRIES = 6
"""Weights and BatchNormalizations that are made wrong, one at a time, in each model."""

SKIPPED = ("light-",)
"""Their weights are constants, so that the outputs are the same whatever goes in, and whatever is done to them."""


def right(path: Path, folder: Path) -> Iterator[tuple[str, Path]]:
    for level in ("ORT_ENABLE_BASIC", "ORT_ENABLE_EXTENDED", "ORT_ENABLE_ALL"):
        options = onnxruntime.SessionOptions()
        options.graph_optimization_level = getattr(onnxruntime.GraphOptimizationLevel, level)
        options.optimized_model_filepath = str(folder / f"{level}.onnx")
        options.log_severity_level = 4
        onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        yield level, folder / f"{level}.onnx"


def wrong(model: onnx.ModelProto) -> Iterator[tuple[str, onnx.ModelProto]]:
    """Mistakes that folding and fusing make."""
    norms = [i for i, node in enumerate(model.graph.node) if node.op_type == "BatchNormalization"]
    for index in _spread(norms):
        changed = copy.deepcopy(model)
        node = changed.graph.node[index]
        kept = [a for a in node.attribute if a.name != "epsilon"]
        del node.attribute[:]
        node.attribute.extend([*kept, helper.make_attribute("epsilon", 0.0)])
        yield "epsilon forgotten", changed
    tensors = [t for t in _weights(model) if len(t.dims) > 1]
    for number in _spread(range(len(tensors))):
        for what, factor in (("a channel 1 % off", 1.01), ("a channel 0.1 % off", 1.001)):
            yield what, _scaled(model, tensors[number].name, factor)
    biases = [t for t in _weights(model) if len(t.dims) == 1 and np.any(numpy_helper.to_array(t))]
    for number in _spread(range(len(biases))):
        changed = copy.deepcopy(model)
        tensor = next(t for t in _weights(changed) if t.name == biases[number].name)
        tensor.CopyFrom(numpy_helper.from_array(np.zeros_like(numpy_helper.to_array(tensor)), tensor.name))
        yield "a vector dropped", changed


def _scaled(model: onnx.ModelProto, name: str, factor: float) -> onnx.ModelProto:
    changed = copy.deepcopy(model)
    tensor = next(t for t in _weights(changed) if t.name == name)
    values = numpy_helper.to_array(tensor).copy()
    channel = int(np.abs(values).reshape(len(values), -1).sum(axis=1).argmax())
    values[channel] *= factor
    tensor.CopyFrom(numpy_helper.from_array(values, name))
    return changed


def _weights(model: onnx.ModelProto) -> list[onnx.TensorProto]:
    nodes = [n for n in model.graph.node if n.op_type == "Constant" and n.attribute and n.attribute[0].name == "value"]
    for node in nodes:
        node.attribute[0].t.name = node.output[0]
    tensors = [*model.graph.initializer, *(node.attribute[0].t for node in nodes)]
    return [t for t in tensors if t.data_type == onnx.TensorProto.FLOAT and np.prod(t.dims) >= 16]


def _spread(items: list[int] | range) -> list[int]:
    return (
        [items[i] for i in sorted({round(i * (len(items) - 1) / (TRIES - 1)) for i in range(TRIES)})] if items else []
    )


def measure(name: str) -> str:
    path = fetch.provide(name)
    given = [Sample(f"{i}", dict(arrays)) for i, arrays in enumerate(inputs.inputs(name, SAMPLES))]
    cells: list[str] = []
    with tempfile.TemporaryDirectory() as scratch, Reference(path, given) as reference:
        outputs = [o for _, path_of in right(path, Path(scratch)) for o in reference.compare(path_of).outputs]
        assert all(o.ok for o in outputs), (name, outputs)
        decisive = max(outputs, key=lambda o: o.tolerance.excess(o.decisive))
        cells += [f"{decisive.tolerance.excess(decisive.decisive):.2f}", decisive.tolerance.source]
        tally: dict[str, list[bool]] = {}
        for what, changed in wrong(onnx.load(path)):
            try:
                tally.setdefault(what, []).append(not reference.compare(changed.SerializeToString()).ok)
            except GraphoptError as error:
                print(name, what, error, file=sys.stderr)
        for what in ("epsilon forgotten", "a channel 1 % off", "a channel 0.1 % off", "a vector dropped"):
            found_of = tally.get(what, [])
            cells.append(f"{sum(found_of)} of {len(found_of)}" if found_of else "")
    return f"| {name} | {' | '.join(cells)} |"


def main() -> None:
    chosen = sys.argv[1:] or [n for n, m in manifest.members().items() if m.is_model and not n.startswith(SKIPPED)]
    for name in chosen:
        print(measure(name), flush=True)


if __name__ == "__main__":
    main()
