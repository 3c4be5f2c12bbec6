"""The gate: the graph of the moment against the original model, on the same samples."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from graphopt.data.sample import Sample
from graphopt.errors import ParityError
from graphopt.graph.model import Model
from graphopt.graph.save import needs_external, save, to_bytes
from graphopt.parity.comparison import Comparison
from graphopt.parity.contract import EXACT, Contract
from graphopt.pipeline.passes import PassResult
from graphopt.progress import Progress

if TYPE_CHECKING:
    from graphopt.parity.reference import Reference
    from graphopt.parity.tolerance import Limits


class Departure(ParityError):
    """A graph that is not as equal to the original as was promised.

    Attributes:
        comparison: what was found.
        contract: what was promised.
    """

    def __init__(self, comparison: Comparison, contract: Contract, stage: str) -> None:
        problems = "\n  ".join(comparison.problems)
        super().__init__(
            f"the model {stage} is not equal to the original within the contract {contract}\n  {problems}",
            help="nothing was written; --check each shows the first pass that departs, --skip RULE leaves a rule out",
        )
        self.comparison = comparison
        self.contract = contract


class Gate:
    """Compares what passes made with the original, held to the loosest contract of the passes so far.

    `limits` are held to in place of contracts. With `stops` False it lets everything through, and keeps the first
    departure in `departed`.
    """

    def __init__(
        self, reference: Reference, progress: Progress, *, stops: bool = True, limits: Limits | None = None
    ) -> None:
        self._reference = reference
        self._progress = progress
        self._stops = stops
        self._limits = limits
        self.contract: Contract = EXACT
        self.departed: Departure | None = None

    @property
    def samples(self) -> tuple[Sample, ...]:
        """What is compared on."""
        return self._reference.samples

    def restarted(self) -> Gate:
        """A gate by the same original, for a run from the beginning."""
        return Gate(self._reference, self._progress, stops=self._stops, limits=self._limits)

    def note(self, result: PassResult) -> None:
        """Take account of what a pass promised."""
        self.contract = self.contract.loosened(Contract(result.contract, result.error))

    def check(self, model: Model, stage: str) -> Comparison:
        """Compare the graph as it is now.

        Raises:
            Departure: it is not as equal as was promised.
        """
        return self._judge(self.compare(model, self.contract, f"the model {stage}"), stage)

    def check_file(self, path: Path, stage: str) -> Comparison:
        """Compare a written model.

        Raises:
            Departure: it is not as equal as was promised.
        """
        return self._judge(self._compare(path, self.contract, f"the model {stage}"), stage)

    def compare(self, model: Model, contract: Contract, label: str) -> Comparison:
        """Figures and verdict of a graph, whatever they are."""
        if not needs_external(model):
            return self._compare(to_bytes(model), contract, label)
        with tempfile.TemporaryDirectory(prefix="graphopt-") as folder:
            path = Path(folder) / "candidate.onnx"
            save(model, path)
            return self._compare(path, contract, label)

    def _compare(self, candidate: Path | bytes, contract: Contract, label: str) -> Comparison:
        return self._reference.compare(candidate, contract, limits=self._limits, label=label, progress=self._progress)

    def _judge(self, found: Comparison, stage: str) -> Comparison:
        if not found.ok:
            departure = Departure(found, self.contract, stage)
            if self._stops:
                raise departure
            self.departed = self.departed or departure
        return found
