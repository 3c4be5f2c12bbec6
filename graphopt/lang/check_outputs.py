"""What a rule takes out of the graph and what it puts back: outputs, captured attributes, and one connected match."""

from __future__ import annotations

from collections.abc import Iterator

from graphopt.errors import did_you_mean
from graphopt.lang import tree as t
from graphopt.lang.check_operators import operators_of
from graphopt.lang.diagnostics import Diagnostics
from graphopt.lang.names import names_in, walk
from graphopt.lang.versions import versions_within


def check_outputs(rule: t.Rule, found: Diagnostics) -> None:
    """Each matched value that leaves is defined again, each captured attribute is spent, the match hangs together."""
    _check_results(rule, found)
    _check_reads(rule, found)
    _check_rests(rule, found)
    _check_roots(rule, found)


def _check_results(rule: t.Rule, found: Diagnostics) -> None:
    redefined = {n for r in rule.rewrites for n in r.targets if n}
    read = {n for m in rule.matches for n in names_in(m.pattern)}
    for match in rule.matches:
        for name in match.targets if not match.is_shared else ():
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


def _check_reads(rule: t.Rule, found: Diagnostics) -> None:
    """What the match takes out is gone; under its name is there what the rewrite has defined so far."""
    matched = {n: m for m in rule.matches for n in m.targets if n}
    there = {n for n, m in matched.items() if m.is_shared}
    for rewrite in rule.rewrites:
        for name in _tensors_read(rewrite.value):
            if name.name in matched and name.name not in there:
                found.add(
                    "GR038",
                    f"{name.name} is taken out by the match, and cannot be read here",
                    name.span,
                    f"define it in a line above, or match it as shared {name.name} = ...",
                    (matched[name.name].span, "it is matched here"),
                )
        there.update(n for n in rewrite.targets if n)


def _tensors_read(value: t.Expression) -> Iterator[t.Name]:
    """Names that stand for a tensor of the graph, rather than for something that is known of it."""
    if isinstance(value, t.Name):
        yield value
    elif isinstance(value, t.NodeCall):
        for argument in value.arguments:
            yield from _tensors_read(argument)
    elif isinstance(value, t.Operation) and value.sign in ("if", "??"):
        for operand in value.operands[:: 2 if value.sign == "if" else 1]:
            yield from _tensors_read(operand)


def _check_rests(rule: t.Rule, found: Diagnostics) -> None:
    patterns = [p for m in rule.matches for p in walk(m.pattern) if isinstance(p, t.NodePattern)]
    captured = {p.rest: p for p in patterns if p.rest}
    calls = [c for r in rule.rewrites for c in walk(r.value) if isinstance(c, t.NodeCall)]
    spent = {c.rest: c for c in calls if c.rest}
    for name, pattern in captured.items():
        if name not in spent:
            message = f"the attributes captured in **{name} are dropped"
            found.add("GR031", message, pattern.span, f"spend **{name} in rewrite:")
    for name, node in spent.items():
        if name not in captured:
            found.add("GR032", f"nothing captures **{name}", node.span, did_you_mean(name, captured))
            continue
        strange = _strange_attributes(captured[name], node, rule)
        if strange:
            help_line = f"ask for {strange[0]} in match:, so that it is not among them"
            message = f"{node.operator} has no attribute {strange[0]}, which **{name} may hold"
            found.add("GR017", message, node.span, help_line, (captured[name].span, "it is captured here"))


def _strange_attributes(pattern: t.NodePattern, node: t.NodeCall, rule: t.Rule) -> list[str]:
    """Attributes that may be captured and that the node which they are spent on has in no opset of the rule."""
    mentioned = {a.name for a in pattern.attributes}
    may_hold = set[str]().union(*(_attributes_of(o, rule) or () for o in operators_of(pattern.operator, rule)))
    taken = [_attributes_of(o, rule) for o in operators_of(node.operator, rule)]
    return sorted(n for n in may_hold - mentioned if any(t is not None and n not in t for t in taken))


def _attributes_of(operator: str, rule: t.Rule) -> set[str] | None:
    """The attributes of an operator in any opset of the rule; None where its schema is not known."""
    versions = [v for v in versions_within(operator, rule.opset).values() if v is not None]
    return {name for v in versions for name in v.attributes} if versions else None


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
