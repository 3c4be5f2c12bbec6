"""What `axes` declarations mean: which slices go together, on tensors whose shapes are known.

A place is one axis of one tensor of a node. A fact says of places that cutting the same slices out of all of them (or
slices that correspond, for `cat` and `fold`) leaves the rest of the node's outputs as it was. An axis that is
counted with a name that stands for each axis is counted from the end where the fact says `broadcast`, as broadcasting
does, and from the start elsewhere. What no fact mentions must not be cut.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from graphopt.lang import tree as t
from graphopt.lang.axis_facts import index_variables
from graphopt.lang.evaluate import compile_expression
from graphopt.lang.names import names_in
from graphopt.lang.values import UNKNOWN, Constant, Decline, as_truth

Place = tuple[str, int, int]
"""A tensor's name, its number among those of a variadic name (else 0), and an axis counted from the start."""

Slices = frozenset[int]


@dataclass(frozen=True)
class Situation:
    """A node whose shapes are known.

    Attributes:
        shapes: by name of the declaration; several for a variadic name, none for what is absent.
        attributes: by name, defaults included.
    """

    shapes: Mapping[str, Sequence[tuple[int, ...]]]
    attributes: Mapping[str, Any]
    opset: int

    @property
    def is_depthwise(self) -> bool:
        """Whether a convolution has as many groups as input channels; its input comes first."""
        first = next(iter(self.shapes.values()))
        return bool(first) and len(first[0]) > 1 and self.attributes.get("group", 1) == first[0][1]

    def size(self, place: Place) -> int:
        name, number, axis = place
        return self.shapes[name][number][axis]


@dataclass(frozen=True)
class Link:
    """One fact for one choice of its names: which places are tied, or made of each other.

    Attributes:
        kind: "tie", "cat" or "fold", as the fact's.
        places: those of a tie; of `cat` and `fold` what is put together, then its parts.
        scaling: the attribute that shrinks with the axis, or None.
    """

    fact: t.Fact
    kind: str
    places: tuple[Place, ...]
    scaling: str | None


def links(axes: t.Axes, situation: Situation) -> Iterator[Link]:
    """Everything that a declaration says of a node."""
    for fact in axes.facts:
        for values in _choices(axes, fact, situation):
            link = _link(axes, fact, values, situation)
            if link is not None:
                yield link


def _choices(axes: t.Axes, fact: t.Fact, situation: Situation) -> Iterator[dict[str, int]]:
    """What the name that stands for each axis can be: none, or one."""
    variables = sorted(index_variables(fact, situation.attributes))
    if not variables:
        yield {}
        return
    rank = max((len(s) for a in fact.axes for s in situation.shapes[a.tensor]), default=0)
    for axis in range(rank):
        yield dict.fromkeys(variables, axis - rank if _is_aligned(fact) else axis)


def _is_aligned(fact: t.Fact) -> bool:
    said = [m.value for m in fact.modifiers if not isinstance(m.value, str)]
    return any("broadcast" in names_in(expression) for expression in said)


def _link(axes: t.Axes, fact: t.Fact, values: Mapping[str, int], situation: Situation) -> Link | None:
    groups = [_places(axis, values, situation) for axis in fact.axes]
    if fact.kind == "tie":
        places = tuple(p for group in groups if group is not None for p in group)
        places = tuple(p for p in places if _holds(fact, p, places, situation))
    else:
        if any(group is None for group in groups):
            return None
        places = tuple(p for group in groups for p in group or ())
        if not all(_holds(fact, p, places, situation) for p in places):
            return None
    scaling = next((m.value for m in fact.modifiers if m.kind == "scaling"), None)
    return Link(fact, fact.kind, places, str(scaling) if scaling else None) if len(places) > 1 else None


def _places(axis: t.Axis, values: Mapping[str, int], situation: Situation) -> list[Place] | None:
    """The places that an axis of a fact is; None where a tensor has no such axis."""
    found: list[Place] = []
    for number, shape in enumerate(situation.shapes[axis.tensor]):
        numbers = _numbers(axis.index, values, situation, len(shape))
        if numbers is None or any(not -len(shape) <= n < len(shape) for n in numbers):
            if axis.index.kind == "slice":
                return None
            continue  # a tensor that broadcasts need not have the axis
        found += [(axis.tensor, number, n % len(shape)) for n in numbers]
    return found


