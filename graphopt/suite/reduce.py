"""Failing models made small: the few nodes, and their inputs, at which compiling fails as it does for the whole model.

Delta debugging (Zeller and Hildebrandt, "Simplifying and isolating failure-inducing input", 2002) that knows graphs: a
part of a model lies between values that are taken as given, of what they are in a run of the whole, and one that is
wanted. Halving finds the first value that fails, and the last values that need not be computed; then nodes are left out
one by one.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import onnx

from graphopt.data.sample import Array, Sample
from graphopt.errors import GraphoptError, UsageError
from graphopt.parity.part import Part, part_between, part_model, values_of
from graphopt.pipeline.output import staging
from graphopt.progress import SILENT, Progress, Task
from graphopt.suite.failure import DIED, Setting, failure_of, trial_of

SUITE = "suite.toml"


@dataclass(frozen=True)
class Reduced:
    """A model that fails, and is small.

    Attributes:
        feeds: its inputs.
        failure: what fails, in a sentence.
        nodes: how many the whole model had.
        trials: how many models were compiled on the way.
    """

    model: onnx.ModelProto
    feeds: Mapping[str, Array]
    failure: str
    nodes: int
    trials: int


def reduce_model(
    model: onnx.ModelProto, samples: Sequence[Sample], setting: Setting, progress: Progress = SILENT
) -> Reduced:
    """The smallest part of a model that was found to fail as the model does on one of the samples.

    Raises:
        UsageError: nothing fails.
        GraphoptError: the model or a sample is at fault.
    """
    with progress.task("reducing") as task:
        for sample in samples:
            reducer = _Reducer(model, sample, setting, task)
            if reducer.start():
                return reducer.run()
    raise UsageError("nothing fails", help="say the recipe, rules, data and shapes with which it does")


@dataclass(frozen=True)
class _Cut:
    """What lies between values that are known and values that are wanted."""

    wanted: tuple[str, ...]
    known: frozenset[str] = frozenset()


@dataclass
class _Reducer:
    model: onnx.ModelProto
    sample: Sample
    setting: Setting
    task: Task
    failure: str = ""
    trials: int = 0
    found: dict[_Cut, bool] = field(default_factory=dict[_Cut, bool])
    values: dict[str, Array] = field(default_factory=dict[str, Array])

    def start(self) -> bool:
        """Whether the whole model fails on the sample; its shapes are fixed to those of the sample from here on."""
        whole = self._made(self._whole())
        found = failure_of(trial_of(self.setting, *whole), apart=True) if whole is not None else None
        self.failure = found or ""
        return found is not None

    def run(self) -> Reduced:
        cut = self._first_value(self._one_output(self._whole()))
        cut = self._without_nodes(self._latest_inputs(cut))
        made = self._made(cut)
        assert made is not None
        return Reduced(*made, self.failure, len(self.model.graph.node), self.trials)

    def _whole(self) -> _Cut:
        return _Cut(tuple(o.name for o in self.model.graph.output))

    def _one_output(self, cut: _Cut) -> _Cut:
        singles = (_Cut((name,)) for name in cut.wanted)
        return next((single for single in singles if self._fails(single)), cut)

    def _first_value(self, cut: _Cut) -> _Cut:
        """The first value on the way to what is wanted at which the part above it fails."""
        order = [_Cut((name,)) for node in self._part(cut).nodes for name in node.output if name]
        return _first(order, self._fails) or cut

    def _latest_inputs(self, cut: _Cut) -> _Cut:
        """As many nodes as can be taken as given, counted from the first."""
        nodes = self._part(cut).nodes
        cuts = [self._knowing(cut, nodes[:count]) for count in range(len(nodes), -1, -1)]
        return _first(cuts, self._fails) or cut

    def _without_nodes(self, cut: _Cut) -> _Cut:
        """Nodes left out one by one, until none can be."""
        while True:
            smaller = (self._knowing(cut, [node]) for node in self._part(cut).nodes)
            better = next((one for one in smaller if self._fails(one)), None)
            if better is None:
                return cut
            cut = better

    def _knowing(self, cut: _Cut, nodes: Sequence[onnx.NodeProto]) -> _Cut:
        return _Cut(cut.wanted, cut.known | {name for node in nodes for name in node.output if name})

    def _part(self, cut: _Cut) -> Part:
        return part_between(self.model, cut.known, cut.wanted)

    def _fails(self, cut: _Cut) -> bool:
        if cut not in self.found:
            self.found[cut] = self._try(cut)
        return self.found[cut]

    def _try(self, cut: _Cut) -> bool:
        if cut.known.intersection(cut.wanted):
            return False
        try:
            made = self._made(cut)
            if made is None:
                return False
            self.trials += 1
            self.task.update(note=f"trial {self.trials}: {len(made[0].graph.node)} nodes")
            found = failure_of(trial_of(self.setting, *made), apart=self.failure == DIED)
        except GraphoptError:  # this part of the model cannot be run by itself
            return False
        return found == self.failure

    def _made(self, cut: _Cut) -> tuple[onnx.ModelProto, dict[str, Array]] | None:
        """The part as a model, and its inputs; None where one of them is no tensor."""
        part = self._part(cut)
        self.values.update(values_of(self.model, [n for n in part.reads if n not in self.values], self.sample))
        if not self.values.keys() >= set(part.reads):
            return None
        feeds = {name: self.values[name] for name in part.reads}
        return part_model(self.model, part, feeds, {name: name for name in cut.wanted}), feeds


def _first(cuts: Sequence[_Cut], fails: Callable[[_Cut], bool]) -> _Cut | None:
    """The first that fails, where those behind it fail as well; by halving. Where they do not, one that fails; None
    where none was found."""
    low, high, found = 0, len(cuts), None
    while low < high:
        middle = (low + high) // 2
        if fails(cuts[middle]):
            high, found = middle, cuts[middle]
        else:
            low = middle + 1
    return found


def write_case(reduced: Reduced, setting: Setting, output: Path) -> Path:
    """Write a folder that is a case of its own: the model, its inputs, recipe and rules, and a suite that runs it.

    Returns:
        the path of the suite.

    Raises:
        UsageError: the output is taken by something else.
        OutputError: it cannot be written.
    """
    with staging(output) as stage:
        folder = stage.folder
        (folder / "model.onnx").write_bytes(reduced.model.SerializeToString())
        (folder / "inputs").mkdir()
        np.savez(folder / "inputs" / "0.npz", **reduced.feeds)  # pyright: ignore[reportArgumentType]
        entry: dict[str, object] = {"name": "reduced", "models": ["model.onnx"], "data": ["inputs"]}
        if setting.recipe.endswith(".toml"):
            shutil.copyfile(setting.recipe, folder / "recipe.toml")
        entry["recipes"] = ["recipe.toml" if setting.recipe.endswith(".toml") else setting.recipe]
        entry["rules"] = [_copied(rules, folder / f"rules{number}") for number, rules in enumerate(setting.rules)]
        if setting.contract is not None:
            entry["contract"] = str(setting.contract)
        lines = [f"{key} = {json.dumps(value)}" for key, value in entry.items()]
        text = f"description = {json.dumps(reduced.failure)}\n\n[[entry]]\n" + "\n".join(lines) + "\n"
        (folder / SUITE).write_text(text, encoding="utf-8")
        stage.publish()
    return output / SUITE


def _copied(rules: Path, place: Path) -> str:
    """Rules as a folder of the case; its name there."""
    if rules.is_dir():
        shutil.copytree(rules, place)
    else:
        place.mkdir()
        shutil.copyfile(rules, place / rules.name)
    return place.name
