"""Bisecting on request: a recipe against the original model, or against what another recipe makes of it."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from graphopt.backends.base import ProfileShape
from graphopt.backends.profiles import complete
from graphopt.graph.load import Overridable, load
from graphopt.graph.save import save
from graphopt.lang import tree
from graphopt.parity.contract import Contract
from graphopt.parity.model_interface import read_interface
from graphopt.parity.reference import Reference
from graphopt.parity.samples import parity_samples
from graphopt.parity.tolerance import Limits
from graphopt.pipeline.bisect import Culprit, find_culprit
from graphopt.pipeline.gate import Gate
from graphopt.pipeline.passes import Context
from graphopt.pipeline.recipe import Recipe
from graphopt.pipeline.replay import Replay
from graphopt.progress import SILENT, Progress


@dataclass(frozen=True)
class Request:
    """What to bisect.

    Attributes:
        source: the model's file.
        recipe: whose changes are searched.
        against: the recipe whose result is right; None for the original model.
        rules: every rule of the run.
        skip: names of the rules that are left out.
        data, shapes, samples: what is compared on, as for a compile.
        contract: how equal the two have to be; None: as the passes promise.
        limits: bounds to use instead of a contract's.
        fold_budget: bytes by which constants may outgrow the input's weights.
        overridable: what initializers that are also inputs are.
    """

    source: Path
    recipe: Recipe
    against: Recipe | None = None
    rules: Sequence[tree.Rule] = ()
    skip: Sequence[str] = ()
    data: str | None = None
    shapes: Mapping[str, ProfileShape] = field(default_factory=dict[str, ProfileShape])
    samples: int | None = None
    contract: Contract | None = None
    limits: Limits | None = None
    fold_budget: int = 1 << 20
    overridable: Overridable = "auto"


def bisect(request: Request, progress: Progress = SILENT) -> Culprit | None:
    """The first change of a recipe's run after which the model departs; None where it does not.

    Raises:
        NotRunnable: ONNX Runtime cannot run the model.
        DataError: there are no samples that it takes.
        RewriteError: a pass could not go on.
    """
    afresh = partial(load, request.source, overridable=request.overridable)
    context = Context(
        request.rules, source_bytes=afresh().weight_bytes(), fold_budget=request.fold_budget, skipped=request.skip
    )
    replay = Replay(afresh, context, request.recipe)
    contract = request.contract or replay.promised
    with ExitStack() as held:
        right = request.source
        if request.against is not None:
            other = Replay(afresh, context, request.against)
            contract = request.contract or contract.loosened(other.promised)
            right = Path(held.enter_context(tempfile.TemporaryDirectory(prefix="graphopt-"))) / "model.onnx"
            save(other.until(len(other.events())), right)
        reference = held.enter_context(_reference(request, right, progress))
        gate = Gate(reference, progress, limits=request.limits)
        return find_culprit(
            replay, lambda graph: gate.compare(graph, contract, "the model"), gate.samples, progress=progress
        )


def _reference(request: Request, model: Path, progress: Progress) -> Reference:
    values = complete(read_interface(request.source, str(request.source)), request.shapes).values
    drawn = parity_samples(
        request.source,
        data=request.data,
        profiles={n: s for n, s in request.shapes.items() if n not in values},
        values=values,
        count=request.samples,
        overridable=request.overridable,
        progress=progress,
    )
    return Reference(model, drawn.samples, overridable=request.overridable, progress=progress)