def _numbers(index: t.AxisIndex, values: Mapping[str, int], situation: Situation, rank: int) -> Sequence[int] | None:
    if index.kind == "number":
        assert index.number is not None
        return (index.number,)
    if index.kind == "slice":
        return range(rank)[index.start : index.stop]
    assert index.name is not None
    if index.kind == "name":
        number = values.get(index.name, situation.attributes.get(index.name))
        return None if number is None else (number,)
    listed, at = situation.attributes.get(index.name), values.get(index.item or "")
    if listed is None or at is None or not -len(listed) <= at < len(listed):
        return None
    return (listed[at],)


# --- conditions ---


def _holds(fact: t.Fact, place: Place, places: Sequence[Place], situation: Situation) -> bool:
    broadcast = situation.size(place) == 1 and any(situation.size(p) != 1 for p in places)
    bindings = _bindings(situation) | {"broadcast": broadcast, "depthwise": situation.is_depthwise}
    for modifier in fact.modifiers:
        if isinstance(modifier.value, str):
            continue
        try:
            truth = as_truth(compile_expression(modifier.value)(bindings))
        except Decline:
            truth = UNKNOWN
        if truth is UNKNOWN or bool(truth) != (modifier.kind == "when"):
            return False
    return True


def _bindings(situation: Situation) -> dict[str, Any]:
    tensors: dict[str, Any] = {}
    for name, shapes in situation.shapes.items():
        known = tuple(Constant(np.broadcast_to(np.zeros(()), shape)) for shape in shapes)
        tensors[name] = known[0] if len(known) == 1 else (known or None)
    return {**situation.attributes, **tensors, "opset": situation.opset}


# --- what is cut together ---


def closure(found: Sequence[Link], start: Place, cut: Slices, situation: Situation) -> dict[Place, Slices]:
    """All slices that must go when some of one axis do."""
    cuts: dict[Place, Slices] = {start: cut}
    changed = True
    while changed:
        before = dict(cuts)
        for link in found:
            _spread(link, cuts, situation)
        changed = cuts != before
    return cuts


def _spread(link: Link, cuts: dict[Place, Slices], situation: Situation) -> None:
    if link.kind == "tie":
        if any(p in cuts for p in link.places):
            together = frozenset[int]().union(*(cuts.get(p, frozenset()) for p in link.places))
            cuts.update(dict.fromkeys(link.places, together))
        return
    whole, *parts = link.places
    spread = _spread_cat if link.kind == "cat" else _spread_fold
    spread(whole, parts, cuts, situation)


def _spread_cat(whole: Place, parts: Sequence[Place], cuts: dict[Place, Slices], situation: Situation) -> None:
    ends = np.cumsum([0, *(situation.size(p) for p in parts)]).tolist()
    for part, start, end in zip(parts, ends, ends[1:], strict=False):
        inside = {i - start for i in cuts.get(whole, frozenset()) if start <= i < end} | cuts.get(part, frozenset())
        if inside:
            _add(cuts, part, inside)
            _add(cuts, whole, {i + start for i in inside})


def _spread_fold(whole: Place, parts: Sequence[Place], cuts: dict[Place, Slices], situation: Situation) -> None:
    """Of what is multiplied, the first can be cut: each of its slices is a run of the whole's."""
    first, *rest = parts
    run = math.prod(situation.size(p) for p in rest)
    inside = {i // run for i in cuts.get(whole, frozenset())} if run else set[int]()
    inside |= cuts.get(first, frozenset())
    if inside:
        _add(cuts, first, inside)
        _add(cuts, whole, {i * run + k for i in inside for k in range(run)})


def _add(cuts: dict[Place, Slices], place: Place, more: set[int] | Slices) -> None:
    cuts[place] = cuts.get(place, frozenset()) | frozenset(more)
