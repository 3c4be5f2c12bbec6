"""Finding the one firing after which a model is no longer what it was."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from graphopt.data.sample import Sample
from graphopt.errors import GraphoptError
from graphopt.graph.model import Model
from graphopt.graph.save import needs_external, to_proto
from graphopt.parity.comparison import Comparison, OutputFigures
from graphopt.parity.contract import EXACT
from graphopt.parity.layers import Layer, compare_layers, decisive
from graphopt.parity.refusals import NotRunnable
from graphopt.pipeline.bisect_verdict import Explanation, explain
from graphopt.pipeline.replay import Event, Replay
from graphopt.progress import SILENT, Progress

Compare = Callable[[Model], Comparison]
"""Holds a graph to what the finished one is held to."""


@dataclass(frozen=True)
class Culprit:
    """The change that made a model depart.

    Attributes:
        event: the firing, or the pass written in Python.
        events: how many changes the run has in all.
        unsure: changes before it that cannot be told from it, since the graphs between cannot be run.
        moved: each output that it moved, before and after it compared bit by bit.
        comparison: the graph after it against the original.
        first: the first value inside the graph that it moved; None where that is not known.
        explanation: whether that is rounding; None where there is no such value.
    """

    event: Event
    events: int
    comparison: Comparison
    unsure: tuple[Event, ...] = ()
    moved: tuple[OutputFigures, ...] = ()
    first: Layer | None = None
    explanation: Explanation | None = None

    def lines(self) -> list[str]:
        """What a message says of it."""
        return list(_lines(self))

    def to_json(self) -> dict[str, Any]:
        firing = self.event.firing
        return {
            "event": self.event.number,
            "events": self.events,
            "pass": self.event.step.name,
            "firing": None if firing is None else {k: v for k, v in firing.to_json().items() if k != "microseconds"},
            "unsure": [str(event) for event in self.unsure],
            "moved": [output.to_json() for output in self.moved],
            "comparison": self.comparison.to_json(),
            "first": None if self.first is None else self.first.to_json(),
            "explanation": None if self.explanation is None else self.explanation.to_json(),
        }


def find_culprit(
    replay: Replay, compare: Compare, samples: Sequence[Sample], *, passes: int = 0, progress: Progress = SILENT
) -> Culprit | None:
    """The change after which `compare` fails; None where it does not fail at the end of the run.

    Halves the run: what is right at one place and wrong at a later one went wrong between them. Where it goes wrong,
    right and wrong again, one of these places is found.

    Args:
        samples: what graphs are compared on, for a look at the values inside.
        passes: how many passes, in the order in which they ran, are known to be right.

    Raises:
        RewriteError: the recipe does not run to its end.
    """
    with progress.task("looking for the change that breaks it") as task:
        events = replay.events()
        search = _Search(replay, compare)
        last = search.at(len(events))
        if last is None or last.ok:
            return None
        low, high = sum(event.application < passes for event in events), len(events)
        while high - low > 1:
            task.update(note=f"{high - low} changes left")
            middle = next((n for n in _from_middle(low, high) if search.at(n) is not None), None)
            if middle is None:
                break
            found = search.at(middle)
            low, high = (middle, high) if found is not None and found.ok else (low, middle)
        comparison = search.at(high)
        assert comparison is not None
        culprit = Culprit(events[high - 1], len(events), comparison, tuple(events[low : high - 1]))
        return _looked_into(culprit, replay, low, samples, progress)


@dataclass
class _Search:
    replay: Replay
    compare: Compare
    found: dict[int, Comparison | None] = field(default_factory=dict[int, Comparison | None])

    def at(self, number: int) -> Comparison | None:
        """The comparison after so many changes; None where ONNX Runtime cannot run the graph."""
        if number not in self.found:
            try:
                self.found[number] = self.compare(self.replay.until(number))
            except NotRunnable:
                self.found[number] = None
        return self.found[number]


def _from_middle(low: int, high: int) -> Iterator[int]:
    """The numbers between, those nearest to the middle first."""
    middle = (low + high) // 2
    yield from sorted(range(low + 1, high), key=lambda n: (abs(n - middle), n))


def _looked_into(culprit: Culprit, replay: Replay, low: int, samples: Sequence[Sample], progress: Progress) -> Culprit:
    """With what it moved, where that can be had: weights outside of the file are too many for that."""
    before, after = replay.until(low), replay.until(culprit.event.number)
    if needs_external(before) or needs_external(after):
        return culprit
    first, second = to_proto(before), to_proto(after)
    chosen = decisive(culprit.comparison, samples)
    try:
        layers = compare_layers(first, second, [chosen], EXACT, progress=progress)
        shown = {o.name for o in first.graph.output}
        moved = [x.figures for x in layers.layers if x.name in shown and x.figures is not None and x.departs]
        found = layers.first
        explanation = None if found is None else explain(first, second, layers, found, chosen)
    except GraphoptError:  # what ONNX Runtime will not show of a graph is no reason to hide the culprit
        return culprit
    return Culprit(culprit.event, culprit.events, culprit.comparison, culprit.unsure, tuple(moved), found, explanation)


def _lines(culprit: Culprit) -> Iterator[str]:
    event = culprit.event
    firing = event.firing
    place = f"change {event.number} of {culprit.events}, pass {event.step.name}"
    if firing is None:
        yield f"what breaks it is the pass {event.step.name} ({place})"
    else:
        yield f"what breaks it is the firing {firing.number} of the rule {firing.rule} ({place})"
        yield f"  took out: {_listed(firing.removed)}"
        yield f"  put in: {_listed(firing.added)}"
    if culprit.unsure:
        yield f"  or one of the {len(culprit.unsure)} changes before it: the graphs between do not run by themselves"
    if culprit.first is not None and culprit.first.figures is not None:
        yield f"  first value that moved: {culprit.first.name!r} by {_size(culprit.first.figures)}"
    for output in culprit.moved:
        yield f"  output {output.name!r} moved by {_size(output)}"
    if culprit.explanation is not None:
        yield f"  {culprit.explanation.text}"


MOST_NODES = 8


def _listed(labels: Sequence[str]) -> str:
    more = f", and {len(labels) - MOST_NODES} more" if len(labels) > MOST_NODES else ""
    return ", ".join(labels[:MOST_NODES]) + more if labels else "nothing"


def _size(output: OutputFigures) -> str:
    figures = output.figures
    if figures.structure is not None:
        return figures.structure
    if figures.mismatches:
        return f"{figures.mismatches} of {figures.elements} elements"
    return f"{figures.max_rel:.3g} of its scale (SQNR {figures.sqnr_db:.1f} dB)"
