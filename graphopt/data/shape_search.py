"""The search for sizes of dynamic dimensions that a model takes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from math import prod

from graphopt.data.candidates import Candidates, is_batch, proposals
from graphopt.data.dims import UNRANKED_SHAPES, DynamicDims, Shapes, Sizes
from graphopt.data.facts import Range
from graphopt.errors import DataError

MAX_ELEMENTS = 1 << 22
"""Of all inputs together, unless the first proposal is larger: what fails at 4 million will not be saved by more."""

MAX_MOVES = 6
"""How many other sizes are tried for one group of dimensions."""


@dataclass(frozen=True)
class Assignment:
    """A shape for every tensor input, and the range for integers of which none is known."""

    shapes: Shapes
    integers: Range


Judge = Callable[[Assignment], str | None]
"""Runs the model: why it does not take inputs of these shapes, or None when it does."""


@dataclass(frozen=True)
class ShapeSearch:
    """Tries sizes in the order of the candidates; `tries` bounds the runs of each of the two searches."""

    dims: DynamicDims
    candidates: Candidates
    judge: Judge
    tries: int

    def first(self, integer_ranges: Sequence[Range]) -> tuple[Sizes, Assignment]:
        """The likeliest sizes that the model takes.

        Raises:
            DataError: none were found; says what the model objected to in the likeliest.
        """
        reason: str | None = None
        tried = 0
        limit: int | None = None
        for sizes in proposals(self.candidates, self.dims):
            shapes = self.dims.shapes(sizes)
            limit = _limit(shapes) if limit is None else limit
            if shapes is None or _elements(shapes) > limit:
                continue
            for integers in integer_ranges:
                assignment = Assignment(shapes, integers)
                refused = self.judge(assignment)
                if refused is None:
                    return sizes, assignment
                reason = reason or refused
                tried += 1
            if tried >= self.tries:
                break
        raise DataError(
            f"no inputs were found that the model takes; {tried} were tried, and the likeliest refused: {reason}",
            help="give real samples with --data, or shapes with --shape INPUT=SHAPE",
        )

    def second(self, base: Sizes, integers: Range) -> tuple[Assignment | None, tuple[str, ...]]:
        """Sizes that differ from the base in as many dimensions as the model allows, and notes on those that do not.

        Groups of dimensions are moved together, the largest first, and every move that the model takes is kept.
        """
        sizes, accepted, left = dict(base), None, self.tries
        limit = _limit(self.dims.shapes(base))
        moved: set[str] = set()
        refused: set[frozenset[str]] = set()
        for group in self._groups([key for key in self.dims.keys if len(self.candidates[key]) > 1]):
            still = [key for key in group if key not in moved]
            if not still or frozenset(still) in refused:
                continue
            for trial in self._moves(sizes, still):
                shapes = self.dims.shapes(trial)
                if shapes is None or _elements(shapes) > limit or left == 0:
                    continue
                left -= 1
                assignment = Assignment(shapes, integers)
                if self.judge(assignment) is None:
                    sizes, accepted = trial, assignment
                    moved.update(still)
                    break
            else:
                refused.add(frozenset(still))
        return accepted, tuple(self._fixed_note(key, base) for key in self.dims.keys if key not in moved)

    def _groups(self, keys: list[str]) -> Iterator[list[str]]:
        leading = [key for key in keys if key in self.dims.places and is_batch(self.dims.places[key])]
        yield keys
        yield leading
        yield [key for key in keys if key not in leading]
        for axis in sorted({place.axis for key in keys for place in self.dims.places.get(key, [])}):
            yield [key for key in keys if any(place.axis == axis for place in self.dims.places.get(key, []))]
        for key in keys:
            yield [key]

    def _moves(self, sizes: Sizes, group: list[str]) -> Iterator[Sizes]:
        """The next few sizes of each of a group, in step."""
        others = {key: [size for size in self.candidates[key] if size != sizes[key]] for key in group}
        for step in range(min(MAX_MOVES, max(len(other) for other in others.values()))):
            yield sizes | {key: other[min(step, len(other) - 1)] for key, other in others.items()}

    def _fixed_note(self, key: str, base: Sizes) -> str:
        what = self.dims.describe(key)
        size = "x".join(map(str, UNRANKED_SHAPES[base[key]])) if key in self.dims.unranked else str(base[key])
        if len(self.candidates[key]) == 1:
            return f"{what} was checked at {size} only, as --shape says"
        return f"{what} is dynamic, but the model was found to run at {size} only"


def _elements(shapes: Shapes) -> int:
    return sum(prod(shape) for shape in shapes.values())


def _limit(first: Shapes | None) -> int:
    return max(MAX_ELEMENTS, 4 * _elements(first or {}))
