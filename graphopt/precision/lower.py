"""A float32 model in float16 or bfloat16: what the pass calls."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from graphopt.calibration.statistics import TensorStatistics
from graphopt.data.sample import Sample
from graphopt.errors import ParityError
from graphopt.graph.dtypes import DType
from graphopt.graph.model import Model
from graphopt.parity.spelled import spell_out
from graphopt.precision.choose import choose
from graphopt.precision.formats import FORMATS
from graphopt.precision.retype import retype
from graphopt.quantization.contents import copied
from graphopt.quantization.improve import take
from graphopt.quantization.score import outputs_of, score

JUDGED_BY = 16
"""Samples, at most, by which a model in a short type is compared with the one that it was."""


@dataclass(frozen=True)
class Lowered:
    """What became of a model.

    Attributes:
        nodes: how many compute in the short type now.
        islands: what stays in float32 for its numbers, or since the recipe says so: labels of nodes, and the reason.
    """

    nodes: int
    islands: Mapping[str, str] = field(default_factory=dict[str, str])

    def to_json(self) -> dict[str, Any]:
        return {"nodes": self.nodes, "float32": [{"node": n, "reason": why} for n, why in self.islands.items()]}


def lower_precision(
    model: Model,
    dtype: str,
    *,
    seen: Mapping[str, TensorStatistics] | None = None,
    kept: Collection[str] = (),
    lacking: Collection[str] = (),
) -> Lowered:
    """Have nodes compute in a short type, in place: the graph is typed, with Casts where types meet. Inputs and outputs
    keep their types.

    Args:
        dtype: "float16" or "bfloat16".
        seen: statistics of the model's tensors by name; None where there is no calibration.
        kept: labels of nodes that stay in float32.
        lacking: operators that have no kernels in the type.
    """
    kind = FORMATS[DType[dtype]]
    choice = choose(model, kind, seen, kept, lacking)
    retype(model, choice.short, kind)
    return Lowered(len(choice.short), {node.label: why for node, why in choice.islands.items()})


def compare_precision(
    model: Model, original: Model, samples: Iterable[Sample], least: Mapping[str, float] | None = None
) -> dict[str, float]:
    """How near the outputs of a model in short types or codes are to those of the one that it was: "sqnr" in dB,
    "cosine" and "agreement", each as far as it is finite. Every rounding that the types ask for is made.

    Args:
        samples: of which some are taken, from all over.
        least: what the figures must reach.

    Raises:
        DataError: a sample cannot be read.
        ModelError: ONNX Runtime cannot run one of the models.
        ParityError: a figure does not reach what it must.
    """
    taken = take(samples, JUDGED_BY)
    rounded = copied(model)
    spell_out(rounded)
    # as it is: ONNX Runtime 1.32's extended optimizations compute something else where codes are float8
    found = score(outputs_of(original, taken), outputs_of(rounded, taken, optimized=False))
    figures = {"sqnr": found.sqnr, "cosine": found.cosine, "agreement": found.agreement}
    missed = [f"{n} {figures[n]:.4g} for {bound:.4g}" for n, bound in (least or {}).items() if figures[n] < bound]
    if missed:
        raise ParityError(
            f"the outputs do not reach what is asked: {', '.join(missed)}",
            help="give nodes another precision by a recipe with [precision], or ask for less",
        )
    return {name: round(value, 5) for name, value in figures.items() if math.isfinite(value)}
