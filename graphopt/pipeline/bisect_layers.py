"""Two files value by value: where they part ways first, and whether that is rounding."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import onnx
from onnx import external_data_helper

from graphopt.data.sample import Sample
from graphopt.errors import UsageError
from graphopt.parity.comparison import Comparison
from graphopt.parity.contract import Contract
from graphopt.parity.layers import Layers, compare_layers, decisive
from graphopt.parity.model_interface import read_model
from graphopt.pipeline.bisect_verdict import Explanation, explain
from graphopt.progress import SILENT, Progress

LARGEST = 1 << 30
"""Bytes of weights up to which a model can be shown from inside: it is handed on in one piece, of less than 2 GB."""


@dataclass(frozen=True)
class Divergence:
    """The values that two models share, and what is to say of the first one that departs.

    Attributes:
        layers: in the candidate's order of execution.
        sample: the name of what both were run on.
        explanation: whether the first departure is rounding; None where nothing departs.
    """

    layers: Layers
    sample: str
    explanation: Explanation | None

    def to_json(self) -> dict[str, Any]:
        first = self.layers.first
        return {
            "sample": self.sample,
            "values": [layer.to_json() for layer in self.layers.layers],
            "failures": list(self.layers.failures),
            "first": None if first is None else first.name,
            "explanation": None if self.explanation is None else self.explanation.to_json(),
        }


def divergence(
    reference: Path,
    candidate: Path,
    samples: Sequence[Sample],
    found: Comparison,
    contract: Contract,
    *,
    progress: Progress = SILENT,
) -> Divergence:
    """Compare two models from inside, on the sample on which their outputs are the farthest apart.

    Args:
        found: the comparison of their outputs.
        contract: what every value is held to.

    Raises:
        UsageError: one of them is too large for that.
    """
    first, second = _whole(reference), _whole(candidate)
    sample = decisive(found, samples)
    layers = compare_layers(first, second, [sample], contract, progress=progress)
    departs = layers.first
    explanation = None if departs is None else explain(first, second, layers, departs, sample)
    return Divergence(layers, sample.name, explanation)


def _whole(path: Path) -> onnx.ModelProto:
    model = read_model(path, str(path))
    external_data_helper.load_external_data_for_model(model, str(path.parent))
    if sum(len(tensor.raw_data) for tensor in model.graph.initializer) > LARGEST:
        raise UsageError(f"{path} is too large to be looked into")
    return model
