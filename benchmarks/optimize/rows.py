"""What is known of one model: every tool's result, whether it competes, and how ours stands to the best that does."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from .ratios import Ratio, against_best, paired
from .tools import OURS, PEERS, Made

Figure = float | None

SAME_TIME = 600.0
"""Seconds between two runs up to which their wall seconds are compared."""


@dataclass(frozen=True)
class Result:
    """What a tool made of a model.

    Attributes:
        size, cpu, wall, mebibytes: bytes of the files; what the tool's whole process took.
        nodes, operators, bytes, computes: what is in it, as judge.py counts.
        made, real: differences to the original on generated inputs and real ones: "max_rel", "sqnr_db", ...
        wrong: why it does not compete; empty where it does.
        at: when the tool ran, in seconds since 1970.
    """

    size: int
    cpu: float
    wall: float
    mebibytes: float
    nodes: int
    operators: Mapping[str, int]
    bytes: Mapping[str, int]
    made: Mapping[str, Any]
    real: Mapping[str, Any]
    wrong: str
    computes: str = ""
    at: float = 0.0

    @property
    def worst(self) -> Figure:
        """The largest difference to the original, relative to the output's scale."""
        known = [f["max_rel"] for f in (self.made, self.real) if f.get("max_rel") is not None]
        return max(known, default=None)


@dataclass(frozen=True)
class Row:
    """A model, and all results by tool.

    Attributes:
        nodes, size, operators: of the original.
        seconds: by setting ("on", "off") and contender, the seconds of each round.
    """

    model: str
    nodes: int
    size: int
    operators: Mapping[str, int]
    results: Mapping[str, Result]
    seconds: Mapping[str, Mapping[str, list[float]]] = field(default_factory=dict[str, dict[str, list[float]]])

    @property
    def ours(self) -> Result:
        return self.results[OURS]

    @property
    def fair(self) -> dict[str, Result]:
        """The peers whose results run, give what the original gives, and hold no operators of other domains."""
        return {t: self.results[t] for t in PEERS if t in self.results and not self.results[t].wrong}

    def best(self, figure: str) -> str | None:
        """The peer with the least of a figure."""
        known = {t: v for t in self.fair if (v := self.figure_of(t, figure)) is not None}
        return min(known, key=lambda t: known[t], default=None)

    def figure_of(self, peer: str, figure: str) -> Figure:
        """A figure of a peer's result, if it can be held against ours: wall seconds change with what else the machine
        does, so that those of another hour say nothing."""
        result = self.results[peer]
        if figure == "wall" and abs(result.at - self.ours.at) > SAME_TIME:
            return None
        return figure_of(result, figure)

    def noise(self, setting: str) -> Ratio | None:
        """The original against itself."""
        return self._against("original", "again", setting)

    def against_original(self, setting: str) -> Ratio | None:
        return self._against(OURS, "original", setting)

    def against(self, peer: str, setting: str) -> Ratio | None:
        return self._against(OURS, peer, setting)

    def against_quickest(self, setting: str) -> tuple[str, Ratio] | None:
        seconds = self.seconds.get(setting, {})
        peers = {t: seconds[t] for t in self.fair if seconds.get(t)}
        return against_best(seconds[OURS], peers) if seconds.get(OURS) else None

    def _against(self, ours: str, theirs: str, setting: str) -> Ratio | None:
        seconds = self.seconds.get(setting, {})
        if not seconds.get(ours) or not seconds.get(theirs):
            return None
        return paired(seconds[ours], seconds[theirs])

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


def figure_of(result: Result, figure: str) -> Figure:
    """A figure by its name: an attribute of the result, or "made" and "real" for the largest difference of those."""
    if figure in ("made", "real"):
        return (result.made if figure == "made" else result.real).get("max_rel")
    return getattr(result, figure)


def result_of(made: Made, found: Mapping[str, Any]) -> Result:
    """What a tool made, with what the judge says of it."""
    usage = made.usage
    return Result(
        size=made.size,
        cpu=usage.cpu,
        wall=usage.wall,
        mebibytes=usage.mebibytes,
        nodes=found.get("nodes", 0),
        operators=found.get("operators", {}),
        bytes=found.get("bytes", {}),
        made=found.get("made", {}),
        real=found.get("real", {}),
        wrong=made.failure or _wrong(found),
        computes=found.get("computes", ""),
        at=made.at,
    )


def _wrong(found: Mapping[str, Any]) -> str:
    if found.get("failure"):
        return found["failure"]
    if found.get("operators_of_others"):
        return f"operators of {', '.join(found['operators_of_others'])}"
    problems = [*found.get("made", {}).get("problems", ()), *found.get("real", {}).get("problems", ())]
    return problems[0] if problems else ""
