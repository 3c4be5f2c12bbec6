"""Static checks of rule files: everything that can be known before a model is there. All errors at once."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

from graphopt.graph.dtypes import DType
from graphopt.lang import tree as t
from graphopt.lang.check_operators import check_operators
from graphopt.lang.check_termination import check_termination
from graphopt.lang.diagnostics import Diagnostics
from graphopt.lang.evaluate import LANGUAGE_NAMES
from graphopt.lang.functions import FUNCTIONS
from graphopt.lang.names import names_in, walk
from graphopt.lang.source import Span

PHASES = ("simplify", "fold", "fuse", "legalize", "quantize", "prune")
"""Phases in the order in which recipes usually run them."""

CONTRACTS = ("exact", "real", "approx", "quant")
ORDERS = ("shrink", "lower", "once")
MEMBERS = ("rank", "shape", "dtype", "size")


def check(files: Iterable[t.RuleFile]) -> None:
    """Check rule files together.

    Raises:
        RuleError: every error of every file.
    """
    found = Diagnostics()
    first: dict[str, t.Rule] = {}
    for file in files:
        for rule in file.rules:
            twin = first.setdefault(rule.name, rule)
            if twin is not rule:
                found.add(
                    "GR002",
                    f"there are two rules named {rule.name}",
                    rule.name_span,
                    "give one of them another name",
                    (twin.name_span, "the other one is here"),
                )
            _check_rule(rule, found)
    found.raise_if_any()


def _check_rule(rule: t.Rule, found: Diagnostics) -> None:
    _check_words(rule, found)
    if not rule.matches or not rule.rewrites:
        missing = "rewrite:" if rule.matches else "match:"
        found.add("GR003", f"the rule {rule.name} has no {missing} section", rule.name_span)
        return
    _Names(rule, found).check()
    _check_outputs(rule, found)
    _check_rests(rule, found)
    _check_roots(rule, found)
    check_operators(rule, found)
    check_termination(rule, found)


def closest(word: str, words: Iterable[str]) -> str | None:
    """A help line that suggests the nearest known word."""
    near = difflib.get_close_matches(word, list(words), 1)
    return f"did you mean {near[0]}?" if near else None


def _check_words(rule: t.Rule, found: Diagnostics) -> None:
    for what, word, known in (
        ("phase", rule.phase, PHASES),
        ("contract", rule.equal, CONTRACTS),
        ("order", rule.order, ORDERS),
    ):
        if word not in known:
            help_line = closest(word, known) or f"one of {', '.join(known)}"
            found.add("GR004", f"there is no {what} {word}", rule.name_span, help_line)
    if (rule.equal == "approx") != (rule.error is not None):
        found.add("GR004", "approx needs an error bound, and nothing else has one", rule.name_span, "approx(1e-3)")
    if not rule.doc:
        found.add("GR005", f"the rule {rule.name} says nothing of itself", rule.name_span, 'begin with "a sentence."')
    for generic in rule.generics:
        _check_generic(generic, found)


def _check_generic(generic: t.Generic, found: Diagnostics) -> None:
    operators = [o for o in generic.options if o[0].isupper() or "::" in o]
    if operators and len(operators) != len(generic.options):
        found.add("GR006", f"{generic.name} mixes operators and dtypes", generic.span)
    for option in generic.options:
        if option not in operators and option not in DType.__members__:
            found.add("GR007", f"there is no dtype {option}", generic.span, closest(option, DType.__members__))


class _Names:
    """Every name is bound once, before it is read, and read somewhere."""

    def __init__(self, rule: t.Rule, found: Diagnostics) -> None:
        self.rule = rule
        self.found = found
        self.bound: dict[str, Span] = {}
        self.read: set[str] = set()

    def check(self) -> None:
        self._bind_pattern()
        for let in self.rule.lets:
            self._expression(let.value)
            self._bind_new(let.name, let.span)
        for condition in (*self.rule.where, *self.rule.when):
            self._expression(condition)
        targets = {n for m in self.rule.matches for n in m.targets if n}
        for rewrite in self.rule.rewrites:
            self._expression(rewrite.value, emits=True)
            for name in rewrite.targets:
                if name is not None and name not in targets:
                    self._bind_new(name, rewrite.span)
        redefined = {n for r in self.rule.rewrites for n in r.targets if n}
        for name, span in self.bound.items():
            if name not in self.read and name not in redefined and not name.startswith("_"):
                self.found.add("GR021", f"{name} is bound and never read", span, "write _ where nothing is read")

    def _bind_pattern(self) -> None:
        for match in self.rule.matches:
            for name in match.targets:
                if name is not None:
                    self._bind_new(name, match.span)
        seen: dict[str, int] = {}
        for match in self.rule.matches:
            for part in walk(match.pattern):
                for name in _names_bound_by(part, self.rule):
                    seen[name] = seen.get(name, 0) + 1
                    if name in self.bound:
                        self.read.add(name)
                    self.bound.setdefault(name, part.span)
        self.read.update(n for n, count in seen.items() if count > 1)

    def _bind_new(self, name: str, span: Span) -> None:
        if name in self.bound:
            self.found.add("GR022", f"{name} is bound twice", span, None, (self.bound[name], "it is bound here"))
        self.bound[name] = span

    def _expression(self, expression: t.Expression, *, emits: bool = False) -> None:
        for part in walk(expression):
            if isinstance(part, t.Name):
                self._name(part)
            elif isinstance(part, t.Call):
                self._call(part)
            elif isinstance(part, t.NodeCall):
                if not emits:
                    self.found.add("GR023", "a graph node can only be made in rewrite:", part.span)
                if part.rest is not None:
                    self.read.add(part.rest)
            elif isinstance(part, t.Member) and part.name not in MEMBERS:
                self.found.add("GR024", f"a tensor has no {part.name}", part.span, closest(part.name, MEMBERS))

    def _name(self, part: t.Name) -> None:
        self.read.add(part.name)
        if part.name not in self.bound and part.name not in LANGUAGE_NAMES and part.name not in DType.__members__:
            self.found.add("GR020", f"{part.name} is not bound", part.span, closest(part.name, self.bound))

    def _call(self, part: t.Call) -> None:
        function = FUNCTIONS.get(part.function)
        if function is None:
            self.found.add(
                "GR025", f"there is no function {part.function}", part.span, closest(part.function, FUNCTIONS)
            )
            return
        least, most = function.arity
        given = len(part.arguments) + len(part.keywords)
        if given < least or (most is not None and given > most):
            self.found.add("GR026", f"{part.function} does not take {given} arguments", part.span, function.signature)


def _names_bound_by(part: object, rule: t.Rule) -> list[str]:
    if isinstance(part, (t.Variable, t.Variadic)):
        return [part.name]
    if isinstance(part, t.AttributePattern):
        return [part.variable] if part.variable is not None else []
    if isinstance(part, t.DimPattern):
        return [part.name] if part.name is not None else []
    if isinstance(part, t.NodePattern):
        return [part.rest] if part.rest is not None else []
    return []


def _check_outputs(rule: t.Rule, found: Diagnostics) -> None:
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


def _check_rests(rule: t.Rule, found: Diagnostics) -> None:
    patterns = [p for m in rule.matches for p in walk(m.pattern) if isinstance(p, t.NodePattern)]
    captured = {p.rest: p.span for p in patterns if p.rest}
    spent = {c.rest: c.span for r in rule.rewrites for c in walk(r.value) if isinstance(c, t.NodeCall) and c.rest}
    for name, span in captured.items():
        if name not in spent:
            found.add("GR031", f"the attributes captured in **{name} are dropped", span, f"spend **{name} in rewrite:")
    for name, span in spent.items():
        if name not in captured:
            found.add("GR032", f"nothing captures **{name}", span, closest(name, captured))


def _check_roots(rule: t.Rule, found: Diagnostics) -> None:
    """Every statement must hang together with the others through a value."""
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
