"""Element types and ranks that follow from the schemas: what is defined again keeps them, and no node gets a type
that its operator does not take."""

from __future__ import annotations

from graphopt.graph.dtypes import DType
from graphopt.lang import tree as t
from graphopt.lang.check_operators import operators_of
from graphopt.lang.diagnostics import Diagnostics
from graphopt.lang.ranks import pattern_ranks, rank_of
from graphopt.lang.source import Span
from graphopt.lang.type_classes import Classes, Key
from graphopt.lang.versions import Formal, Version, newest_within

ALL = frozenset(DType)


def check_types(rule: t.Rule, found: Diagnostics) -> None:
    """Compare the left side's types of each result with the right side's."""
    types = _Types(rule, found)
    types.read_patterns()
    before = {n: types.classes.options(("value", n)) for m in rule.matches for n in m.targets if n}
    ranks = pattern_ranks(rule)
    for rewrite in rule.rewrites:
        for branch in _branches(rewrite.value):
            types.check_result(rewrite, branch, before)
            new_rank = rank_of(branch, ranks)
            for name in rewrite.targets[:1]:
                old_rank = ranks.get(name) if name is not None and name in before else None
                if old_rank is not None and new_rank is not None and old_rank != new_rank:
                    message = f"{name} has rank {old_rank} in match: and rank {new_rank} here"
                    found.add("GR035", message, branch.span)


def _branches(value: t.Expression) -> list[t.Expression]:
    if isinstance(value, t.Operation) and value.sign == "if":
        return [*_branches(value.operands[0]), *_branches(value.operands[2])]
    return [value]


