"""From figures to a verdict: each output on each sample is held to what rounding can do to the original's."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from graphopt.parity.comparison import OutputFigures
from graphopt.parity.contract import REAL, Contract
from graphopt.parity.disturbances import RUNS, Disturbances
from graphopt.parity.figures import EQUAL, Figures, worst
from graphopt.parity.runners import Outputs
from graphopt.parity.tolerance import (
    Limits,
    Tolerance,
    base_tolerance,
    grain,
    is_chaotic,
    limits_tolerance,
    magnitude,
)
from graphopt.progress import Progress


@dataclass(frozen=True)
class Evidence:
    """What is known of the original.

    Attributes:
        samples: names, in order.
        outputs: of each sample.
        unsteady: figures of outputs that differed when the first sample was run twice.
        constant: outputs that are the same whatever goes in.
        short: whether it holds float16 or bfloat16, whose roundings ONNX Runtime leaves out where it can.
        disturbances: what its outputs do when it is disturbed.
    """

    samples: Sequence[str]
    outputs: Sequence[Outputs]
    unsteady: Mapping[str, Figures]
    constant: frozenset[str]
    short: bool
    disturbances: Disturbances

    def is_random(self, name: str) -> bool:
        """Whether two runs differ by more than rounding."""
        found = self.unsteady.get(name)
        if found is None:
            return False
        size = magnitude([self.outputs[0][name]], [found])
        return not base_tolerance(REAL, size, found.elements).allows(found)

    def grain(self, name: str) -> float:
        """The finest step of an output over all samples; 0 where it is not computed in steps."""
        steps = [step for outputs in self.outputs if (step := grain(outputs[name]))]
        return min(steps, default=0.0)


@dataclass
class _Trial:
    """One output on one sample."""

    name: str
    sample: int
    figures: Figures
    base: Tolerance
    floats: bool
    tolerance: Tolerance = field(init=False)
    moved: Figures = EQUAL

    def __post_init__(self) -> None:
        self.tolerance = self.base

    @property
    def drowned(self) -> bool:
        """Whether the original's own output is lost in rounding."""
        return is_chaotic(self.moved, floats=self.floats)

    @property
    def ok(self) -> bool:
        return self.drowned or self.tolerance.allows(self.figures)

    def widen(self, moved: Figures, runs: int) -> None:
        self.moved = worst([self.moved, moved])
        self.tolerance = self.base.widened(self.moved, runs)

    def refine(self, grain: float) -> None:
        self.base = self.tolerance = self.base.grained(grain)


def judge(
    evidence: Evidence,
    figures: Sequence[Mapping[str, Figures]],
    contract: Contract,
    limits: Limits | None,
    progress: Progress,
) -> tuple[OutputFigures, ...]:
    """Verdicts on every output; `figures` are of each sample, by output."""
    trials = {name: _trials(evidence, figures, name, contract, limits) for name in figures[0]}
    if limits is None:
        judged = [t for name, found in trials.items() if not evidence.is_random(name) for t in found]
        _widen(evidence, [trial for trial in judged if not trial.base.bitwise], progress)
    return tuple(_verdict(evidence, name, found) for name, found in trials.items())


def _trials(
    evidence: Evidence, figures: Sequence[Mapping[str, Figures]], name: str, contract: Contract, limits: Limits | None
) -> list[_Trial]:
    found = [by_name[name] for by_name in figures]
    size = magnitude((outputs[name] for outputs in evidence.outputs), found)
    unknowable = name in evidence.unsteady or (evidence.short and size.is_float)
    held_to = REAL if contract.kind == "exact" and unknowable else contract
    return [
        _Trial(
            name=name,
            sample=index,
            figures=one,
            base=limits_tolerance(limits, size) if limits else base_tolerance(held_to, size, one.elements),
            floats=size.is_float,
        )
        for index, one in enumerate(found)
    ]


def _widen(evidence: Evidence, trials: Sequence[_Trial], progress: Progress) -> None:
    """Disturb the original, once more each time, until all pass or it has been enough."""
    for name in dict.fromkeys(trial.name for trial in trials if not trial.ok):
        step = evidence.grain(name)
        for trial in trials:
            if trial.name == name:
                trial.refine(step)
    with progress.task("measure what rounding does to the original", RUNS) as task:
        for seed in range(RUNS):
            pending = [trial for trial in trials if not trial.ok]
            if not pending:
                return
            task.update(done=seed)
            samples = sorted({trial.sample for trial in pending})
            moved = dict(zip(samples, evidence.disturbances.measure(seed, samples), strict=True))
            for trial in pending:
                by_name = moved[trial.sample]
                if by_name is not None:
                    trial.widen(by_name[trial.name], seed + 1)


def _verdict(evidence: Evidence, name: str, trials: Sequence[_Trial]) -> OutputFigures:
    heard = [trial for trial in trials if not trial.drowned]
    decisive = max(heard or trials, key=lambda trial: trial.tolerance.excess(trial.figures))
    random = evidence.is_random(name)
    return OutputFigures(
        name=name,
        figures=worst(trial.figures for trial in trials),
        decisive=decisive.figures,
        tolerance=decisive.tolerance,
        sample=evidence.samples[decisive.sample],
        ok=random or all(trial.ok for trial in trials),
        judged=bool(heard) and not random,
        note=_note(evidence, name, trials),
    )


def _note(evidence: Evidence, name: str, trials: Sequence[_Trial]) -> str | None:
    if evidence.is_random(name):
        return "not judged, since two runs of the original differ (does it draw random numbers?)"
    drowned = [evidence.samples[trial.sample] for trial in trials if trial.drowned]
    if drowned:
        where = "" if len(drowned) == len(trials) else f" on {', '.join(drowned)}"
        return f"not judged{where}, since rounding alone moves the original's own output by more than a tenth"
    excused = [trial for trial in trials if trial.ok and not trial.base.allows(trial.figures)]
    if any(trial.figures.structure for trial in excused):
        return "its shape differs, but that of the original changes as well when it is disturbed in its last bits"
    mismatches = sum(trial.figures.mismatches for trial in excused)
    if mismatches:
        return f"{mismatches} elements differ; as many of the original's flip when it is disturbed in its last bits"
    if name in evidence.unsteady:
        return "two runs of the original differ by rounding, so that equal bits could not be asked for"
    if name in evidence.constant:
        return "the same for all samples of a shape, so that its equality says little"
    return None
