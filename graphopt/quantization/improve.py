"""Making a quantized model as good as it gets: thresholds, then ranges, weights and biases, judged at the outputs.

What is tried is fitted on some of the samples and judged on others, kept apart for that.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from graphopt.data.sample import Feeds
from graphopt.errors import DataError
from graphopt.graph.model import Model
from graphopt.progress import SILENT, Progress
from graphopt.quantization.contents import copied, take_contents
from graphopt.quantization.fallback import Fallback, Goal, fall_back
from graphopt.quantization.pairs import rescale_all
from graphopt.quantization.refine import Settings, refine
from graphopt.quantization.score import Outputs, Score, outputs_of, score

Effort = Literal["fast", "default"]

MOST = 48
"""Samples that are used at most."""

RESERVED = 4
"""Of how many samples one is kept apart to judge by."""

TIE = 0.2
"""dB by which a candidate must be better than one that changes less."""


@dataclass(frozen=True)
class Candidate:
    """Something that was tried, and how near its outputs were to those of the float model."""

    name: str
    score: Score


@dataclass
class Improved:
    """What was tried and what was taken.

    Attributes:
        chosen: the name of the candidate that the model is now.
        candidates: all of them, in the order in which they were tried.
        layers: signal over noise of each layer's output on the samples fitted on, in dB, given what reaches it.
        fallback: what meeting the goal took; None where nothing was asked.
    """

    chosen: str
    candidates: list[Candidate] = field(default_factory=list[Candidate])
    layers: dict[str, float] = field(default_factory=dict[str, float])
    fallback: Fallback | None = None


def improve(
    model: Model,
    original: Model,
    samples: Sequence[Feeds],
    *,
    scales: Mapping[str, Mapping[str, float]] | None = None,
    effort: Effort = "default",
    goal: Goal | None = None,
    settings: Settings | None = None,
    progress: Progress = SILENT,
) -> Improved:
    """Change a quantized model in place.

    1. Each set of thresholds is put in and scored; the best stays.
    2. Unless the effort is "fast": `refine`, with the weights fitted and without; the best of these stays, if it is
       better than what was there before.
    3. Where a goal is asked for and missed, layers go back to float.

    Args:
        model: with Q/DQ pairs; its float tensors have the names that they have in `original`.
        original: the float model that it was made from.
        samples: of which `spread` takes what is used.
        scales: sets of scales by name of the method, each by name of the tensor; none leaves them as they are.

    Raises:
        DataError: there are no samples.
        ModelError: ONNX Runtime cannot run a part of one of the models.
    """
    if not samples:
        raise DataError("there are no samples to judge a quantized model by", help="give samples: --data SOURCE")
    fitted, judged = split(spread(samples, MOST))
    trial = _Trial(original, judged)
    best = trial.judge("as placed", copied(model))
    for method, found in (scales or {}).items():
        rescale_all(candidate := copied(model), found)
        best = trial.better(best, trial.judge(method, candidate))
    layers: dict[str, float] = {}
    if effort != "fast":
        start = copied(best.model)
        for name, fit in (("refined", False), ("refined and fitted", True)):
            candidate = copied(start)
            refined = refine(candidate, original, fitted, _with_fit(settings or Settings(), fit), progress)
            found = trial.judge(name, candidate)
            if trial.better(best, found) is found:
                best, layers = found, refined.layers
    take_contents(model, best.model)
    fallback = None if goal is None else fall_back(model, original, judged, goal, progress=progress)
    return Improved(best.name, trial.tried, layers, fallback)


def spread(samples: Sequence[Feeds], most: int) -> list[Feeds]:
    """All samples, or `most` of them at even distances: neighbours in a data set are often alike."""
    if len(samples) <= most:
        return list(samples)
    return [samples[number * len(samples) // most] for number in range(most)]


def split(samples: Sequence[Feeds]) -> tuple[list[Feeds], list[Feeds]]:
    """Samples to fit on and samples to judge by; both are all of them where there are too few to keep some apart."""
    if len(samples) < 2 * RESERVED:
        return list(samples), list(samples)
    fitted = [s for number, s in enumerate(samples) if number % RESERVED != RESERVED - 1]
    return fitted, list(samples[RESERVED - 1 :: RESERVED])


@dataclass(frozen=True)
class _Judged:
    name: str
    model: Model
    score: Score


class _Trial:
    def __init__(self, original: Model, samples: Sequence[Feeds]) -> None:
        self.samples = samples
        self.reference: Outputs = outputs_of(original, samples)
        self.tried: list[Candidate] = []

    def judge(self, name: str, model: Model) -> _Judged:
        found = score(self.reference, outputs_of(model, self.samples))
        self.tried.append(Candidate(name, found))
        return _Judged(name, model, found)

    def better(self, old: _Judged, new: _Judged) -> _Judged:
        return new if new.score.sqnr > old.score.sqnr + TIE else old


def _with_fit(settings: Settings, fit: bool) -> Settings:
    return Settings(rows=settings.rows, held_out=settings.held_out, affine=settings.affine, fit=fit)
