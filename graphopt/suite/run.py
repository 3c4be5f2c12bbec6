"""One case: compiled, compared, measured, and held to what is expected."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from graphopt.backends.base import ProfileShape
from graphopt.backends.profiles import complete, parse_shape_options
from graphopt.data.sample import Sample
from graphopt.errors import GraphoptError
from graphopt.parity.compare import compare_models
from graphopt.parity.comparison import Comparison
from graphopt.parity.contract import Contract
from graphopt.parity.model_interface import read_interface
from graphopt.parity.runners import Runner
from graphopt.pipeline.compile import Options, compile_model
from graphopt.pipeline.recipe import Recipe
from graphopt.pipeline.result import CompileResult
from graphopt.suite.cases import Case, call, provide
from graphopt.suite.quality import Outputs, label_figures, rows, top1_agreement

Say = Callable[[str], None]

MOST_SAMPLES = 1000
"""Samples of data with labels that are run, if the case says no number."""


@dataclass(frozen=True)
class CaseResult:
    """What came of a case.

    Attributes:
        figures: by name, as the lock file keeps them; those that differ from run to run apart.
        unsteady: times.
        problems: what did not hold, a sentence each.
        error: why there are no figures, if so.
    """

    name: str
    figures: dict[str, float] = field(default_factory=dict[str, float])
    unsteady: dict[str, float] = field(default_factory=dict[str, float])
    problems: tuple[str, ...] = ()
    error: str | None = None
    cached: bool = False

    @property
    def ok(self) -> bool:
        return not self.problems and self.error is None

    def to_json(self) -> dict[str, Any]:
        return {**asdict(self), "ok": self.ok, "problems": list(self.problems)}


def run_case(case: Case, say: Say = lambda _: None) -> CaseResult:
    """Compile a case and look at everything that is expected of it."""
    with tempfile.TemporaryDirectory(prefix="graphopt-suite-") as folder:
        try:
            return _run(case, Path(folder), say)
        except GraphoptError as error:
            return CaseResult(case.name, error=str(error))


def _run(case: Case, folder: Path, say: Say) -> CaseResult:
    say("making the model")
    source = provide(case.model, folder)
    say("compiling")
    options = Options(
        recipe=Recipe.load(case.recipe),
        targets=(case.target,),
        data=case.data,
        shapes=_shapes(case),
        rules=[Path(rule) for rule in case.rules],
        allow_unproved=True,
        on_parity_failure="warn",
        samples=case.samples,
        latency=case.expect.max_latency_ratio is not None,
    )
    result = compile_model(source, folder / "out", options)
    compiled = folder / "out" / "model.onnx"
    comparison = result.parity
    if case.contract is not None:
        say("comparing")
        comparison = _by_contract(case, source, compiled)
    figures = dict(_figures(result, comparison))
    say("measuring")
    if _wants_outputs(case):
        figures |= dict(_quality(case, source, compiled))
    unsteady = {f"latency-ratio-{x.settings}": x.ratio for x in result.latency}
    problems = (*_departures(result, comparison), *_unmet(case, figures, unsteady, result))
    return CaseResult(case.name, figures, unsteady, problems)


def _shapes(case: Case) -> dict[str, ProfileShape]:
    return parse_shape_options(case.shape_options)


def _by_contract(case: Case, source: Path, compiled: Path) -> Comparison:
    assert case.contract is not None
    given = _shapes(case)
    values = complete(read_interface(source, str(source)), given).values
    return compare_models(
        source,
        compiled,
        case.data,
        Contract.parse(case.contract),
        profiles={name: shape for name, shape in given.items() if name not in values},
        values=values,
        count=case.samples,
    )


# --- figures ---


def _figures(result: CompileResult, comparison: Comparison | None) -> Iterator[tuple[str, float]]:
    yield "nodes", result.after.nodes
    yield "macs", result.after.macs
    yield "bytes", result.after.file_bytes or 0
    yield "built", len(result.artifacts)
    if comparison is None or not comparison.outputs:
        return
    found = [o.figures for o in comparison.outputs if o.judged]
    yield "max-abs", _worst([f.max_abs for f in found])
    yield "max-rel", _worst([f.max_rel for f in found])
    finite = [f.sqnr_db for f in found if np.isfinite(f.sqnr_db)]
    if finite:  # equal outputs have no noise
        yield "sqnr", min(finite)
    yield "cosine", min((f.cosine for f in found if np.isfinite(f.cosine)), default=1.0)


def _worst(values: list[float]) -> float:
    return max((v for v in values if np.isfinite(v)), default=0.0)


def _wants_outputs(case: Case) -> bool:
    return bool(case.metrics) or case.labels is not None or case.expect.min_top1_agreement is not None


def _quality(case: Case, source: Path, compiled: Path) -> Iterator[tuple[str, float]]:
    """Figures that need the outputs of both models on the data."""
    original, found = (_outputs(case, source, model) for model in (source, compiled))
    output = case.labels.output if case.labels is not None else None
    if case.expect.min_top1_agreement is not None:
        yield "top1-agreement", top1_agreement(rows(original, output), rows(found, output))
    if case.labels is not None:
        labels = np.load(case.folder / case.labels.file, allow_pickle=False).reshape(-1)
        scores = rows(found, output)
        known = labels[: len(scores)]
        yield from label_figures(scores[: len(known)], known).items()
        yield "top1-original", label_figures(rows(original, output)[: len(known)], known)["top1"]
    for metric in case.metrics:
        file, function = metric.use.rsplit(":", 1)
        yield metric.name, float(call(f"{case.folder / file}:{function}", original, found))


def _outputs(case: Case, source: Path, model: Path) -> Outputs:
    with Runner(model, str(model)) as runner:
        return [runner.run(sample) for sample in case_samples(case, source)]


def case_samples(case: Case, source: Path) -> Iterator[Sample]:
    """What the outputs of a case are taken on: its data, else samples that are made."""
    if case.data is not None:
        from graphopt.data.sources import open_source

        interface = read_interface(source, str(source))
        yield from islice(open_source(case.data, interface), case.samples or MOST_SAMPLES)
        return
    from graphopt.parity.samples import parity_samples

    given = _shapes(case)
    values = complete(read_interface(source, str(source)), given).values
    profiles = {name: shape for name, shape in given.items() if name not in values}
    yield from parity_samples(source, profiles=profiles, values=values, count=case.samples).samples


# --- what did not hold ---


def _departures(result: CompileResult, comparison: Comparison | None) -> Iterator[str]:
    if comparison is None:
        yield f"parity could not be checked: {result.parity_skipped}"
    elif not comparison.ok:
        yield from comparison.problems
        yield from (note for note in result.notes if "what breaks it" in note)


def _unmet(case: Case, figures: dict[str, float], unsteady: dict[str, float], result: CompileResult) -> Iterator[str]:
    expect, labels = case.expect, case.labels
    bounds: list[tuple[str, float | None, float | None]] = [
        ("max-abs", None, expect.max_abs),
        ("max-rel", None, expect.max_rel),
        ("sqnr", expect.min_sqnr, None),
        ("cosine", expect.min_cosine, None),
        ("top1-agreement", expect.min_top1_agreement, None),
        ("nodes", None, expect.max_nodes),
        ("macs", None, expect.max_macs),
        ("bytes", None, expect.max_bytes),
        ("latency-ratio-default", None, expect.max_latency_ratio),
        *((m.name, m.min, m.max) for m in case.metrics),
    ]
    if labels is not None:
        bounds += [(n, getattr(labels, f"min_{n}"), None) for n in ("top1", "top5", "f1", "precision", "recall")]
        if labels.max_drop is not None:
            bounds.append(("top1", figures["top1-original"] - labels.max_drop, None))
    known = {**figures, **unsteady}
    for name, low, high in bounds:
        value = known.get(name)
        if value is not None and low is not None and value < low:
            yield f"{name} is {value:.6g}, at least {low:.6g} is expected"
        if value is not None and high is not None and value > high:
            yield f"{name} is {value:.6g}, at most {high:.6g} is expected"
    if expect.build and not result.artifacts:
        yield f"nothing was built for {case.target}"
