"""What two models are compared on: the user's samples, or made ones; two shapes wherever an input is dynamic."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import cast

import numpy as np
import onnx
from onnx import numpy_helper

from graphopt.data.dims import DynamicDims
from graphopt.data.facts import InputFacts, ProfileShape
from graphopt.data.hints import integer_hints
from graphopt.data.sample import Array, Feeds, Sample
from graphopt.data.sources import open_source
from graphopt.data.synthetic import LegalAssignments, another_shape, legal_assignments, make_sample
from graphopt.errors import DataError
from graphopt.graph.dtypes import DType
from graphopt.graph.interface import Interface
from graphopt.graph.load import Overridable
from graphopt.parity.model_interface import effective_interface, read_model
from graphopt.parity.refusals import RunError
from graphopt.parity.runners import Outputs, Runner
from graphopt.progress import SILENT, Progress

REAL_SAMPLES = 8
"""How many of the user's samples are used, if not said otherwise."""

MADE_SAMPLES = 2
"""How many are made of each shape: one with normal floats and one with uniform ones."""


@dataclass(frozen=True)
class SampleSet:
    """Samples, and what to know about them."""

    samples: tuple[Sample, ...]
    notes: tuple[str, ...] = ()


def parity_samples(
    model: Path | bytes,
    data: str | Path | None = None,
    *,
    profiles: Mapping[str, ProfileShape] | None = None,
    values: Mapping[str, ProfileShape] | None = None,
    count: int | None = None,
    overridable: Overridable = "auto",
    label: str = "the original model",
    progress: Progress = SILENT,
) -> SampleSet:
    """Samples that the original model takes.

    Args:
        data: where the user's samples are (see `open_source`); without it, they are made.
        profiles, values: what `--shape` says of dynamic inputs, and of fixed ones whose values are sizes.
        count: how many of the user's samples to take, or how many to make of each shape.
        overridable: what initializers that are also inputs are taken for.

    Raises:
        NotRunnable: ONNX Runtime cannot run the model.
        ModelError: the model is invalid.
        DataError: the data cannot be read or do not fit, or nothing was found that the model takes.
    """
    proto = read_model(model, label)
    interface = effective_interface(proto, overridable)
    facts = InputFacts(integer_hints(proto), profiles or {}, values or {})
    with Runner(model, label) as runner, progress.task("choose samples"):
        if data is None:
            samples, notes = _made(interface, facts, runner, count or MADE_SAMPLES)
        else:
            samples, notes = _given(data, interface, facts, runner, count or REAL_SAMPLES)
        override = _override(proto, interface, samples[0], runner)
    return SampleSet((*samples, *override), tuple(notes))


def _made(interface: Interface, facts: InputFacts, runner: Runner, count: int) -> tuple[list[Sample], list[str]]:
    found = _assignments(interface, facts, runner)
    if not interface.inputs:
        count = 1
    samples = [
        make_sample(interface, assignment, facts, index) for assignment in found.assignments for index in range(count)
    ]
    return samples, list(found.notes)


def _assignments(interface: Interface, facts: InputFacts, runner: Runner) -> LegalAssignments:
    try:
        return legal_assignments(interface, _refusal(runner, _says_something), facts)
    except DataError:
        # a model whose outputs are empty or not finite on all that is tried is legal as well
        return legal_assignments(interface, _refusal(runner, lambda _: None), facts)


def _given(
    data: str | Path, interface: Interface, facts: InputFacts, runner: Runner, count: int
) -> tuple[list[Sample], list[str]]:
    source = open_source(data, interface)
    samples = list(islice(source, count))
    if not samples:
        raise DataError("there are no samples", where=source.name, help="give data that holds at least one")
    fixed = _fixed_dims(interface, samples)
    if not fixed:
        return samples, []
    runner.run(samples[0])  # a sample that fails by itself is an error of its own, not a shape that cannot be varied
    other, notes = another_shape(interface, samples[0], _refusal(runner, lambda _: None), facts)
    return [*samples, *([other] if other else [])], list(notes)


def _fixed_dims(interface: Interface, samples: list[Sample]) -> list[str]:
    """Dynamic dimensions that have one size in all samples."""
    dims = DynamicDims(interface)
    sizes = [dims.sizes_of(sample.shapes) for sample in samples]
    return [key for key in dims.keys if len({s.get(key) for s in sizes}) == 1]


def _refusal(runner: Runner, objection: Callable[[Outputs], str | None]) -> Callable[[Feeds], str | None]:
    def refusal(feeds: Feeds) -> str | None:
        try:
            return objection(runner.run(Sample("made inputs", feeds)))
        except RunError as error:
            return f"{error.message} (at: {error.where})" if error.where else error.message

    return refusal


def _says_something(outputs: Outputs) -> str | None:
    """An objection to outputs by which two models cannot be told apart."""
    arrays = [cast(Array, value) for value in outputs.values() if isinstance(value, np.ndarray)]
    if arrays and all(not array.size for array in arrays):
        return "every output is empty"
    floats = [array for array in arrays if array.dtype.kind == "f" and array.size]
    if floats and not any(np.isfinite(array).any() for array in floats):
        return "no output is finite"
    return None


def _override(proto: onnx.ModelProto, interface: Interface, sample: Sample, runner: Runner) -> list[Sample]:
    """The sample once more, with other values for the float inputs that have defaults: a default is no constant."""
    wanted = {spec.name for spec in interface.optional if spec.dtype in (DType.float32, DType.float64, DType.float16)}
    changed: Feeds = {
        tensor.name: _other_values(numpy_helper.to_array(tensor))
        for tensor in proto.graph.initializer
        if tensor.name in wanted and tensor.data_location != onnx.TensorProto.EXTERNAL
    }
    if not changed:
        return []
    feeds = {**sample.arrays, **changed}
    accepted = _refusal(runner, lambda _: None)(feeds) is None
    return [Sample(f"{sample.name} with other values for {', '.join(changed)}", feeds)] if accepted else []


def _other_values(default: Array) -> Array:
    return (default * 1.25 + 0.125).astype(default.dtype)
