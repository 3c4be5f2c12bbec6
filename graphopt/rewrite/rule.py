"""A rule compiled for one model: pattern, conditions and rewrite as closures, ready for the index."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from graphopt.graph.graph import Node, Value
from graphopt.graph.model import Model
from graphopt.graph.schemas import has_operator
from graphopt.lang import tree as t
from graphopt.lang.evaluate import Compute, compile_expression
from graphopt.lang.names import names_in, pattern_size
from graphopt.lang.operators import split_operator
from graphopt.lang.source import Span
from graphopt.lang.values import UNKNOWN, Decline, as_truth, is_list
from graphopt.rewrite.emit import Unsettled, compile_rewrites
from graphopt.rewrite.mark import was_made_by
from graphopt.rewrite.pattern import PatternCompiler
from graphopt.rewrite.reject import root_glance
from graphopt.rewrite.state import State
from graphopt.rewrite.watch import Watch

Operator = tuple[str, str]


class CompiledRule:
    """One rule (one choice of its operator generics and of the root to begin at) for the opsets of one model.

    Attributes:
        rule: its syntax tree.
        place: name@file:line.
        roots: the operators that the root to begin at can be, as (domain, operator).
        depth: how many nodes lie between a root and the farthest node that the pattern reads.
        size: how many nodes the pattern has, a tie-break between rules.
    """

    def __init__(self, rule: t.Rule, opsets: dict[str, int], environment: dict[str, Any], first: int = 0) -> None:
        self.rule = rule
        self.place = rule.place
        self.depth, self.size = _extent(rule)
        self._environment = {**environment, "opset": opsets.get("", 1)}
        patterns = PatternCompiler(rule, opsets)
        roots = _in_reach(rule, first)
        self.roots = _operators(rule.matches[roots[0]])
        self._glance = root_glance(rule, roots[0])
        self._first = patterns.statement(roots[0])
        others = [(_anchors(rule, number, roots[:i]), number) for i, number in enumerate(roots) if i]
        self._others = [(anchors, patterns.statement(number)) for anchors, number in others]
        lets = {let.name: let for let in rule.lets}
        conditions = [*rule.where, *rule.when]
        early, late = _split_lets(lets, conditions)
        self._early = [(name, compile_expression(lets[name].value)) for name in early]
        self._late = [(name, compile_expression(lets[name].value)) for name in late]
        self._conditions: list[tuple[Compute, Span]] = [(compile_expression(c), c.span) for c in conditions]
        self._emit = compile_rewrites(rule)
        self._once = rule.order == "once"

    def may_match(self, root: Node) -> bool:
        """Whether the operators at and above a node leave the rule a chance."""
        return self._glance(root) and not (self._once and was_made_by(root, self.rule.name))

    def match(self, root: Node, model: Model, watch: Watch | None = None) -> State | None:
        """The first way in which the rule applies at this root, its plan included; None where it does not apply."""
        assert root.graph is not None
        state = State(model, root.graph, dict(self._environment), watch)
        found = self._first(root, -1, state, lambda: self._match_others(0, state))
        return state if found else None

    def _match_others(self, position: int, state: State) -> bool:
        if position == len(self._others):
            return self._conclude(state)
        anchors, statement = self._others[position]
        bound = ((_first_value(state.bindings.get(name)), distance) for distance, name in anchors)
        candidates = next((_consumers(value, distance) for value, distance in bound if value is not None), ())
        return any(statement(n, -1, state, lambda: self._match_others(position + 1, state)) for n in candidates)

    def _conclude(self, state: State) -> bool:
        outside = _read_outside(state)
        if outside is not None:
            return state.stop("structure", self.rule.matches[-1].span, "{!r} is read outside the match", outside)
        names = set(state.bindings)
        try:
            if self._holds(state):
                state.plan = self._emit(state.bindings)
                return True
        except Unsettled as reason:
            state.stop("unknown", self.rule.rewrites[0].span, "{}", reason)
        except Decline as reason:
            state.stop("declined", self.rule.rewrites[0].span, "{}", reason)
        for name in set(state.bindings) - names:
            del state.bindings[name]
        return False

    def _holds(self, state: State) -> bool:
        for name, compute in self._early:
            state.bindings[name] = compute(state.bindings)
        for condition, span in self._conditions:
            truth = as_truth(condition(state.bindings))
            if truth is UNKNOWN:
                return state.stop("unknown", span, "whether this holds is not known")
            if not truth:
                return state.stop("false", span, "this does not hold")
        for name, compute in self._late:
            state.bindings[name] = compute(state.bindings)
        return True


def _read_outside(state: State) -> Value | None:
    """A value inside the match that is read outside it."""
    nodes = state.nodes
    return next((v for v in state.interior if v.output_slots or any(user not in nodes for user in v.uses)), None)


def _consumers(value: Value, distance: int) -> list[Node]:
    found: dict[Node, None] = {}
    frontier = [value]
    for _ in range(distance):
        reached = [node for v in frontier for node in v.uses]
        found.update(dict.fromkeys(reached))
        frontier = [o for node in reached for o in node.outputs if o is not None]
    return list(found)


def root_statements(rule: t.Rule) -> list[int]:
    """Statements whose targets no other statement reads, the last one first: the index finds a rule by it."""
    read = {name for match in rule.matches for name in names_in(match.pattern)}
    roots = [i for i, m in enumerate(rule.matches) if not any(n in read for n in m.targets if n)]
    return list(reversed(roots))


def _operators(match: t.Match) -> tuple[Operator, ...]:
    patterns = match.pattern.options if isinstance(match.pattern, t.Alternatives) else (match.pattern,)
    return tuple(dict.fromkeys(split_operator(p.operator) for p in patterns))


def _in_reach(rule: t.Rule, first: int) -> list[int]:
    """The roots, beginning at one of them, each of which shares a name with those before it."""
    pending = root_statements(rule)
    ordered = [pending.pop(first)]
    while pending:
        found = next(number for number in pending if _anchors(rule, number, ordered))
        pending.remove(found)
        ordered.append(found)
    return ordered


def _anchors(rule: t.Rule, number: int, before: list[int]) -> list[tuple[int, str]]:
    """Names that earlier roots bind and this one reads, each with how many nodes below it the root lies."""
    bound = {name for b in before for name in _reachable_names(rule, b)}
    return sorted((d, n) for n, d in _distances(rule, number).items() if n in bound)


def _first_value(bound: Any) -> Value | None:
    """The tensor that a name stands for; the first of several, None where it is absent."""
    if is_list(bound):
        return next((v for v in bound if isinstance(v, Value)), None)
    return bound if isinstance(bound, Value) else None


def _distances(rule: t.Rule, number: int, depth: int = 1) -> dict[str, int]:
    producers = {n: i for i, m in enumerate(rule.matches) for n in m.targets if n}
    found: dict[str, int] = {}

    def walk(pattern: t.InputPattern, depth: int) -> None:
        if isinstance(pattern, (t.Variable, t.Variadic)):
            found[pattern.name] = min(depth, found.get(pattern.name, depth))
            if pattern.name in producers:
                walk(rule.matches[producers[pattern.name]].pattern, depth + 1)
        elif isinstance(pattern, t.Alternatives):
            for option in pattern.options:
                walk(option, depth)
        elif isinstance(pattern, t.NodePattern):
            for inner in pattern.inputs:
                walk(inner, depth + (isinstance(inner, (t.NodePattern, t.Alternatives))))

    walk(rule.matches[number].pattern, depth)
    return found


def _reachable_names(rule: t.Rule, number: int) -> set[str]:
    return {*_distances(rule, number), *(n for n in rule.matches[number].targets if n)}


def _extent(rule: t.Rule) -> tuple[int, int]:
    depth = max(max(_distances(rule, r).values(), default=1) for r in root_statements(rule))
    return depth, pattern_size(rule)


def _split_lets(lets: dict[str, t.Let], conditions: list[t.Expression]) -> tuple[list[str], list[str]]:
    """Lets that conditions need, and the rest, both in the order of the file."""
    needed: set[str] = set()
    pending = [n for c in conditions for n in names_in(c)]
    while pending:
        name = pending.pop()
        if name in lets and name not in needed:
            needed.add(name)
            pending.extend(names_in(lets[name].value))
    return [n for n in lets if n in needed], [n for n in lets if n not in needed]


def expand_operators(rule: t.Rule) -> list[t.Rule]:
    """One rule for each choice of its operator generics, so that the index by operator stays exact."""
    rules = [rule]
    for generic in rule.generics:
        if generic.options[0][0].isupper() or "::" in generic.options[0]:
            rules = [_choose(r, generic.name, option) for r in rules for option in generic.options]
    return rules


def _choose(rule: t.Rule, name: str, operator: str) -> t.Rule:
    from graphopt.lang.names import rename_operator

    return replace(
        rule,
        matches=tuple(replace(m, pattern=rename_operator(m.pattern, name, operator)) for m in rule.matches),
        where=tuple(rename_operator(e, name, operator) for e in rule.where),
        when=tuple(rename_operator(e, name, operator) for e in rule.when),
        lets=tuple(replace(x, value=rename_operator(x.value, name, operator)) for x in rule.lets),
        rewrites=tuple(replace(x, value=rename_operator(x.value, name, operator)) for x in rule.rewrites),
    )


def applies_to(rule: t.Rule, opsets: dict[str, int]) -> bool:
    """Whether a rule is meant for a model of these opsets: its range holds, and the operators that it reads exist."""
    opset = opsets.get("", 1)
    bounds = rule.opset
    if bounds is not None and not ((bounds.low or 1) <= opset <= (bounds.high or opset)):
        return False
    return all(any(domain or has_operator(name, opset) for domain, name in _operators(m)) for m in rule.matches)
