"""Two models, compared from their files."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path

from graphopt.data.facts import ProfileShape
from graphopt.data.sample import Sample
from graphopt.parity.comparison import Comparison
from graphopt.parity.contract import REAL, Contract
from graphopt.parity.model_interface import read_interface
from graphopt.parity.reference import Reference
from graphopt.parity.samples import parity_samples
from graphopt.parity.tolerance import Limits
from graphopt.progress import SILENT, Progress


def compare_models(
    reference: Path,
    candidate: Path,
    data: str | Path | None = None,
    contract: Contract = REAL,
    *,
    profiles: Mapping[str, ProfileShape] | None = None,
    values: Mapping[str, ProfileShape] | None = None,
    count: int | None = None,
    limits: Limits | None = None,
    seen: list[Sample] | None = None,
    progress: Progress = SILENT,
) -> Comparison:
    """Run both models on the same samples and compare all outputs; see `parity_samples` for the arguments.
    The samples are appended to `seen`.

    Differences of the interfaces are failures of the comparison, and so is a candidate that fails where the reference
    runs.

    Raises:
        NotRunnable: ONNX Runtime cannot run one of the models.
        ModelError: one of the files is no model, or the reference is no valid one.
        DataError: there are no samples that it takes.
    """
    read_interface(candidate, str(candidate))  # what is no model is bad input, not a difference
    chosen = parity_samples(
        reference, data, profiles=profiles, values=values, count=count, label=str(reference), progress=progress
    )
    if seen is not None:
        seen.extend(chosen.samples)
    with Reference(reference, chosen.samples, label=str(reference), progress=progress) as original:
        found = original.compare(candidate, contract, limits=limits, label=str(candidate), progress=progress)
    return dataclasses.replace(found, notes=(*chosen.notes, *found.notes))
