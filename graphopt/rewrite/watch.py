"""Why a rule did not apply: of all attempts at a node, the one that came farthest, and where it stopped."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from graphopt.lang.source import Span

if TYPE_CHECKING:
    from graphopt.rewrite.state import State

Kind = Literal["structure", "false", "unknown", "declined"]
"""The graph looks different; a condition is false; something is not established; the rewrite cannot be carried out."""

_PROGRESS = {"structure": 0, "false": 1, "unknown": 1, "declined": 2}


@dataclass(frozen=True)
class Stop:
    """Where an attempt stopped.

    Attributes:
        kind: what stopped it.
        span: the place in the rule.
        text: what is there in the graph, in a sentence.
        bindings: what the names of the rule stood for.
        nodes: labels of the nodes that had matched.
        values: what stood in a condition that did not hold, by the text of its parts; where someone looked.
    """

    kind: Kind
    span: Span
    text: str
    bindings: dict[str, Any]
    nodes: tuple[str, ...]
    values: dict[str, Any] = field(default_factory=dict[str, Any])

    @property
    def reach(self) -> tuple[int, int, int]:
        """Compares how far attempts came."""
        return _PROGRESS[self.kind], len(self.nodes), len(self.bindings)

    def __str__(self) -> str:
        return f"{self.span.place}: {self.text}\n{self.span.excerpt()}"


class Watch:
    """Keeps the stop of the attempt that came farthest; the first of equals."""

    def __init__(self) -> None:
        self.farthest: Stop | None = None

    def note(self, state: State, kind: Kind, span: Span, text: str) -> None:
        """Take note of a stop."""
        labels = [n.label for n in (*state.nodes, *state.shared)]
        if kind == "structure":  # the last node taken is the one that turned out not to fit
            labels = labels[:-1]
        stop = Stop(kind, span, text, dict(state.bindings), tuple(labels))
        if self.farthest is None or stop.reach > self.farthest.reach:
            self.farthest = stop


@dataclass
class Tally:
    """How often one rule was tried and what came of it.

    Attributes:
        tried: attempts at nodes whose operators made a match possible.
        fired: attempts that changed the graph.
        structure: attempts that found another structure.
        declined: by place, attempts that matched but for a condition, or whose rewrite could not be carried out.
        unknown: by place, attempts that stopped at what is not established.
    """

    tried: int = 0
    fired: int = 0
    structure: int = 0
    declined: Counter[Span] = field(default_factory=Counter[Span])
    unknown: Counter[Span] = field(default_factory=Counter[Span])

    @property
    def matched(self) -> int:
        """Attempts whose structure matched."""
        return self.tried - self.structure

    def note(self, fired: bool, stop: Stop | None) -> None:
        """Count an attempt."""
        self.tried += 1
        if fired:
            self.fired += 1
        elif stop is None or stop.kind == "structure":
            self.structure += 1
        elif stop.kind == "unknown":
            self.unknown[stop.span] += 1
        else:
            self.declined[stop.span] += 1

    def add(self, other: Tally) -> None:
        """Count the attempts of another tally as well."""
        self.tried += other.tried
        self.fired += other.fired
        self.structure += other.structure
        self.declined.update(other.declined)
        self.unknown.update(other.unknown)