class _Types:
    """Element types as sets of what is possible, joined where the schemas say that they are equal."""

    def __init__(self, rule: t.Rule, found: Diagnostics) -> None:
        self.rule = rule
        self.found = found
        self.classes = Classes(ALL)
        self.generics = {
            g.name: frozenset(DType[o] for o in g.options if o in DType.__members__) for g in rule.generics
        }
        self.count = 0

    def fresh(self) -> Key:
        self.count += 1
        return ("node", self.count)

    # --- the left side ---

    def read_patterns(self) -> None:
        for match in self.rule.matches:
            options = match.pattern.options if isinstance(match.pattern, t.Alternatives) else (match.pattern,)
            outputs, *_ = [self._pattern(o) for o in options]
            if len(options) > 1:
                continue  # what the alternatives make need not have one type
            for position, name in enumerate(match.targets):
                if name is not None and position < len(outputs):
                    self._join(("value", name), outputs[position], match.span)

    def _pattern(self, pattern: t.NodePattern) -> list[Key]:
        inputs = [self._pattern_input(i) for i in pattern.inputs]
        attributes = {a.name: a.literal for a in pattern.attributes if a.literal is not None}
        dtype = attributes.get("to")
        known = dtype.value if isinstance(dtype, t.Literal) and isinstance(dtype.value, DType) else None
        if pattern.is_product:
            return self._product(pattern, inputs)
        return self._node(pattern.operator, inputs, known, pattern.span)

    def _product(self, pattern: t.NodePattern, inputs: list[Key | None]) -> list[Key]:
        outputs = self._node(pattern.operator, inputs[:2], None, pattern.span)
        for key in inputs[2:]:
            if key is not None and outputs:
                self._join(key, outputs[0], pattern.span)
        return outputs

    def _pattern_input(self, pattern: t.InputPattern) -> Key | None:
        if isinstance(pattern, t.NodePattern):
            outputs = self._pattern(pattern)
            return outputs[0] if outputs else None
        if isinstance(pattern, t.Alternatives):
            for option in pattern.options:
                self._pattern(option)
            return None
        if not isinstance(pattern, t.Variable):
            return None
        key: Key = ("value", pattern.name)
        if pattern.type is not None and pattern.type.dtype is not None:
            self._annotate(key, pattern.type.dtype, pattern.span)
        return key

    def _annotate(self, key: Key, dtype: str, span: Span) -> None:
        if dtype in DType.__members__:
            self._narrow(key, frozenset((DType[dtype],)), span)
        elif dtype in self.generics:
            generic: Key = ("generic", dtype)
            self._narrow(generic, self.generics[dtype], span)
            self._join(key, generic, span)

    # --- the right side ---

    def check_result(self, rewrite: t.Rewrite, branch: t.Expression, before: dict[str, frozenset[DType]]) -> None:
        outputs = self._expression(branch)
        for position, name in enumerate(rewrite.targets):
            if name is None or position >= len(outputs):
                continue
            new = self.classes.options(outputs[position])
            old = before.get(name)
            if old is None:
                self._join(("value", name), outputs[position], branch.span)
            elif old and new and not old & new:
                message = f"{name} is {_list(old)} in match: and {_list(new)} here"
                self.found.add("GR034", message, branch.span, "convert it with Cast")

    def _expression(self, value: t.Expression) -> list[Key]:
        if isinstance(value, t.NodeCall):
            inputs = [next(iter(self._expression(a)), None) for a in value.arguments]
            return self._node(value.operator, inputs, self._cast_to(value), value.span)
        if isinstance(value, t.Name) and value.name not in {let.name for let in self.rule.lets}:
            return [("value", value.name)]
        return []

    def _cast_to(self, node: t.NodeCall) -> DType | Key | None:
        value = next((v for name, v, _ in node.attributes if name == "to"), None)
        if isinstance(value, t.Name) and value.name in DType.__members__:
            return DType[value.name]
        if isinstance(value, t.Member) and value.name == "dtype" and isinstance(value.of, t.Name):
            return ("value", value.of.name)
        return ("generic", value.name) if isinstance(value, t.Capital) else None

    # --- both ---

    def _node(self, operator: str, inputs: list[Key | None], cast: DType | Key | None, span: Span) -> list[Key]:
        operators = operators_of(operator, self.rule)
        version = newest_within(operators[0], self.rule.opset)
        if len(operators) > 1 or version is None:
            return []
        variables: dict[str, Key] = {}
        for position, key in enumerate(inputs):
            formal = version.input(position)
            if key is not None and formal is not None and formal.type:
                self._join(key, self._variable(version, formal, variables, span), span, version.name)
        outputs = [self._variable(version, f, variables, span) for f in version.outputs if f.option != "variadic"]
        if version.name in ("Cast", "CastLike") and outputs and cast is not None:
            if isinstance(cast, DType):
                self._narrow(outputs[0], frozenset((cast,)), span)
            else:
                self._join(outputs[0], cast, span)
        return outputs

    def _variable(self, version: Version, formal: Formal, variables: dict[str, Key], span: Span) -> Key:
        """The class of a type variable of one node; an input of one fixed type has a class of its own."""
        key = variables.get(formal.type)
        if key is None:
            key = self.fresh()
            if formal.type in version.types:
                variables[formal.type] = key
            self._narrow(key, version.dtypes(formal) or ALL, span)
        return key

    def _narrow(self, key: Key, options: frozenset[DType], span: Span) -> None:
        before = self.classes.options(key)
        if not self.classes.narrow(key, options) and before:
            self.found.add("GR018", f"{_list(before)} does not go with {_list(options)}", span)

    def _join(self, first: Key, second: Key, span: Span, operator: str | None = None) -> None:
        before = self.classes.options(first), self.classes.options(second)
        if not self.classes.join(first, second) and all(before):
            message = f"{operator} takes {_list(before[1])}, and" if operator else f"{_list(before[1])} is wanted, and"
            self.found.add("GR018", f"{message} this is {_list(before[0])}", span)


def _list(options: frozenset[DType]) -> str:
    names = [d.name for d in sorted(options)]
    return " or ".join(names) if len(names) <= 4 else f"{', '.join(names[:4])}, ..."
