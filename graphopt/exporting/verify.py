"""Whether an exported model is the module: its interface, its outputs on the example, and away from it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import torch

from graphopt.data.sample import Array, Sample
from graphopt.errors import ExportError, GraphoptError
from graphopt.exporting import call as calls
from graphopt.exporting.arrays import array_of
from graphopt.exporting.call import Call, Tensors
from graphopt.exporting.dynamic import resized
from graphopt.exporting.exporters import ExporterRefused, Order
from graphopt.graph.model import Model
from graphopt.parity.comparison import Comparison
from graphopt.parity.contract import REAL
from graphopt.parity.disturbances import Disturbances
from graphopt.parity.figures import Figures, compare_outputs
from graphopt.parity.judgement import Evidence, judge
from graphopt.parity.model_interface import holds_short_floats, read_model
from graphopt.parity.runners import Outputs, Runner
from graphopt.parity.store import ArrayStore
from graphopt.progress import Progress

Arrays = dict[str, Array]


class OutputsDiffer(ExporterRefused):
    """A model was made, and gives other outputs than the module."""


def verify_interface(model: Model, order: Order) -> None:
    """Raises ExporterRefused where an axis that shall be dynamic is fixed, or the opset is not the one asked for."""
    for value in model.graph.inputs:
        for axis, symbol in order.dynamic.get(value.name, {}).items():
            dim = value.shape[axis] if value.shape is not None else None
            if isinstance(dim, int):
                raise ExporterRefused(f"it fixed axis {axis} of {value.name!r} ({symbol}) at {dim}")
    if order.opset is not None and model.opset != order.opset:
        raise ExporterRefused(f"it wrote opset {model.opset}, not {order.opset}")


class Trial:
    """Inputs, and the module's own outputs on them."""

    def __init__(self, name: str, call: Call, tensors: Tensors, outputs: Mapping[str, torch.Tensor]) -> None:
        self.sample = Sample(name, {n: array_of(tensor) for n, tensor in zip(call.names, tensors, strict=True)})
        self.outputs: Outputs = {n: array_of(tensor) for n, tensor in outputs.items()}


def trials_of(call: Call, wanted: Mapping[str, torch.Tensor], order: Order) -> list[Trial]:
    """The example with the module's outputs on it, and with dynamic axes other sizes that the module itself takes.

    Raises:
        ExportError: an input or output has an element type that ONNX lacks.
    """
    try:
        trials = [Trial("the example", call, call.tensors, wanted)]
        if order.dynamic:
            sizes = ((_sizes(call, order, tensors), tensors) for tensors in resized(call, order.dynamic))
            trials += _first_that_runs(call, list(wanted), sizes)
    except KeyError as error:
        raise ExportError(f"ONNX has no element type {error.args[0]}") from None
    return trials


def varying_axes(trials: Sequence[Trial]) -> dict[str, frozenset[int]]:
    """The axes of each output whose sizes differ between trials."""
    found: dict[str, frozenset[int]] = {}
    for name, first in trials[0].outputs.items():
        shapes = [trial.outputs[name].shape for trial in trials]
        same_rank = all(len(shape) == first.ndim for shape in shapes)
        axes = range(first.ndim if same_rank else 0)
        found[name] = frozenset(axis for axis in axes if len({shape[axis] for shape in shapes}) > 1)
    return found


def verify_outputs(call: Call, trials: Sequence[Trial], path: Path, *, suspect: bool, progress: Progress) -> Comparison:
    """Run the model beside the module.

    Args:
        call: the example.
        trials: the module's outputs on it, and at other sizes.
        path: the model.
        suspect: whether the exporter said that it may have written the example's values into the model; it
            then has to agree on other values too.
        progress: what shows the work.

    Raises:
        OutputsDiffer: outputs lie farther apart than rounding explains.
        ExporterRefused: ONNX Runtime cannot run the model.
    """
    others = [("the example times -0.75", _opposite(call.tensors))] if suspect else []
    trials = [*trials, *_first_that_runs(call, list(trials[0].outputs), others)]
    try:
        comparison = _compare(trials, path, _unsteady(call, trials[0]), progress)
    except GraphoptError as error:
        text = f"{error.message} ({error.where})" if error.where else error.message
        raise ExporterRefused(text, error.help) from error
    if not comparison.ok:
        raise OutputsDiffer("; ".join(comparison.problems))
    return comparison


def _first_that_runs(call: Call, outputs: Sequence[str], candidates: Iterable[tuple[str, Tensors]]) -> list[Trial]:
    """A trial with the first inputs that the module itself takes; none if it takes none."""
    for name, tensors in candidates:
        try:
            given = calls.run(call, tensors)[1]
        except Exception:
            continue  # the module's own limits are no fault of the export
        return [Trial(name, call, tensors, dict(zip(outputs, given, strict=True)))]
    return []


def _compare(trials: Sequence[Trial], path: Path, unsteady: Mapping[str, Figures], progress: Progress) -> Comparison:
    """Judge the model by the module; how much rounding matters is seen on the model, which can be disturbed."""
    with ArrayStore() as store:
        samples = [trial.sample for trial in trials]
        with Runner(path, "its model") as runner:
            given = [runner.run(sample) for sample in samples]
        figures = [
            {name: compare_outputs(mine, got[name]) for name, mine in trial.outputs.items()}
            for trial, got in zip(trials, given, strict=True)
        ]
        evidence = Evidence(
            samples=[sample.name for sample in samples],
            outputs=[trial.outputs for trial in trials],
            unsteady=unsteady,
            constant=frozenset(),
            short=holds_short_floats(read_model(path, str(path))),
            disturbances=Disturbances(path, samples, given, store),
        )
        outputs = judge(evidence, figures, REAL, None, progress)
    notes = tuple(f"output {one.name!r}: {one.note}" for one in outputs if one.note)
    return Comparison(REAL, outputs, len(samples), tuple(sample.shapes for sample in samples), (), notes)


def _unsteady(call: Call, trial: Trial) -> dict[str, Figures]:
    """Outputs in which two runs of the module differ, with other random numbers."""
    again = zip(trial.outputs, calls.run(call, seed=1)[1], strict=True)
    pairs = {name: compare_outputs(trial.outputs[name], array_of(tensor)) for name, tensor in again}
    return {name: figures for name, figures in pairs.items() if not figures.bitwise}


def _sizes(call: Call, order: Order, tensors: Tensors) -> str:
    shapes = dict(zip(call.names, (tensor.shape for tensor in tensors), strict=True))
    sizes = {symbol: shapes[name][axis] for name, axes in order.dynamic.items() for axis, symbol in axes.items()}
    return ", ".join(f"{symbol} = {size}" for symbol, size in sizes.items())


def _opposite(tensors: Tensors) -> Tensors:
    """Other values of the same kinds; not quite the negative, which too many functions map to the negative result."""
    return tuple(-0.75 * t if t.dtype.is_floating_point else ~t if t.dtype == torch.bool else t for t in tensors)
