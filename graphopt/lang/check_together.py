"""Rules against each other: names, rules that hide others, and rules that undo each other."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Sequence

from graphopt.lang import tree as t
from graphopt.lang.check_targets import for_others
from graphopt.lang.check_termination import emitted_operators, heads
from graphopt.lang.diagnostics import Diagnostics
from graphopt.lang.names import pattern_size, walk
from graphopt.lang.operators import split_operator
from graphopt.lang.overlap import LeftSide, covers, may_overlap, options_of
from graphopt.lang.versions import opset_bounds


def check_together(rules: Sequence[t.Rule], found: Diagnostics, shipped: Collection[int] = ()) -> None:
    """Everything that takes two rules of one phase to go wrong. `shipped` are the ids of those that come with
    graphopt: rules of others go before them where neither priority nor size tells, and may hide them."""
    phases: dict[str, list[t.Rule]] = {}
    for rule in rules:
        phases.setdefault(rule.phase, []).append(rule)
    for members in phases.values():
        _check_order(members, found, shipped)
        _check_cycles(members, found)


def _share_opsets(first: t.Rule, second: t.Rule) -> bool:
    (low, high), (other_low, other_high) = opset_bounds(first.opset), opset_bounds(second.opset)
    return low <= other_high and other_low <= high


# --- which of two is tried first ---


def _check_order(rules: list[t.Rule], found: Diagnostics, shipped: Collection[int]) -> None:
    """Rules in the order in which the engine tries them: priority, then size, then whose they are, then the order of
    the files."""
    turns = {id(rule): (-rule.priority, -pattern_size(rule), id(rule) in shipped) for rule in rules}
    by_root: dict[str, list[LeftSide]] = {}
    for rule in sorted(rules, key=lambda rule: turns[id(rule)]):
        side = LeftSide(rule)
        earlier = {id(s): s for operator in side.operators for s in by_root.get(operator, ())}
        for other in earlier.values():
            if id(rule) in shipped and id(other.rule) not in shipped:
                continue
            at_once = turns[id(other.rule)] == turns[id(rule)]
            may_meet = _share_opsets(rule, other.rule) and not for_others(rule, other.rule)
            if may_meet and _conflict(other, side, found, at_once=at_once):
                break
        for operator in side.operators:
            by_root.setdefault(operator, []).append(side)


def _conflict(before: LeftSide, after: LeftSide, found: Diagnostics, *, at_once: bool) -> bool:
    """Tell what is wrong about two rules of which the first is tried before the second, or nothing says which."""
    first, second = before.rule, after.rule
    if _is_unconditional(first) and _includes(first, second) and covers(before, after):
        found.add(
            "GR060",
            f"{second.name} never fires: {first.name} matches the same nodes, and more, and is tried first",
            second.name_span,
            f"give {second.name} a priority above {first.priority}, or a larger pattern",
            (first.name_span, "it is tried first"),
        )
        return True
    if at_once and may_overlap(before, after):
        found.add(
            "GR061",
            f"{second.name} and {first.name} can match the same nodes, and nothing but their place in the files "
            "says which is tried first",
            second.name_span,
            "give one of them a priority: the higher one is tried first",
            (first.name_span, "the other one is here"),
        )
        return True
    return False


def _is_unconditional(rule: t.Rule) -> bool:
    return not rule.where and not rule.when and rule.order != "once"


def _includes(first: t.Rule, second: t.Rule) -> bool:
    (low, high), (other_low, other_high) = opset_bounds(first.opset), opset_bounds(second.opset)
    return low <= other_low and other_high <= high


# --- rules that undo each other ---


def _check_cycles(rules: list[t.Rule], found: Diagnostics) -> None:
    """No operator that a rule lowers may come back through other rules of the phase."""
    lowering = [r for r in rules if r.order == "lower"]
    told: set[frozenset[str]] = set()
    for rule in lowering:
        for path in _ways_back(rule, lowering):
            if frozenset(r.name for r in path) not in told:
                told.add(frozenset(r.name for r in path))
                _tell_cycle(path, found)
                break
    for rule in lowering:
        for other in rules:
            if other.order != "lower" and _share_opsets(rule, other) and _rebuilds(other, rule):
                _tell_cycle([rule, other], found)


def _ways_back(rule: t.Rule, others: list[t.Rule]) -> Iterator[list[t.Rule]]:
    """Chains of lowering rules from what this rule emits to what it lowers, the shortest first."""
    chains = [[rule]]
    seen = {rule.name}
    while chains:
        chain = chains.pop(0)
        emitted = set(emitted_operators(chain[-1]))
        for other in others:
            if not heads(other) & emitted or not _share_opsets(rule, other):
                continue
            if other is rule and len(chain) > 1:
                yield chain
            elif other.name not in seen:
                seen.add(other.name)
                chains.append([*chain, other])


def _rebuilds(other: t.Rule, rule: t.Rule) -> bool:
    """Whether a rule makes what another one lowers, of nodes that this one made."""
    if not heads(rule) & set(emitted_operators(other)):
        return False
    made = Counter(c.operator for r in rule.rewrites for c in walk(r.value) if isinstance(c, t.NodeCall))
    needed = Counter[str]()
    for match in other.matches:
        for part in walk(options_of(match.pattern)[0]):
            if isinstance(part, t.NodePattern):
                needed[part.operator] += len(part.inputs) - 1 if part.is_product else 1
    return all(made[operator] >= count for operator, count in needed.items())


def _tell_cycle(path: list[t.Rule], found: Diagnostics) -> None:
    first, *others = path
    names = f"{', '.join(r.name for r in others[:-1])} and {others[-1].name}" if others[1:] else others[0].name
    verb = "bring" if others[1:] else "brings"
    operators = ", ".join(sorted(split_operator(o)[1] for o in heads(first)))
    found.add(
        "GR044",
        f"{first.name} lowers {operators}, and {names} of the same phase {verb} it back",
        first.name_span,
        "leave one of them out, or move it to another phase",
        (others[-1].name_span, f"{operators} comes back here"),
    )
