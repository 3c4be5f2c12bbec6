"""One export: the exporters in turn, until one makes a model that is the module."""

from __future__ import annotations

import shutil
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import torch
from torch.jit._trace import TracerWarning

from graphopt.errors import ExportError, ModelError, ParityError
from graphopt.exporting.arrays import dtype_of
from graphopt.exporting.call import Call
from graphopt.exporting.exporters import EXPORTERS, ExporterRefused, Order, refusals
from graphopt.exporting.noise import Noise, caught
from graphopt.exporting.tidy import doubt_shapes, tidy
from graphopt.exporting.user_code import is_user_file, shown
from graphopt.exporting.verify import OutputsDiffer, trials_of, varying_axes, verify_interface, verify_outputs
from graphopt.graph.interface import TensorSpec
from graphopt.graph.load import load
from graphopt.graph.save import save
from graphopt.parity.comparison import Comparison
from graphopt.progress import Progress


@dataclass(frozen=True)
class Made:
    """A model that was made and agrees with the module.

    Attributes:
        path: its file; weights of more than 2 GB lie beside it.
        exporter: which made it.
        fallback: why the first one did not, in one line; None if it did.
        opset: the version that was written.
        inputs, outputs: as `x: float32[batch,3]`.
        comparison: of its outputs with the module's.
        warnings: what the exporter warned of that the user should know.
    """

    path: Path
    exporter: str
    fallback: str | None
    opset: int
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    comparison: Comparison
    warnings: tuple[str, ...]


class Maker:
    """Exports one call of a module, as ordered, into a folder."""

    def __init__(
        self, call: Call, wanted: Mapping[str, torch.Tensor], order: Order, folder: Path, progress: Progress
    ) -> None:
        self._call = call
        self._wanted = tuple(wanted)
        self._trials = trials_of(call, wanted, order)
        self._order = order
        self._folder = folder
        self._progress = progress

    def make(self, exporters: Sequence[str]) -> Made:
        """The model of the first of these exporters that manages.

        Raises:
            ParityError: a model was made, and its outputs are not the module's.
            ExportError: no model could be made.
        """
        refused: dict[str, ExporterRefused] = {}
        noises: list[str] = []
        for exporter in exporters:
            noise = Noise()
            try:
                with self._progress.task(f"export {self._call.title} ({exporter} exporter)"), caught(noise):
                    path, told = self._export(exporter, noise)
                with self._progress.task(f"compare with {self._call.title}"), caught(noise):
                    comparison = self._verified(path, suspect=bool(told))
                return self._made(path, exporter, refused, comparison, told)
            except ExporterRefused as error:
                refused[exporter] = error
                noises.append(noise.text)
        raise self._failure(refused, noises)

    def _export(self, exporter: str, noise: Noise) -> tuple[Path, tuple[str, ...]]:
        """The model file, tidied, and what the exporter told of it."""
        if exporter == "dynamo" and find_spec("onnxscript") is None:
            raise ExporterRefused("it needs onnxscript, which is not installed: pip install 'graphopt[torch]'")
        raw = self._folder / exporter / "raw" / "model.onnx"
        raw.parent.mkdir(parents=True)
        with refusals():
            EXPORTERS[exporter](self._call, self._order, raw)
        try:
            model = load(raw)
        except ModelError as error:
            raise ExporterRefused(f"its model is faulty: {error.message}") from error
        specs = [_spec(name, t, self._order) for name, t in zip(self._call.names, self._call.tensors, strict=True)]
        tidy(model, specs, self._wanted, by_name=exporter == "legacy")
        if self._order.dynamic:
            doubt_shapes(model, varying_axes(self._trials))
        verify_interface(model, self._order)
        path = self._folder / exporter / "model.onnx"
        save(model, path)
        shutil.rmtree(raw.parent)
        return path, _told(noise.warnings)

    def _verified(self, path: Path, *, suspect: bool) -> Comparison:
        return verify_outputs(self._call, self._trials, path, suspect=suspect, progress=self._progress)

    def _made(
        self,
        path: Path,
        exporter: str,
        refused: Mapping[str, ExporterRefused],
        comparison: Comparison,
        told: tuple[str, ...],
    ) -> Made:
        model = load(path)
        return Made(
            path=path,
            exporter=exporter,
            fallback=next((str(error) for error in refused.values()), None),
            opset=model.opset,
            inputs=tuple(map(repr, model.graph.inputs)),
            outputs=tuple(map(repr, model.graph.outputs)),
            comparison=comparison,
            warnings=told,
        )

    def _failure(self, refused: Mapping[str, ExporterRefused], noises: Sequence[str]) -> ExportError | ParityError:
        reasons = "\n".join(f"  {exporter}: {error}" for exporter, error in refused.items())
        title = self._call.title
        if any(isinstance(error, OutputsDiffer) for error in refused.values()):
            failure = ParityError(f"the exported model of {title} gives other outputs than the module\n{reasons}")
        else:
            failure = ExportError(f"{title} could not be exported\n{reasons}")
        failure.help = next((error.help for error in refused.values() if error.help), None)
        if failure.help is None and self._order.dynamic:
            failure.help = "with fewer dynamic axes there is less for an exporter to get wrong"
        for noise in filter(None, noises):
            failure.add_note(noise)
        return failure


def _spec(name: str, tensor: torch.Tensor, order: Order) -> TensorSpec:
    """What an input shall be: its example's dtype and sizes, with names for the dynamic ones."""
    symbols = order.dynamic.get(name, {})
    return TensorSpec(name, dtype_of(tensor), tuple(symbols.get(axis, n) for axis, n in enumerate(tensor.shape)))


def _told(caught: Sequence[warnings.WarningMessage]) -> tuple[str, ...]:
    """What a trace wrote into the model for good, with its place in the user's code."""
    lines: dict[str, None] = {}
    for warning in caught:
        if issubclass(warning.category, TracerWarning):
            place = f"{shown(warning.filename)}:{warning.lineno}: " if is_user_file(warning.filename) else ""
            lines[place + str(warning.message).partition(". ")[0]] = None
    return tuple(lines)
