"""All tools on one model: what is missing is made, judged and timed, what was found before is taken."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from . import judging, tools
from .rows import Result, Row, result_of
from .store import NotKept, Store, size_of
from .tools import ANY_SIZE, OURS, PEERS, Made, Tool

Say = Callable[[str], None]


class Comparer:
    """
    Args:
        limit: seconds that a tool may take for a model.
        in_turn: where one tool's result is missing, let all work again, so that their times are of the same minutes.
        latency: time the results.
    """

    def __init__(
        self, store: Store, every: Mapping[str, Tool], limit: float, *, in_turn: bool, latency: bool, say: Say
    ) -> None:
        self._store, self._tools, self._limit = store, every, limit
        self._in_turn, self._latency, self._say = in_turn, latency, say
        self._warm: set[str] = set()

    def compare(self, name: str, model: Path) -> Row:
        """
        Raises:
            NotKept: the store is frozen, and does not know all results of this model.
        """
        made = self._make(name, model, [OURS, *PEERS])
        row = self._judge(name, model, made)
        best = row.best("nodes")
        if best is not None and row.ours.nodes > row.fair[best].nodes:
            made |= self._make(name, model, [ANY_SIZE])
            row = self._judge(name, model, made)
        return self._time(row, model, made) if self._latency else row

    def _make(self, name: str, model: Path, wanted: list[str]) -> dict[str, Made]:
        found = {t: tools.find(self._store, self._tools[t], model, self._limit) for t in wanted}
        again = self._in_turn and None in found.values()
        made: dict[str, Made] = {}
        for tool, before in found.items():
            if before is not None and not again:
                made[tool] = before
                continue
            if self._store.frozen:
                raise NotKept
            self._say(f"{name}: {tool}")
            if tool not in self._warm:
                tools.warm_up(self._tools[tool], model, self._limit)
                self._warm.add(tool)
            made[tool] = tools.make(self._store, self._tools[tool], model, self._limit)
        return made

    def _judge(self, name: str, model: Path, made: Mapping[str, Made]) -> Row:
        self._say(f"{name}: parity")
        paths = {tool: m.path for tool, m in made.items() if m.path is not None}
        own, found = judging.judged(self._store, model, paths)
        results: dict[str, Result] = {tool: result_of(m, found.get(tool, {})) for tool, m in made.items()}
        return Row(name, own["nodes"], size_of(model), own["operators"], results)

    def _time(self, row: Row, model: Path, made: Mapping[str, Made]) -> Row:
        contenders = {t: p for t in (OURS, *row.fair) if (p := made[t].path) is not None and not row.results[t].wrong}
        computes = {t: row.results[t].computes for t in contenders}
        self._say(f"{row.model}: latency")
        seconds = judging.timed(self._store, model, contenders, computes)
        return Row(row.model, row.nodes, row.size, row.operators, row.results, seconds)
