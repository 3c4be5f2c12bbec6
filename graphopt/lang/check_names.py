"""Names: each is bound, in one meaning, before it is read, and is read somewhere."""

from __future__ import annotations

from collections.abc import Iterator

from graphopt.errors import did_you_mean
from graphopt.graph.dtypes import DType
from graphopt.lang import tree as t
from graphopt.lang.check_operators import check_exists
from graphopt.lang.diagnostics import Diagnostics
from graphopt.lang.evaluate import LANGUAGE_NAMES
from graphopt.lang.functions import FUNCTIONS
from graphopt.lang.names import walk
from graphopt.lang.source import Span

RESERVED = frozenset((*LANGUAGE_NAMES, *DType.__members__, "if", "else", "and", "or", "not", "in"))

Binding = tuple[str, str, Span]
"""A name, what it stands for, and where it is bound."""


def check_names(rule: t.Rule, found: Diagnostics) -> None:
    """Bindings and reads of a whole rule."""
    _Names(rule, found).check()


def bindings_of(part: object) -> Iterator[Binding]:
    """What one part of a pattern binds by itself."""
    if isinstance(part, t.Variable):
        yield part.name, "a tensor", part.span
    elif isinstance(part, t.Variadic):
        yield part.name, "a list of tensors", part.span
    elif isinstance(part, t.AttributePattern) and part.variable is not None:
        yield part.variable, "an attribute", part.span
    elif isinstance(part, t.DimPattern) and part.name is not None:
        yield part.name, "a dim" if part.kind == "name" else "a list of dims", part.span
    elif isinstance(part, t.NodePattern) and part.rest is not None:
        yield part.rest, "captured attributes", part.span


def surely_bound(pattern: object) -> set[str]:
    """The names that a pattern binds whichever of its alternatives matches."""
    found = {name for name, _, _ in bindings_of(pattern)}
    if isinstance(pattern, t.Alternatives):
        first, *others = (surely_bound(o) for o in pattern.options)
        return found | first.intersection(*others)
    if isinstance(pattern, t.NodePattern):
        return found.union(*(surely_bound(p) for p in (*pattern.inputs, *pattern.attributes)))
    if isinstance(pattern, t.Variable) and pattern.type is not None:
        return found.union(*(surely_bound(d) for d in pattern.type.dims))
    return found


