"""Making a quantized model as good as it gets: thresholds, then ranges, weights and biases, judged at the outputs.

What is tried is fitted on some of the samples and judged on others, kept apart for that.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence, Sized
from dataclasses import dataclass, field
from itertools import islice
from typing import TYPE_CHECKING, Any, Literal

from graphopt.data.sample import Feeds, Sample
from graphopt.errors import DataError, ParityError
from graphopt.graph.model import Model
from graphopt.progress import SILENT, Progress
from graphopt.quantization.contents import copied, take_contents
from graphopt.quantization.fallback import Fallback, Goal, fall_back
from graphopt.quantization.layers import layers
from graphopt.quantization.pairs import pairs, rescale_all
from graphopt.quantization.refine import Settings, refine
from graphopt.quantization.scale_sets import scale_sets
from graphopt.quantization.score import Outputs, Score, outputs_of, score, telling

if TYPE_CHECKING:
    from graphopt.calibration.statistics import Statistics

Effort = Literal["fast", "default"]

MOST = 48
"""Samples that are used at most."""

RESERVED = 4
"""Of how many samples one is kept apart to judge by."""

PLACED = "as placed"
FITTED = "refined and fitted"

FEW = 24
"""Samples up to which what was found best is done once more with all of them: a quarter less is felt."""

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

    def to_json(self) -> dict[str, Any]:
        """Figures for a report; what is infinite, since nothing differs, is left out."""
        found: dict[str, Any] = {
            "chosen": self.chosen,
            "candidates": [{"name": c.name, **_figures(c.score)} for c in self.candidates],
            "layers": [{"layer": name, "sqnr": round(value, 2)} for name, value in self.layers.items()],
        }
        if self.fallback is not None:
            fallback = self.fallback
            found["fallback"] = {
                "met": fallback.met,
                "float": fallback.kept,
                "ranking": [{"layer": s.label, "noise": s.noise} for s in fallback.ranking],
                "steps": [{"float": s.layers, "met": s.met, **_figures(s.score)} for s in fallback.steps],
            }
        return found


def _figures(found: Score) -> dict[str, float]:
    figures = {"sqnr": found.sqnr, "cosine": found.cosine, "agreement": found.agreement}
    return {name: round(value, 5) for name, value in figures.items() if math.isfinite(value)}


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
    samples = spread(samples, MOST)
    fitted, judged = split(samples)
    trial = _Trial(original, judged)
    best = trial.judge(PLACED, copied(model))
    for method, found in (scales or {}).items():
        rescale_all(candidate := copied(model), found)
        best = trial.better(best, trial.judge(method, candidate))
    refined_layers: dict[str, float] = {}
    if effort != "fast":
        start = copied(best.model)
        for name, fit in (("refined", False), (FITTED, True)):
            candidate = copied(start)
            refined = refine(candidate, original, fitted, _with_fit(settings or Settings(), fit), progress)
            found = trial.judge(name, candidate)
            if trial.better(best, found) is found:
                best, refined_layers = found, refined.layers
        if refined_layers and len(fitted) < len(samples) <= FEW:
            again = _with_fit(settings or Settings(), best.name == FITTED)
            refined_layers = refine(start, original, samples, again, progress).layers
            best = _Judged(best.name, start, best.score)
    take_contents(model, best.model)
    fallback = None if goal is None else fall_back(model, original, judged, goal, progress=progress)
    return Improved(best.name, trial.tried, refined_layers, fallback)


def refine_quantized(
    model: Model,
    original: Model,
    samples: Iterable[Sample],
    *,
    statistics: Statistics | None = None,
    effort: Effort = "default",
    least: Mapping[str, float | None] | None = None,
    progress: Progress = SILENT,
) -> tuple[bool, dict[str, Any]]:
    """`improve` with what a run has at hand; whether the model changed, and figures for the report, JSON-able.

    Args:
        statistics: of the float model, to choose thresholds from; None leaves them as they are.
        least: what the outputs must reach: "sqnr", "cosine", "agreement".

    Raises:
        DataError: a sample cannot be read, or there is none.
        ModelError: ONNX Runtime cannot run a part of one of the models.
        ParityError: what the outputs must reach is out of reach, with every layer in float.
    """
    names = [pair.source.name for pair in pairs(model) if pair.is_symmetric]
    if not names and not any(True for _ in layers(model)):
        return False, {"left out": "nothing is quantized"}
    scales = scale_sets(statistics, names) if statistics is not None else None
    asked = {key: value for key, value in (least or {}).items() if value is not None}
    goal = Goal(asked.get("sqnr"), asked.get("cosine"), asked.get("agreement")) if asked else None
    result = improve(model, original, take(samples, MOST), scales=scales, effort=effort, goal=goal, progress=progress)
    if result.fallback is not None and not result.fallback.met:
        raise _out_of_reach(asked, result.fallback)
    returned = result.fallback.kept if result.fallback is not None else []
    return result.chosen != PLACED or bool(returned), result.to_json()


def _out_of_reach(asked: Mapping[str, float], found: Fallback) -> ParityError:
    reached = found.steps[-1].score
    figures = {"sqnr": reached.sqnr, "cosine": reached.cosine, "agreement": reached.agreement}
    missed = ", ".join(f"{name} {figures[name]:.4g} for {least:.4g}" for name, least in asked.items())
    return ParityError(
        f"with all {len(found.kept)} quantized layers back in float, the outputs do not reach what is asked: {missed}",
        help="ask for less: what is added to or joined with a layer's result stays rounded",
    )


def take(samples: Iterable[Sample], most: int) -> list[Feeds]:
    """The inputs of `most` samples, from all over where it is known how many there are; no others are kept."""
    total = len(samples) if isinstance(samples, Sized) else getattr(samples, "len_hint", None)
    if total is None or total <= most:
        return [sample.arrays for sample in islice(samples, most)]
    wanted = {number * total // most for number in range(most)}
    return [sample.arrays for number, sample in enumerate(samples) if number in wanted]


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
        self.names = telling(original)
        self.reference: Outputs = outputs_of(original, samples, self.names)
        self.tried: list[Candidate] = []

    def judge(self, name: str, model: Model) -> _Judged:
        found = score(self.reference, outputs_of(model, self.samples, self.names))
        self.tried.append(Candidate(name, found))
        return _Judged(name, model, found)

    def better(self, old: _Judged, new: _Judged) -> _Judged:
        return new if new.score.sqnr > old.score.sqnr + TIE else old


def _with_fit(settings: Settings, fit: bool) -> Settings:
    return Settings(rows=settings.rows, held_out=settings.held_out, affine=settings.affine, fit=fit)
