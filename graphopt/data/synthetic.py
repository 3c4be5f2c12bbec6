"""Inputs made from a model's interface, where there is no data; the model itself decides which are legal."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from graphopt.data.candidates import candidate_sizes, near_sizes
from graphopt.data.dims import DynamicDims, Shapes
from graphopt.data.facts import NOTHING_KNOWN, InputFacts, Range
from graphopt.data.sample import Feeds, Sample
from graphopt.data.shape_search import Assignment, ShapeSearch
from graphopt.data.values import integer_range, make_values
from graphopt.errors import DataError
from graphopt.graph.interface import Interface

INTEGER_RANGES: tuple[Range, ...] = ((0, 9), (0, 1), (1, 1), (0, 0), (1, 100))
"""What integers of no known range are drawn from; the first range that the model takes is kept."""

Refusal = Callable[[Feeds], str | None]
"""Runs the original model: why it does not take these inputs, or None when it does."""

SEED = "graphopt"

TRIES = 120
"""How often the model is run, at most, in search of one set of shapes."""


@dataclass(frozen=True)
class LegalAssignments:
    """Assignments that the model takes, as different from one another as it allows; `notes` say what it did not."""

    assignments: tuple[Assignment, ...]
    notes: tuple[str, ...] = ()


def make_feeds(
    interface: Interface, assignment: Assignment, facts: InputFacts = NOTHING_KNOWN, index: int = 0
) -> Feeds:
    """Values for every input, the same for the same arguments. Floats are normal at even indices, N(0, 1), and uniform
    in [0, 1) at odd ones. Inputs that have a default are left to it.

    Raises:
        DataError: an input is no tensor, so that the model does not say what it holds.
    """
    feeds: Feeds = {}
    for spec in interface.inputs:
        if spec.kind == "optional":
            feeds[spec.name] = None
            continue
        if spec.kind != "tensor":
            raise DataError(f"no data can be made for input {spec.name!r}, a {spec.kind}", help="give some with --data")
        shape = assignment.shapes[spec.name]
        if spec.name in facts.values and spec.dtype is not None:
            feeds[spec.name] = np.array(facts.values[spec.name].opt, spec.dtype.numpy).reshape(shape)
            continue
        wanted = integer_range(spec, facts.ranges, assignment.integers)
        feeds[spec.name] = make_values(spec, shape, f"{SEED}/{index}", uniform=index % 2 == 1, integers=wanted)
    return feeds


def make_sample(
    interface: Interface, assignment: Assignment, facts: InputFacts = NOTHING_KNOWN, index: int = 0
) -> Sample:
    """`make_feeds` as a sample whose name tells the shapes."""
    name = f"generated[{index}] {_shapes_text(assignment.shapes)}".rstrip()
    return Sample(name, make_feeds(interface, assignment, facts, index))


def legal_assignments(
    interface: Interface,
    refusal: Refusal,
    facts: InputFacts = NOTHING_KNOWN,
    *,
    want: int = 2,
    tries: int = TRIES,
) -> LegalAssignments:
    """Shapes that the model takes: one, and where dimensions are dynamic a second that differs in as many as it can.

    `tries` bounds the runs for each of the two. Sizes come from the profiles where there are some.

    Raises:
        DataError: no inputs were found that the model takes; says what it objected to in the likeliest ones.
    """
    interface = _ranked(interface, {name: profile.opt for name, profile in facts.profiles.items()})

    def judge(assignment: Assignment) -> str | None:
        return refusal(make_feeds(interface, assignment, facts))

    dims = DynamicDims(interface)
    search = ShapeSearch(dims, candidate_sizes(dims, facts.profiles), judge, tries)
    sizes, first = search.first(INTEGER_RANGES if _has_open_integers(interface, facts) else INTEGER_RANGES[:1])
    if want < 2 or not dims.keys:
        return LegalAssignments((first,))
    near = near_sizes(dims, search.candidates, sizes, facts.profiles)
    second, notes = dataclasses.replace(search, candidates=near).second(sizes, first.integers)
    return LegalAssignments((first, second) if second else (first,), notes)


def another_shape(
    interface: Interface,
    sample: Sample,
    refusal: Refusal,
    facts: InputFacts = NOTHING_KNOWN,
    *,
    tries: int = TRIES,
) -> tuple[Sample | None, tuple[str, ...]]:
    """A real sample, repeated and cut to another shape that the model takes, and notes on what could not be varied.

    None where the model takes no other shape, or has no dynamic dimension.
    """
    dims = DynamicDims(_ranked(interface, sample.shapes))
    base = dims.sizes_of(sample.shapes)
    if not base:
        return None, ()

    def judge(assignment: Assignment) -> str | None:
        return refusal(resized(sample, assignment.shapes))

    search = ShapeSearch(
        dims, near_sizes(dims, candidate_sizes(dims, facts.profiles), base, facts.profiles), judge, tries
    )
    second, notes = search.second(base, INTEGER_RANGES[0])
    if second is None:
        return None, notes
    return Sample(f"{sample.name} resized {_shapes_text(second.shapes)}", resized(sample, second.shapes)), notes


def resized(sample: Sample, shapes: Shapes) -> Feeds:
    """The sample with its tensors repeated, or cut, to other shapes of the same rank."""
    feeds = dict(sample.arrays)
    for name, shape in shapes.items():
        array = feeds.get(name)
        if isinstance(array, np.ndarray) and array.size:
            for axis, size in enumerate(shape):
                array = array.take(range(size), axis=axis, mode="wrap")
            feeds[name] = array
    return feeds


def _has_open_integers(interface: Interface, facts: InputFacts) -> bool:
    return any(
        s.dtype is not None
        and s.dtype.is_integer
        and s.dtype.bits > 8
        and s.name not in {**facts.ranges, **facts.values}
        for s in interface.inputs
    )


def _shapes_text(shapes: Shapes) -> str:
    return " ".join(f"{name}={'x'.join(map(str, shape)) or 'scalar'}" for name, shape in shapes.items())


def _ranked(interface: Interface, shapes: Shapes) -> Interface:
    """The interface, ranks that the model does not tell taken from the shapes."""
    inputs = tuple(
        dataclasses.replace(spec, shape=(None,) * len(shapes[spec.name]))
        if spec.shape is None and spec.name in shapes
        else spec
        for spec in interface.inputs
    )
    return dataclasses.replace(interface, inputs=inputs)
