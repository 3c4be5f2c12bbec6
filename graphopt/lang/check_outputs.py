"""What a rule takes out of the graph and what it puts back: outputs, captured attributes, and one connected match."""

from __future__ import annotations

from graphopt.errors import did_you_mean
from graphopt.lang import tree as t
from graphopt.lang.diagnostics import Diagnostics
from graphopt.lang.names import names_in, walk


def check_outputs(rule: t.Rule, found: Diagnostics) -> None:
    """Each matched value that leaves is defined again, each captured attribute is spent, the match hangs together."""
    _check_results(rule, found)
    _check_rests(rule, found)
    _check_roots(rule, found)


def _check_results(rule: t.Rule, found: Diagnostics) -> None:
    redefined = {n for r in rule.rewrites for n in r.targets if n}
    read = {n for m in rule.matches for n in names_in(m.pattern)}
    for match in rule.matches:
        for name in match.targets:
            if name is not None and name not in read and name not in redefined:
                found.add(
                    "GR030",
                    f"{name} leaves the match and is not defined again",
                    match.span,
                    f"add '{name} = ...' to rewrite:, or write _ where it must be unused",
                )
    results = {n for m in rule.matches for n in m.targets if n}
    if not results & redefined:
        found.add("GR030", f"the rewrite of {rule.name} defines no value of the match", rule.rewrites[0].span)


def _check_rests(rule: t.Rule, found: Diagnostics) -> None:
    patterns = [p for m in rule.matches for p in walk(m.pattern) if isinstance(p, t.NodePattern)]
    captured = {p.rest: p.span for p in patterns if p.rest}
    spent = {c.rest: c.span for r in rule.rewrites for c in walk(r.value) if isinstance(c, t.NodeCall) and c.rest}
    for name, span in captured.items():
        if name not in spent:
            found.add("GR031", f"the attributes captured in **{name} are dropped", span, f"spend **{name} in rewrite:")
    for name, span in spent.items():
        if name not in captured:
            found.add("GR032", f"nothing captures **{name}", span, did_you_mean(name, captured))


def _check_roots(rule: t.Rule, found: Diagnostics) -> None:
    """Every statement must hang together with the others through a value, and none may read its own result."""
    producers = {n: m for m in rule.matches for n in m.targets if n}
    for match in rule.matches:
        if _reads_itself(match, producers):
            found.add("GR033", "the statement reads its own result", match.span, "a graph has no cycles")
            return
    groups: list[set[str]] = []
    for match in rule.matches:
        names = {*names_in(match.pattern), *(n for n in match.targets if n)}
        joined = [g for g in groups if g & names]
        groups = [g for g in groups if not g & names] + [names.union(*joined)]
    if len(groups) > 1:
        found.add(
            "GR033",
            f"the match of {rule.name} falls into {len(groups)} parts that share no value",
            rule.matches[-1].span,
            "join them by a value that both read",
        )


def _reads_itself(match: t.Match, producers: dict[str, t.Match]) -> bool:
    pending, seen = [match], set[int]()
    while pending:
        current = pending.pop()
        for name in names_in(current.pattern):
            above = producers.get(name)
            if above is match:
                return True
            if above is not None and id(above) not in seen:
                seen.add(id(above))
                pending.append(above)
    return False
