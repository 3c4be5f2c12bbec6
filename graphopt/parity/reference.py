"""The original model's outputs, and the judgement of candidates by them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import ExitStack
from itertools import pairwise
from pathlib import Path
from types import TracebackType
from typing import Self

from graphopt.data.sample import Sample
from graphopt.errors import DataError, ModelError
from graphopt.graph.interface import Interface
from graphopt.graph.load import Overridable
from graphopt.parity.comparison import Comparison
from graphopt.parity.contract import REAL, Contract
from graphopt.parity.disturbances import Disturbances
from graphopt.parity.figures import Figures, compare_outputs
from graphopt.parity.interfaces import interface_differences
from graphopt.parity.judgement import Evidence, judge
from graphopt.parity.model_interface import (
    draws_numbers,
    effective_interface,
    holds_short_floats,
    read_interface,
    read_model,
)
from graphopt.parity.refusals import RunError
from graphopt.parity.runners import Outputs, Runner
from graphopt.parity.spelled import spelled_out
from graphopt.parity.store import MEMORY_LIMIT, ArrayStore
from graphopt.parity.tolerance import Limits
from graphopt.progress import SILENT, Progress


class Reference:
    """A model that was run once on every sample; its inputs and outputs are kept (on disk where they are large).

    A context manager: its temporary folder goes with it.

    Raises:
        NotRunnable: ONNX Runtime cannot run the model at all.
        ModelError: ONNX Runtime takes it for invalid.
        RunError: it fails on a sample.
        DataError: there are no samples, or one cannot be read.
    """

    def __init__(
        self,
        model: Path | bytes,
        samples: Iterable[Sample],
        *,
        label: str = "the original model",
        overridable: Overridable = "auto",
        progress: Progress = SILENT,
        memory_limit: int = MEMORY_LIMIT,
    ) -> None:
        self.model = model
        proto = read_model(model, label)
        self.interface: Interface = effective_interface(proto, overridable)
        self._may_draw = draws_numbers(proto)
        short = holds_short_floats(proto)
        del proto  # it may hold weights of gigabytes
        self._store = ArrayStore(memory_limit)
        self._samples: list[Sample] = []
        self._outputs: list[Outputs] = []
        try:
            unsteady = self._run(samples, label, progress)
        except BaseException:
            self.close()
            raise
        self._evidence = Evidence(
            samples=[sample.name for sample in self._samples],
            outputs=self._outputs,
            unsteady=unsteady,
            constant=_constant_outputs(self._outputs),
            short=short,
            disturbances=Disturbances(model, self._samples, self._outputs, self._store),
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Forget the outputs and remove what was written."""
        self._samples.clear()
        self._outputs.clear()
        self._store.close()

    @property
    def samples(self) -> tuple[Sample, ...]:
        """What it was run on, in order."""
        return tuple(self._samples)

    @property
    def outputs(self) -> tuple[Outputs, ...]:
        """Its outputs on each sample."""
        return tuple(self._outputs)

    @property
    def shapes(self) -> tuple[Mapping[str, tuple[int, ...]], ...]:
        """The different input shapes among the samples."""
        different = {tuple(sample.shapes.items()): sample.shapes for sample in self._samples}
        return tuple(different.values())

    def compare(
        self,
        candidate: Path | bytes,
        contract: Contract = REAL,
        *,
        limits: Limits | None = None,
        label: str = "the rewritten model",
        progress: Progress = SILENT,
    ) -> Comparison:
        """Run a candidate on the same samples and judge its outputs.

        A candidate that does not load, fails on a sample, or has another interface is a failure of the comparison.

        Args:
            contract: what its outputs are held to.
            limits: bounds to use instead of the contract's.

        Raises:
            NotRunnable: ONNX Runtime lacks something that the candidate needs, so that it cannot be judged.
        """
        failures: list[str] = []
        notes: list[str] = []
        figures: list[dict[str, Figures]] = []
        try:
            interface = read_interface(candidate, label)
            differences = interface_differences(self.interface, interface)
            failures += differences.failures
            notes += differences.notes
            if {i.name for i in interface.inputs} <= {i.name for i in self.interface.inputs}:
                figures = self._figures(candidate, label, progress)
        except (ModelError, RunError) as error:
            failures.append(f"{error.message} (at: {error.where})" if error.where else error.message)
        outputs = judge(self._evidence, figures, contract, limits, progress) if figures else ()
        notes += [f"output {o.name!r}: {o.note}" for o in outputs if o.note]
        return Comparison(limits or contract, outputs, len(self._samples), self.shapes, tuple(failures), tuple(notes))

    def _run(self, samples: Iterable[Sample], label: str, progress: Progress) -> dict[str, Figures]:
        """Run and keep; gives the outputs that differ between two runs of a sample: of the first one, or of all where
        an operator may draw numbers, since an input may say whether it does."""
        unsteady: dict[str, Figures] = {}
        with Runner(self.model, label) as runner, progress.task("run the original", None) as task:
            for sample in samples:
                outputs = runner.run(sample)
                if self._may_draw or not self._samples:
                    again = runner.run(sample)
                    pairs = {name: compare_outputs(value, again[name]) for name, value in outputs.items()}
                    unsteady = {n: f for n, f in pairs.items() if not f.bitwise} | unsteady
                self._samples.append(Sample(sample.name, self._store.keep(dict(sample.arrays))))
                self._outputs.append(self._store.keep(outputs))
                task.update(done=len(self._samples))
        if not self._samples:
            raise DataError("there are no samples to compare on", help="give data that holds at least one")
        return unsteady

    def _figures(self, candidate: Path | bytes, label: str, progress: Progress) -> list[dict[str, Figures]]:
        """Of each sample. What the candidate rounds to a short type, and the original does not, counts."""
        found: list[dict[str, Figures]] = []
        with ExitStack() as held:
            if not self._evidence.short:
                candidate = held.enter_context(spelled_out(candidate, label))
            runner = held.enter_context(Runner(candidate, label))
            task = held.enter_context(progress.task("compare", len(self._samples)))
            for sample, reference in zip(self._samples, self._outputs, strict=True):
                outputs = runner.run(sample)
                found.append({n: compare_outputs(v, outputs[n]) for n, v in reference.items() if n in outputs})
                task.update(done=len(found))
        return found


def _constant_outputs(outputs: Sequence[Outputs]) -> frozenset[str]:
    """Outputs that are the same whatever goes in, as far as samples of the same shape show it."""
    constant: set[str] = set()
    for name in outputs[0]:
        pairs = [compare_outputs(first[name], second[name]) for first, second in pairwise(outputs)]
        alike = [pair for pair in pairs if pair.structure is None]
        if alike and all(pair.bitwise for pair in alike):
            constant.add(name)
    return frozenset(constant)
