"""What fired, where, and what it did: one entry a firing."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

Site = tuple[str, str, tuple[str, ...]]
"""What tells one firing from others in the same graph: rule, graph, and labels of the nodes taken out."""


@dataclass(frozen=True)
class Firing:
    """One rule at one place.

    Attributes:
        number: counts the firings of a run from 1.
        pass_name: the pass that it belongs to.
        rule: name@file:line.
        graph: name of the graph or body.
        removed, added: labels of the nodes taken out and put in.
        microseconds: matching not included.
    """

    number: int
    pass_name: str
    rule: str
    graph: str
    removed: tuple[str, ...]
    added: tuple[str, ...]
    microseconds: int

    @property
    def site(self) -> Site:
        """Where this was, for as long as the graph is the same there."""
        return (self.rule, self.graph, self.removed)

    def to_json(self) -> dict[str, Any]:
        return vars(self).copy()  # dataclasses.asdict copies every text, and takes longer than a firing of some rules


@dataclass
class Journal:
    """The firings of a run, in order."""

    firings: list[Firing] = field(default_factory=list[Firing])

    def counts(self, since: int = 0) -> dict[str, int]:
        """How often each rule fired, from entry `since` on."""
        return dict(Counter(f.rule for f in self.firings[since:]))
