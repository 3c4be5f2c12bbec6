"""How near a model's outputs are to those of the float model, over all samples."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from graphopt.data.sample import Array, Feeds
from graphopt.errors import ModelError
from graphopt.graph.dtypes import DType
from graphopt.graph.graph import Value
from graphopt.graph.model import Model
from graphopt.graph.save import to_proto
from graphopt.graph.session import new_session

FLOATS = (np.dtype(np.float16), np.dtype(np.float32), np.dtype(np.float64))

PASSING = ("Identity", "Reshape", "Flatten", "Squeeze", "Unsqueeze", "Transpose", "Cast")

SQUASHING = ("Softmax", "LogSoftmax", "Sigmoid", "HardSigmoid", "Tanh")

Outputs = list[dict[str, Array]]
"""Float outputs by name, for each sample."""


def is_scored(value: Value) -> bool:
    """Whether an output is one of those that are compared."""
    return value.dtype in (DType.float16, DType.float32, DType.float64)


@dataclass(frozen=True)
class Score:
    """The worst over a model's float outputs.

    Attributes:
        sqnr: dB of signal over noise, all samples taken together.
        cosine: mean over the samples.
        agreement: the share of positions whose largest entry along the last axis is the same.
    """

    sqnr: float
    cosine: float
    agreement: float


def outputs_of(
    model: Model, samples: Sequence[Feeds], names: Sequence[str] | None = None, *, optimized: bool = True
) -> Outputs:
    """What a model computes; what is not of floating point is left out.

    Args:
        names: of the tensors to return; the outputs of the model if not given.
        optimized: let ONNX Runtime rewrite the graph.

    Raises:
        ModelError: ONNX Runtime cannot run the model.
    """
    shown = [v.name for v in model.graph.outputs]
    wanted = shown if names is None else list(names)
    proto = to_proto(model)
    for name in dict.fromkeys(name for name in wanted if name not in shown):
        proto.graph.output.add(name=name)
    try:
        session = new_session(proto.SerializeToString(deterministic=True), optimized=optimized)
        found = [dict(zip(wanted, session.run(wanted, feeds), strict=True)) for feeds in samples]
    except Exception as error:  # ONNX Runtime's errors share no base but this one
        raise ModelError(f"ONNX Runtime cannot run the model: {error}") from error
    return [{name: array for name, array in one.items() if getattr(array, "dtype", None) in FLOATS} for one in found]


def telling(model: Model) -> list[str]:
    """Where to look at a model to tell how good a change is: its outputs, or what goes into the Softmax or Sigmoid that
    makes one. There most values sit at 0 and 1 whatever happens, and a few samples near the middle decide alone."""
    found: list[str] = []
    for value in model.graph.outputs:
        node = value.producer
        while node is not None and node.op_type in PASSING and node.inputs[0] is not None:
            node = node.inputs[0].producer
        is_squashed = node is not None and node.op_type in SQUASHING and not node.domain
        before = node.inputs[0] if node is not None and is_squashed else None
        found.append(before.name if before is not None and before.constant is None else value.name)
    return found


def score(reference: Outputs, candidate: Outputs) -> Score:
    """The figures of the worst output."""
    names = list(reference[0])
    found = [_score([r[n] for r in reference], [c[n] for c in candidate]) for n in names]
    if not found:
        return Score(math.inf, 1.0, 1.0)
    return Score(min(s.sqnr for s in found), min(s.cosine for s in found), min(s.agreement for s in found))


def _score(reference: Sequence[Array], candidate: Sequence[Array]) -> Score:
    signal = noise = cosine = 0.0
    same = total = 0
    for r, c in zip(reference, candidate, strict=True):
        r, c = r.astype(np.float64), c.astype(np.float64)
        signal += float(np.square(r).sum())
        noise += float(np.square(c - r).sum())
        norms = float(np.linalg.norm(r) * np.linalg.norm(c))
        cosine += float((r * c).sum()) / norms if norms else 1.0
        if r.ndim and r.shape[-1] > 1:
            agree = r.argmax(-1) == c.argmax(-1)
            same, total = same + int(np.count_nonzero(agree)), total + agree.size
    sqnr = math.inf if noise == 0 else -math.inf if signal == 0 else 10 * math.log10(signal / noise)
    return Score(sqnr, cosine / len(reference), same / total if total else 1.0)
