"""Shapes of dynamic inputs: what the user says with `--shape`, and what is taken where nothing is said.

Taken where nothing is said (smallest : usual : largest), for each dynamic size:

1. a size with a name that `--shape` settles in another input: the same;
2. a batch, that is the first axis, or a name that is a batch elsewhere in the model, or begins with "batch": 1:1:16;
3. a height or width, that is axis 2 and up of an input with 4 or 5 axes: 32:256:1024, multiples of the strides that
   vision networks have;
4. any other, such as the length of a sequence: 1:128:512.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from math import prod

from graphopt.backends.base import ProfileShape, Sizes
from graphopt.errors import UsageError, did_you_mean
from graphopt.graph.dtypes import DType
from graphopt.graph.interface import Dim, Interface, TensorSpec

Range = tuple[int, int, int]

BATCH: Range = (1, 1, 16)
SPATIAL: Range = (32, 256, 1024)
LENGTH: Range = (1, 128, 512)

HOW = "write NAME=SHAPE or NAME=MIN:OPT:MAX, as in x=1x3x224x224 or x=1x3x32x32:1x3x224x224:4x3x640x640"


def parse_shape_option(text: str) -> tuple[str, ProfileShape]:
    """The input and the shapes that one `--shape NAME=SHAPE` or `--shape NAME=MIN:OPT:MAX` names.

    Names may hold "=" and ":"; the last "=" divides.

    Raises:
        UsageError: the text is malformed, or the shapes contradict each other.
    """
    where = f"--shape {text}"
    name, equals, shapes = text.rpartition("=")
    if not equals or not name:
        raise UsageError("it does not say which input the shape is for", where=where, help=HOW)
    parts = shapes.split(":")
    if len(parts) not in (1, 3):
        raise UsageError(f"{len(parts)} shapes are given; one or three can be meant", where=where, help=HOW)
    parsed = [_sizes(part, where) for part in parts]
    low, usual, high = parsed if len(parsed) == 3 else parsed * 3
    try:
        return name, ProfileShape(low, usual, high)
    except UsageError as error:
        raise UsageError(error.message, where=where, help=error.help) from None


def parse_shape_options(texts: Iterable[str]) -> dict[str, ProfileShape]:
    """All `--shape` options of a command line.

    Raises:
        UsageError: one is malformed, or two name the same input.
    """
    found: dict[str, ProfileShape] = {}
    for text in texts:
        name, shape = parse_shape_option(text)
        if name in found:
            raise UsageError(f"the shape of input {name!r} is given twice", where=f"--shape {text}")
        found[name] = shape
    return found


def _sizes(text: str, where: str) -> Sizes:
    sizes = text.split("x")
    for size in sizes:
        if not re.fullmatch(r"-?[0-9]{1,19}", size):
            raise UsageError(f"{size!r} is no size: sizes are whole numbers with x between them", where=where, help=HOW)
    return tuple(int(size) for size in sizes)


@dataclass(frozen=True)
class Profiles:
    """What a builder is told of a model's inputs.

    Attributes:
        shapes: for every dynamic input.
        values: for inputs of fixed shape whose values were given.
        defaulted: the inputs of `shapes` of which at least one size is a default.
    """

    shapes: Mapping[str, ProfileShape]
    values: Mapping[str, ProfileShape]
    defaulted: tuple[str, ...]


def complete(interface: Interface, given: Mapping[str, ProfileShape]) -> Profiles:
    """Profiles for every dynamic input of a model. Inputs of unknown rank get none.

    Raises:
        UsageError: a given shape is of an unknown input, or contradicts the model or another given shape.
    """
    specs = {spec.name: spec for spec in interface.inputs}
    shapes: dict[str, ProfileShape] = {}
    values: dict[str, ProfileShape] = {}
    for name, profile in given.items():
        spec = specs.get(name) or _unknown(name, specs)
        if spec.is_dynamic:
            _check_fit(spec, profile)
            shapes[name] = profile
        elif _holds_values(spec, profile):
            values[name] = profile
        else:
            _check_fit(spec, profile)
    filler = _Filler(interface, shapes)
    defaulted = tuple(s.name for s in interface.inputs if s.is_dynamic and s.shape is not None and s.name not in shapes)
    for name in defaulted:
        shapes[name] = filler.fill(specs[name])
    return Profiles(shapes, values, defaulted)


def observed(interface: Interface, samples: Iterable[Mapping[str, Sizes]]) -> dict[str, ProfileShape]:
    """Profiles that cover the shapes of samples, by input name: the first sample is the usual case.

    Inputs that no sample has, or whose rank a sample contradicts, get none.
    """
    seen: dict[str, list[Sizes]] = {}
    for sample in samples:
        for name, shape in sample.items():
            seen.setdefault(name, []).append(shape)
    return {
        spec.name: ProfileShape(
            tuple(map(min, zip(*shapes, strict=True))), shapes[0], tuple(map(max, zip(*shapes, strict=True)))
        )
        for spec in interface.inputs
        if spec.is_dynamic and spec.shape is not None and (shapes := seen.get(spec.name))
        if all(len(shape) == len(spec.shape) for shape in shapes)
    }


def _unknown(name: str, specs: Mapping[str, TensorSpec]) -> TensorSpec:
    listed = ", ".join(str(spec) for spec in specs.values()) or "none"
    raise UsageError(
        f"the model has no input {name!r}; its inputs are {listed}",
        where=f"--shape {name}=…",
        help=did_you_mean(name, specs),
    )


def _holds_values(spec: TensorSpec, profile: ProfileShape) -> bool:
    """Whether a profile for an input of fixed shape can be its values: sizes that the network computes with."""
    shape = spec.shape or ()
    integer = spec.dtype in (DType.int32, DType.int64)
    return integer and len(shape) <= 1 and prod(d for d in shape if isinstance(d, int)) == len(profile.min)


def _check_fit(spec: TensorSpec, profile: ProfileShape) -> None:
    shape, where = spec.shape, f"--shape {spec.name}={profile}"
    if shape is None:
        return
    if len(shape) != len(profile.min):
        raise UsageError(f"input {spec} has {len(shape)} axes, not {len(profile.min)}", where=where)
    for axis, dim in enumerate(shape):
        low, high = profile.min[axis], profile.max[axis]
        if low < 0:
            raise UsageError(f"axis {axis} of input {spec} cannot have size {low}", where=where)
        if isinstance(dim, int) and not low == dim == high:
            wrong = low if low != dim else high
            raise UsageError(f"axis {axis} of input {spec} is fixed at {dim}, not {wrong}", where=where)


class _Filler:
    """Fills in what was not given: sizes of one name are one size."""

    def __init__(self, interface: Interface, given: Mapping[str, ProfileShape]) -> None:
        self._ranges: dict[str, tuple[Range, str]] = {}
        self._batches = {spec.shape[0] for spec in interface.inputs if spec.shape and isinstance(spec.shape[0], str)}
        for spec in interface.inputs:
            if spec.name in given:
                self._learn(spec, given[spec.name])

    def _learn(self, spec: TensorSpec, profile: ProfileShape) -> None:
        for axis, dim in enumerate(spec.shape or ()):
            if not isinstance(dim, str):
                continue
            found = (profile.min[axis], profile.opt[axis], profile.max[axis])
            known, other = self._ranges.setdefault(dim, (found, spec.name))
            if known != found:
                raise UsageError(
                    f"the size {dim!r} is {_text(known)} in input {other!r} and {_text(found)} in input {spec.name!r}",
                    where=f"--shape {spec.name}={profile}",
                    help="the model says that both are one size; give them the same range",
                )

    def fill(self, spec: TensorSpec) -> ProfileShape:
        ranges = [self._range(dim, axis, len(spec.shape or ())) for axis, dim in enumerate(spec.shape or ())]
        return ProfileShape(*(tuple(r[which] for r in ranges) for which in range(3)))

    def _range(self, dim: Dim, axis: int, rank: int) -> Range:
        if isinstance(dim, int):
            return (dim, dim, dim)
        if dim in self._ranges:
            return self._ranges[dim][0]
        default = self._default(dim, axis, rank)
        if dim is not None:
            self._ranges[dim] = (default, "")
        return default

    def _default(self, dim: str | None, axis: int, rank: int) -> Range:
        if axis == 0 or dim in self._batches or (dim or "").lower().startswith("batch"):
            return BATCH
        return SPATIAL if rank in (4, 5) and axis >= 2 else LENGTH


def _text(sizes: Range) -> str:
    return ":".join(map(str, sizes))
