"""Why a rule fires where it does, and not elsewhere."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from graphopt.errors import UsageError, did_you_mean
from graphopt.graph.graph import Node
from graphopt.graph.model import Model
from graphopt.lang import tree as t
from graphopt.lang.condition_values import values_in
from graphopt.lang.values import Decline
from graphopt.rewrite.apply import check_plan
from graphopt.rewrite.rule import CompiledRule, applies_to, expand_operators
from graphopt.rewrite.watch import Stop, Watch


@dataclass(frozen=True)
class Explanation:
    """What came of one rule on one model.

    Attributes:
        rule: name@file:line.
        candidates: how many nodes have the operator of the rule's root.
        fires: labels of the nodes where it would fire.
        stops: for each other candidate its label and where the attempt stopped.
        reason: why there was nothing to try at all, if so.
    """

    rule: str
    candidates: int
    fires: tuple[str, ...]
    stops: tuple[tuple[str, Stop], ...]
    reason: str | None = None

    @property
    def best(self) -> tuple[str, Stop] | None:
        """The attempt that came farthest without success."""
        return max(self.stops, key=lambda s: s[1].reach, default=None)


def explain(rules: Sequence[t.Rule], name: str, model: Model, node: str | None = None) -> Explanation:
    """Try one rule at every node that can be its root, or at one node, without changing the model.

    Raises:
        UsageError: there is no such rule or node.
    """
    rule = _find(rules, name)
    variants = [v for v in expand_operators(rule) if applies_to(v, model.opsets)]
    if not variants:
        return Explanation(rule.place, 0, (), (), f"the rule is not meant for opset {model.opset}")
    compiled = [CompiledRule(v, model.opsets, {}) for v in variants]
    roots = {root for c in compiled for root in c.roots}
    nodes = [_node(model, node)] if node is not None else list(model.all_nodes())
    candidates = [n for n in nodes if (n.domain, n.op_type) in roots]
    if not candidates:
        wanted = " or ".join(sorted(operator for _, operator in roots))
        where = f"{nodes[0].label} is a {nodes[0].op_type}" if node is not None else "the model has none"
        return Explanation(rule.place, 0, (), (), f"the root of the rule is a {wanted}; {where}")
    fires: list[str] = []
    stops: list[tuple[str, Stop]] = []
    for candidate in candidates:
        with np.errstate(all="ignore"):  # as the engine has it: what is not finite declines
            stop = _try(compiled, candidate, model)
        if stop is None:
            fires.append(candidate.label)
        else:
            stops.append((candidate.label, stop))
    return Explanation(rule.place, len(candidates), tuple(fires), tuple(stops))


def _find(rules: Sequence[t.Rule], name: str) -> t.Rule:
    found = next((r for r in rules if r.name == name), None)
    if found is None:
        names = sorted({r.name for r in rules})
        raise UsageError(f"there is no rule {name!r}", help=did_you_mean(name, names) or f"rules: {', '.join(names)}")
    return found


def _node(model: Model, name: str) -> Node:
    labels = {n.label: n for n in model.all_nodes()}
    by_output = {o.name: n for n in model.all_nodes() for o in n.outputs if o is not None}
    found = labels.get(name) or by_output.get(name)
    if found is None:
        raise UsageError(f"there is no node {name!r}", help=did_you_mean(name, [*labels, *by_output]))
    return found


def _try(compiled: Sequence[CompiledRule], node: Node, model: Model) -> Stop | None:
    """None where one of the variants fires; else the stop of the attempt that came farthest."""
    watch = Watch()
    for rule in compiled:
        if (node.domain, node.op_type) not in rule.roots:
            continue
        state = rule.match(node, model, watch)
        if state is None:
            continue
        try:
            check_plan(rule, state)
        except Decline as reason:
            state.stop("declined", rule.rule.rewrites[0].span, "{}", reason)
            continue
        return None
    assert watch.farthest is not None
    return _with_values(watch.farthest, compiled)


def _with_values(stop: Stop, compiled: Sequence[CompiledRule]) -> Stop:
    for condition in (c for r in compiled for c in (*r.rule.where, *r.rule.when)):
        if condition.span == stop.span:
            return replace(stop, values=values_in(condition, stop.bindings))
    return stop