class _Names:
    def __init__(self, rule: t.Rule, found: Diagnostics) -> None:
        self.rule = rule
        self.found = found
        self.bound: dict[str, tuple[str, Span]] = {}
        self.read: dict[str, Span] = {}
        self.generics = {g.name: g for g in rule.generics}
        self.targets = {n for m in rule.matches for n in m.targets if n}

    def check(self) -> None:
        self._generics()
        self._pattern()
        for let in self.rule.lets:
            self._expression(let.value)
            self._new(let.name, "computed", let.span)
        for condition in (*self.rule.where, *self.rule.when):
            self._expression(condition)
        self._rewrites()
        self._unused()
        self._alternatives()

    def _generics(self) -> None:
        seen: dict[str, Span] = {}
        for generic in self.rule.generics:
            if generic.name in seen:
                other = seen[generic.name], "it is bound here"
                self.found.add("GR022", f"{generic.name} is bound twice", generic.span, None, other)
            seen[generic.name] = generic.span
        used = {p.dtype for m in self.rule.matches for p in walk(m.pattern) if isinstance(p, t.TypePattern)}
        used |= {p.operator for p in _parts(self.rule) if isinstance(p, (t.NodePattern, t.NodeCall))}
        used |= {p.name for p in _parts(self.rule) if isinstance(p, t.Capital)}
        for generic in self.rule.generics:
            if generic.name not in used:
                self.found.add("GR021", f"{generic.name} is bound and never read", generic.span)

    # --- binding ---

    def _pattern(self) -> None:
        for match in self.rule.matches:
            for name in match.targets:
                if name is not None:
                    self._new(name, "a tensor", match.span)
        for match in self.rule.matches:
            for part in walk(match.pattern):
                for name, meaning, span in bindings_of(part):
                    self._bind(name, meaning, span)
                if isinstance(part, t.TypePattern):
                    self._type(part)
                elif isinstance(part, t.Variable) and (part.type is not None or part.is_const):
                    self.read.setdefault(part.name, part.span)  # it is there for what it says of the tensor
                elif isinstance(part, t.NodePattern) and part.rest is not None:
                    self.read.setdefault(part.rest, part.span)  # that these are spent is checked on its own

    def _bind(self, name: str, meaning: str, span: Span) -> None:
        """A name may stand at several places of a pattern: then they must be the same."""
        if name not in self.bound:
            self._new(name, meaning, span)
            return
        before, where = self.bound[name]
        self.read[name] = span
        numbers = {"a dim", "an attribute"}
        lists = {"a list of dims", "an attribute"}
        if before != meaning and not ({before, meaning} <= numbers or {before, meaning} <= lists):
            self.found.add("GR029", f"{name} is {meaning} here", span, "use two names", (where, f"and {before} here"))

    def _new(self, name: str, meaning: str, span: Span) -> None:
        if name in RESERVED:
            self.found.add("GR027", f"{name} is a word of the language", span, "use another name")
        if name in self.bound:
            self.found.add("GR022", f"{name} is bound twice", span, None, (self.bound[name][1], "it is bound here"))
        self.bound[name] = meaning, span

    def _type(self, part: t.TypePattern) -> None:
        if part.dtype is None or part.dtype in DType.__members__:
            pass
        elif part.dtype not in self.generics:
            known = [*self.generics, *DType.__members__]
            self.found.add("GR007", f"there is no dtype {part.dtype}", part.span, did_you_mean(part.dtype, known))
        elif is_operator_generic(self.generics[part.dtype]):
            other = self.generics[part.dtype].span, "it is bound here"
            self.found.add("GR029", f"{part.dtype} stands for operators, not for dtypes", part.span, None, other)
        rests = [d for d in part.dims if d.kind == "rest"]
        if len(rests) > 1:
            self.found.add("GR029", "a type has one ... at most", rests[1].span)

    # --- reading ---

    def _expression(self, expression: t.Expression) -> None:
        for part in walk(expression):
            if isinstance(part, t.Name):
                self._name(part)
            elif isinstance(part, t.Capital):
                self._capital(part)
            elif isinstance(part, t.Call) and part.function not in FUNCTIONS:
                help_line = did_you_mean(part.function, FUNCTIONS)
                self.found.add("GR025", f"there is no function {part.function}", part.span, help_line)
            elif isinstance(part, t.NodeCall):
                if part.rest is not None:
                    self.read[part.rest] = part.span
                self._operator(part)

    def _name(self, part: t.Name) -> None:
        self.read.setdefault(part.name, part.span)
        if part.name not in self.bound and part.name not in RESERVED:
            self.found.add("GR020", f"{part.name} is not bound", part.span, did_you_mean(part.name, self.bound))

    def _capital(self, part: t.Capital) -> None:
        if part.name not in self.generics:
            check_exists(part.name, part.span, self.found)

    def _operator(self, part: t.NodeCall | t.NodePattern) -> None:
        generic = self.generics.get(part.operator)
        if generic is not None and not is_operator_generic(generic):
            other = generic.span, "it is bound here"
            self.found.add("GR029", f"{part.operator} stands for dtypes, not for operators", part.span, None, other)

    def _rewrites(self) -> None:
        for match in self.rule.matches:
            for part in walk(match.pattern):
                if isinstance(part, t.NodePattern):
                    self._operator(part)
        shared = {n: m.span for m in self.rule.matches if m.is_shared for n in m.targets if n}
        made: dict[str, Span] = {}
        for rewrite in self.rule.rewrites:
            self._expression(rewrite.value)
            for name in rewrite.targets:
                if name is None:
                    continue
                if name in made:
                    self.found.add(
                        "GR022", f"{name} is bound twice", rewrite.span, None, (made[name], "it is bound here")
                    )
                elif name in shared:
                    other = shared[name], "it is matched here"
                    self.found.add("GR022", f"{name} is shared: it stays as it is", rewrite.span, None, other)
                elif name not in self.targets:
                    self._new(name, "a tensor", rewrite.span)
                made[name] = rewrite.span

    # --- at the end ---

    def _unused(self) -> None:
        """Dims are left alone: their names may be for whoever reads the rule. Captured attributes must be spent, which
        is another error."""
        left_alone = ("a dim", "a list of dims", "captured attributes")
        for name, (meaning, span) in self.bound.items():
            if meaning not in left_alone and not (name in self.read or name in self.targets or name in RESERVED):
                self.found.add("GR021", f"{name} is bound and never read", span, "write _ where nothing is read")

    def _alternatives(self) -> None:
        sure = set(self.targets).union(*(surely_bound(m.pattern) for m in self.rule.matches))
        matched = {n: s for m in self.rule.matches for p in walk(m.pattern) for n, _, s in bindings_of(p)}
        for name, span in matched.items():
            if name not in sure and name in self.read:
                other = self.read[name], "it is read here"
                help_line = "bind it in every alternative"
                self.found.add("GR036", f"{name} is bound in one alternative and not in all", span, help_line, other)


def is_operator_generic(generic: t.Generic) -> bool:
    return generic.options[0][0].isupper() or "::" in generic.options[0]


def _parts(rule: t.Rule) -> Iterator[object]:
    for item in (*rule.matches, *rule.where, *rule.when, *rule.lets, *rule.rewrites):
        yield from walk(item)
