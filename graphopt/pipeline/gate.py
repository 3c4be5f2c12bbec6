"""The gate: the graph of the moment against the original model, on the same samples."""

from __future__ import annotations

import tempfile
from pathlib import Path

from graphopt.errors import ParityError
from graphopt.graph.model import Model
from graphopt.graph.save import needs_external, save, to_bytes
from graphopt.parity.comparison import Comparison
from graphopt.parity.contract import EXACT, Contract
from graphopt.parity.reference import Reference
from graphopt.pipeline.passes import PassResult
from graphopt.progress import Progress


class Gate:
    """Compares what passes made with the original, held to the loosest contract of the passes so far."""

    def __init__(self, reference: Reference, progress: Progress) -> None:
        self._reference = reference
        self._progress = progress
        self.contract: Contract = EXACT

    def note(self, result: PassResult) -> None:
        """Take account of what a pass promised."""
        self.contract = self.contract.loosened(Contract(result.contract, result.error))

    def check(self, model: Model, stage: str) -> Comparison:
        """Compare the graph as it is now.

        Raises:
            ParityError: it is not as equal as was promised.
        """
        if needs_external(model):
            with tempfile.TemporaryDirectory(prefix="graphopt-") as folder:
                path = Path(folder) / "candidate.onnx"
                save(model, path)
                return self.check_file(path, stage)
        return self._judge(to_bytes(model), stage)

    def check_file(self, path: Path, stage: str) -> Comparison:
        """Compare a written model.

        Raises:
            ParityError: it is not as equal as was promised.
        """
        return self._judge(path, stage)

    def _judge(self, candidate: Path | bytes, stage: str) -> Comparison:
        found = self._reference.compare(candidate, self.contract, label=f"the model {stage}", progress=self._progress)
        if found.ok:
            return found
        problems = "\n  ".join(found.problems)
        raise ParityError(
            f"the model {stage} is not equal to the original within the contract {self.contract}\n  {problems}",
            help="nothing was written; --check each shows the first pass that departs, --skip RULE leaves a rule out",
        )
