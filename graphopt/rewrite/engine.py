"""The worklist: rules tried where they can match, in a fixed order, until none applies any more.

Order: nodes as they execute; at one node by priority, then larger patterns first, then file order. After a
firing only what it touched is tried again.
"""

from __future__ import annotations

import time
from collections import Counter, deque
from collections.abc import Callable, Collection, Sequence
from typing import Any

import numpy as np

from graphopt.errors import RewriteError
from graphopt.graph.graph import Node, Value
from graphopt.graph.model import Model
from graphopt.lang import tree as t
from graphopt.lang.values import Decline
from graphopt.rewrite.apply import Change, apply_plan
from graphopt.rewrite.journal import Firing, Journal, Site
from graphopt.rewrite.rule import CompiledRule, applies_to, expand_operators, root_statements
from graphopt.rewrite.state import State
from graphopt.rewrite.watch import Tally, Watch

FIRINGS_PER_NODE = 8
FIRINGS_AT_LEAST = 1000

FEW_USES = 4
"""A value that lost a reader may have become private to a pattern; with more readers than this it has not."""


class Engine:
    """Rules compiled for one model, indexed by the operator of their root.

    `barred` are firings that must not happen; `kept` are labels of nodes that no rule takes out. `tallies`, if given,
    collects by rule (name@file:line) what came of every attempt; that costs time. A rule that is not meant for the
    model's opsets has none.
    """

    def __init__(
        self,
        rules: Sequence[t.Rule],
        model: Model,
        environment: dict[str, Any],
        tallies: dict[str, Tally] | None = None,
        barred: Collection[Site] = (),
        kept: Collection[str] = (),
    ) -> None:
        self._model = model
        self._barred = barred
        self._kept = kept
        self._tallies = tallies
        self._index: dict[tuple[str, str], list[CompiledRule]] = {}
        self._depth = 1
        compiled: list[CompiledRule] = []
        for rule in rules:
            for variant in expand_operators(rule):
                if applies_to(variant, model.opsets):
                    # from each of its roots, so that the rule is found again whichever one a firing touched
                    firsts = range(len(root_statements(variant)))
                    compiled.extend(CompiledRule(variant, model.opsets, environment, first) for first in firsts)
                    if tallies is not None:
                        tallies.setdefault(rule.place, Tally())
        for rule in sorted(compiled, key=lambda c: (-c.rule.priority, -c.size)):
            self._depth = max(self._depth, rule.depth)
            for root in rule.roots:
                self._index.setdefault(root, []).append(rule)

    def run(self, journal: Journal, pass_name: str, after: Callable[[Firing], None] | None = None) -> int:
        """Apply the rules until none applies; returns the number of firings. `after` sees each one.

        Raises:
            RewriteError: the rules do not come to an end; the message names those that went on firing.
        """
        with np.errstate(all="ignore"):  # what is not finite is found, and declined, when it is rounded
            return self._run(journal, pass_name, after)

    def _run(self, journal: Journal, pass_name: str, after: Callable[[Firing], None] | None) -> int:
        model = self._model
        model.sort()
        queue = deque(n for n in model.all_nodes() if (n.domain, n.op_type) in self._index)
        waiting = set(queue)
        first = len(journal.firings)
        limit = max(FIRINGS_AT_LEAST, FIRINGS_PER_NODE * sum(1 for _ in model.all_nodes()))
        while queue:
            node = queue.popleft()
            waiting.discard(node)
            if node.graph is None:
                continue
            graph = node.graph
            started = time.perf_counter_ns()
            fired = self._try(node)
            if fired is None:
                continue
            rule, change = fired
            entry = _entry(len(journal.firings) + 1, pass_name, rule, graph.name, change, started)
            journal.firings.append(entry)
            if after is not None:
                after(entry)
            if len(journal.firings) - first >= limit:
                raise _endless(journal, limit)
            for again in self._touched(change):
                if again not in waiting:
                    waiting.add(again)
                    queue.append(again)
        model.sort()
        return len(journal.firings) - first

    def _try(self, node: Node) -> tuple[CompiledRule, Change] | None:
        for rule in self._index.get((node.domain, node.op_type), ()):
            if not rule.may_match(node):
                continue
            change = self._attempt(rule, node, Watch() if self._tallies is not None else None)
            if change is not None:
                return rule, change
        return None

    def _attempt(self, rule: CompiledRule, node: Node, watch: Watch | None) -> Change | None:
        state = rule.match(node, self._model, watch)
        change: Change | None = None
        if state is not None and not self._is_barred(rule, node, state):
            try:
                change = apply_plan(rule, state)
            except Decline as reason:
                state.stop("declined", rule.rule.rewrites[0].span, "{}", reason)
        if watch is not None and self._tallies is not None:
            self._tallies.setdefault(rule.place, Tally()).note(change is not None, watch.farthest)
        return change

    def _is_barred(self, rule: CompiledRule, node: Node, state: State) -> bool:
        if self._kept and any(n.label in self._kept for n in state.nodes):
            return not state.stop("declined", rule.rule.rewrites[0].span, "the recipe keeps a node of it")
        if not self._barred or node.graph is None:
            return False
        site = (rule.rule.place, node.graph.name, tuple(n.label for n in state.nodes))
        return site in self._barred and not state.stop("declined", rule.rule.rewrites[0].span, "this firing is barred")

    def _touched(self, change: Change) -> list[Node]:
        """New nodes, what reads from them as far down as a pattern reaches, and readers that are now alone."""
        found: dict[Node, None] = dict.fromkeys(change.added)
        frontier: list[Value] = [v for v in change.touched if len(v.uses) <= FEW_USES or _is_new(v, change)]
        for _ in range(self._depth):
            reached = [n for v in frontier for n in v.uses if n not in found]
            found.update(dict.fromkeys(reached))
            frontier = [o for n in reached for o in n.outputs if o is not None]
        return [n for n in found if n.graph is not None and (n.domain, n.op_type) in self._index]


def _is_new(value: Value, change: Change) -> bool:
    return value.producer in change.added


def _entry(number: int, pass_name: str, rule: CompiledRule, graph: str, change: Change, started: int) -> Firing:
    return Firing(
        number,
        pass_name,
        rule.place,
        graph,
        tuple(n.label for n in change.removed),
        tuple(n.label for n in change.added),
        (time.perf_counter_ns() - started) // 1000,
    )


def _endless(journal: Journal, limit: int) -> RewriteError:
    recent = Counter(f.rule for f in journal.firings[-200:])
    names = ", ".join(rule for rule, _ in recent.most_common(4))
    return RewriteError(
        f"the rules fired {limit} times and have not come to an end; lately: {names}",
        help="one of these rules undoes what another does; give one a stricter condition, or leave it out with --skip",
    )
