"""How far the original's own outputs move when it is disturbed, measured when asked for and remembered."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from graphopt.data.sample import Sample
from graphopt.errors import GraphoptError
from graphopt.parity.disturb import disturbed_model, disturbed_sample
from graphopt.parity.figures import Figures, compare_outputs
from graphopt.parity.runners import Outputs, Runner
from graphopt.parity.store import ArrayStore

RUNS = 8
"""Disturbances at most. A rounding error as large as one that a disturbance causes passes none of 8 equally likely ones
once in 256 times; those of sound rewrites are a tenth as large."""

Moved = Mapping[str, Figures] | None
"""Figures by output of a disturbed run against the undisturbed; None where the disturbed model does not run."""


class Disturbances:
    """Disturbed runs of one model by sample and seed."""

    def __init__(
        self, model: Path | bytes, samples: Sequence[Sample], outputs: Sequence[Outputs], store: ArrayStore
    ) -> None:
        self._model = model
        self._samples = samples
        self._outputs = outputs
        self._store = store
        self._moved: dict[tuple[int, int], Moved] = {}

    def measure(self, seed: int, samples: Sequence[int]) -> list[Moved]:
        """Run the samples, by their index, with the weights and inputs that the seed disturbs."""
        missing = [index for index in samples if (index, seed) not in self._moved]
        if missing:
            self._run(seed, missing)
        return [self._moved[index, seed] for index in samples]

    def _run(self, seed: int, samples: Sequence[int]) -> None:
        disturbed = disturbed_model(self._model, seed, self._store.folder)
        self._moved |= dict.fromkeys([(index, seed) for index in samples])
        with (
            suppress(GraphoptError),  # a weight that was checked on loading, say, no longer is what it must be
            Runner(self._model if disturbed is None else disturbed, "the disturbed model") as runner,
        ):
            for index in samples:
                self._moved[index, seed] = self._run_one(runner, seed, index)
        if isinstance(disturbed, Path):
            disturbed.unlink()
            disturbed.with_name(f"{disturbed.name}.data").unlink(missing_ok=True)

    def _run_one(self, runner: Runner, seed: int, index: int) -> Moved:
        try:
            outputs = runner.run(disturbed_sample(self._samples[index], seed))
        except GraphoptError:
            return None  # an input that stands for a size, say, no longer is one
        return {name: compare_outputs(value, outputs[name]) for name, value in self._outputs[index].items()}
