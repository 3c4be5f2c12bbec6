"""The sort of each expression; errors point at the part that does not fit."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from graphopt.errors import did_you_mean
from graphopt.lang import expand, sort_rules, target
from graphopt.lang import tree as t
from graphopt.lang.diagnostics import Diagnostics
from graphopt.lang.functions import FUNCTIONS, Function
from graphopt.lang.signatures import Parameter, Signature
from graphopt.lang.sort_rules import Facts, facts_of
from graphopt.lang.sorts import (
    ANY,
    BOOL,
    CONST,
    DTYPE,
    FLOAT,
    INT,
    INTS,
    NONE,
    NOTHING,
    NUMBER,
    OPERATOR,
    TENSOR,
    TEXT,
    Sort,
    fits,
    list_of,
)
from graphopt.lang.source import Span

MEMBERS = {"rank": INT, "shape": INTS, "dtype": DTYPE, "size": INT}
"""What a tensor has."""


class Inference:
    """Sorts by name, growing as lets and rewrites are read."""

    def __init__(
        self, sorts: dict[str, Sort], found: Diagnostics, functions: Mapping[str, Function] = FUNCTIONS
    ) -> None:
        self.sorts = sorts
        self.found = found
        self.functions = functions

    def infer(self, expression: t.Expression, facts: Facts) -> Sort:
        """The sort of an expression, where `facts` hold; `any` after an error, so that it is told once."""
        return _RULES[type(expression)](self, expression, facts)

    def refuse(self, code: str, message: str, span: Span, help: str | None = None) -> Sort:
        self.found.add(code, message, span, help)
        return ANY

    def absent(self, expression: t.Expression) -> Sort:
        """The error of an operand that may not be there."""
        text = expression.name if isinstance(expression, t.Name) else "this"
        help_line = f"say what it is then: {text} ?? ..."
        return self.refuse("GR037", f"{text} may be absent here", expression.span, help_line)

    def not_constant(self, expression: t.Expression) -> Sort:
        """The error of a tensor that is wanted while compiling."""
        text = expression.name if isinstance(expression, t.Name) else "this"
        help_line = "match it as const, or compute with a node in rewrite:"
        return self.refuse("GR028", f"{text} is known only when the model runs", expression.span, help_line)

    # --- leaves ---

    def literal(self, expression: t.Literal, _facts: Facts) -> Sort:
        value = expression.value
        if value is None:
            return NONE
        if isinstance(value, bool):
            return BOOL
        return {int: INT, float: FLOAT, str: TEXT}[type(value)]

    def name(self, expression: t.Name, facts: Facts) -> Sort:
        sort = self.sorts.get(expression.name, ANY)
        return sort.present if expression.name in facts.present else sort

    def capital(self, expression: t.Capital, _facts: Facts) -> Sort:
        return self.sorts.get(expression.name, OPERATOR)

    def list_of(self, expression: t.ListOf, facts: Facts) -> Sort:
        item = NOTHING
        for part in expression.items:
            sort = self.infer(part, facts)
            if sort.may_be_absent:
                sort = self.absent(part)
            item = item | sort
        return list_of(ANY if item.is_any else item)

    # --- operators ---

    def operation(self, expression: t.Operation, facts: Facts) -> Sort:
        sign, operands = expression.sign, expression.operands
        if sign in ("and", "or"):
            for operand in operands:
                self.condition(operand, facts)
                facts = facts.and_also(facts_of(operand, sign == "and"))
            return BOOL
        if sign == "not":
            self.condition(operands[0], facts)
            return BOOL
        if sign == "if":
            return self.choice(operands, facts)
        if sign == "neg":
            return self._arithmetic("-", (t.Literal(0, expression.span), operands[0]), facts)
        if sign in _SPECIAL:
            return _SPECIAL[sign](self, operands, facts, expression)
        return self._arithmetic(sign, operands, facts)

    def condition(self, expression: t.Expression, facts: Facts) -> None:
        sort = self.infer(expression, facts)
        if fits(sort, BOOL):
            return
        help_line = "say all(...) or any(...)" if sort.names() & {"const", "list"} else None
        self.refuse("GR029", f"a condition is wanted here, and this is {sort}", expression.span, help_line)

    def choice(self, operands: tuple[t.Expression, ...], facts: Facts) -> Sort:
        value, condition, alternative = operands
        self.condition(condition, facts)
        first = self.infer(value, facts.and_also(facts_of(condition, True)))
        second = self.infer(alternative, facts.and_also(facts_of(condition, False)))
        return ANY if first.is_any or second.is_any else first | second

    def _arithmetic(self, sign: str, operands: tuple[t.Expression, ...], facts: Facts) -> Sort:
        sorts = [self._operand(o, facts) for o in operands]
        result = sort_rules.arithmetic(sign, sorts[0], sorts[1])
        if result is not None:
            return result
        for operand, sort in zip(operands, sorts, strict=True):
            if not fits(sort, NUMBER | CONST) and "list" not in sort.names():
                return self.refuse("GR029", f"{sign} takes numbers, and this is {sort}", operand.span)
        message = f"{sign} does not go between {sorts[0]} and {sorts[1]}"
        return self.refuse("GR029", message, operands[1].span)

    def _operand(self, expression: t.Expression, facts: Facts) -> Sort:
        sort = self.infer(expression, facts)
        if sort.may_be_absent:
            return self.absent(expression)
        return self.not_constant(expression) if "tensor" in sort.names() else sort

    def equality(self, operands: tuple[t.Expression, ...], facts: Facts, whole: t.Operation) -> Sort:
        left, right = (self.infer(o, facts) for o in operands)
        for operand, sort, other in ((operands[0], left, right), (operands[1], right, left)):
            if "tensor" in sort.names() and not other.names() <= {"tensor", "none", "any"}:
                self.not_constant(operand)
                return BOOL
        if not sort_rules.comparable(left, right):
            self.refuse("GR029", f"{left} never equals {right}", whole.span)
        return BOOL

    def membership(self, operands: tuple[t.Expression, ...], facts: Facts, whole: t.Operation) -> Sort:
        item, items = self.infer(operands[0], facts), self._operand(operands[1], facts)
        if items.is_any:
            return BOOL
        if items.names() != {"list"}:
            self.refuse("GR029", f"in takes a list, and this is {items}", operands[1].span)
        elif not sort_rules.comparable(item, items.item()):
            self.refuse("GR029", f"{item} is never in {items}", whole.span)
        return BOOL

    def join(self, operands: tuple[t.Expression, ...], facts: Facts, _whole: t.Operation) -> Sort:
        item = NOTHING
        for operand in operands:
            sort = self._operand(operand, facts)
            if sort.is_any:
                item = item | ANY
            elif sort.names() != {"list"}:
                return self.refuse("GR029", f"++ joins lists, and this is {sort}", operand.span)
            else:
                item = item | sort.item()
        return list_of(ANY if item.is_any else item)

    def otherwise(self, operands: tuple[t.Expression, ...], facts: Facts, _whole: t.Operation) -> Sort:
        first, second = (self.infer(o, facts) for o in operands)
        return ANY if first.is_any or second.is_any else first.present | second

    # --- parts and calls ---

    def member(self, expression: t.Member, facts: Facts) -> Sort:
        sort = self.infer(expression.of, facts)
        if sort.may_be_absent:
            return self.absent(expression.of)
        if sort.names() == {"target"}:
            if expression.name not in target.MEMBERS:
                help_line = did_you_mean(expression.name, target.MEMBERS) or "it has a name and dtypes: target.int8"
                return self.refuse("GR024", f"a target has no {expression.name}", expression.span, help_line)
            return TEXT if expression.name in target.TEXTS else BOOL
        if expression.name not in MEMBERS:
            help_line = did_you_mean(expression.name, MEMBERS)
            return self.refuse("GR024", f"a tensor has no {expression.name}", expression.span, help_line)
        if not fits(sort, TENSOR) or not sort.names() <= {"tensor", "const", "any"}:
            return self.refuse("GR024", f"only a tensor has a {expression.name}, and this is {sort}", expression.span)
        return MEMBERS[expression.name]

    def index(self, expression: t.Index, facts: Facts) -> Sort:
        items = self._list(expression.of, facts)
        index = self._operand(expression.index, facts)
        if items.is_any or index.is_any:
            return ANY
        if fits(index, INT):
            return items.item()
        if fits(index, INTS):
            return items
        return self.refuse(
            "GR029", f"an index is a whole number or a list of them, and this is {index}", expression.index.span
        )

    def slice(self, expression: t.Slice, facts: Facts) -> Sort:
        for bound in (expression.start, expression.stop):
            if bound is not None and not fits(sort := self._operand(bound, facts), INT):
                self.refuse("GR029", f"a bound is a whole number, and this is {sort}", bound.span)
        return self._list(expression.of, facts)

    def _list(self, expression: t.Expression, facts: Facts) -> Sort:
        sort = self.infer(expression, facts)
        if sort.may_be_absent:
            return self.absent(expression)
        if not sort.is_any and sort.names() != {"list"}:
            help_line = "ints(...) makes a list of a constant" if "const" in sort.names() else None
            return self.refuse("GR029", f"a list is wanted here, and this is {sort}", expression.span, help_line)
        return sort

    def call(self, expression: t.Call, facts: Facts) -> Sort:
        sorts = [self.infer(a, facts) for a in expression.arguments]
        named = [(name, value, self.infer(value, facts)) for name, value in expression.keywords]
        function = self.functions.get(expression.function)
        if function is None:
            return ANY
        if expression.function == expand.NAME:
            return self.refuse("GR023", "qdq cannot stand here like this", expression.span, expand.HELP)
        fitting = [s for s in function.signatures if s.accepts_count(len(sorts) + len(named))]
        if not fitting:
            count = len(sorts) + len(named)
            given = "1 argument" if count == 1 else f"{count} arguments"
            return self.refuse("GR026", f"{function.name} does not take {given}", expression.span, _forms(function))
        return self._apply(expression, function, fitting, sorts, named)

    def _apply(
        self,
        expression: t.Call,
        function: Function,
        signatures: list[Signature],
        sorts: list[Sort],
        named: list[tuple[str, t.Expression, Sort]],
    ) -> Sort:
        wrong: tuple[Signature, int] | None = None
        for signature in signatures:
            arguments = [(signature.parameter(i), s) for i, s in enumerate(sorts)]
            for name, value, sort in named:
                parameter = signature.named(name)
                if parameter is None:
                    return self.refuse("GR026", f"{function.name} has no argument {name}", value.span, _forms(function))
                arguments.append((parameter, sort))
            result, first = signature.apply(arguments)
            if first is None:
                return ANY if any(s.is_any for s in sorts) and not result.kinds else result
            wrong = signature, first
        assert wrong is not None
        values = [*expression.arguments, *(value for _, value, _ in named)]
        given = [*sorts, *(sort for _, _, sort in named)]
        signature, position = wrong
        parameter = _parameter(signature, position, len(sorts), named)
        return self._wrong_argument(function, parameter, values[position], given[position])

    def _wrong_argument(self, function: Function, parameter: Parameter, value: t.Expression, sort: Sort) -> Sort:
        if sort.may_be_absent and fits(sort.present, parameter.sort):
            return self.absent(value)
        if fits(sort, parameter.sort | TENSOR) and "tensor" in sort.names():
            return self.not_constant(value)
        message = f"{parameter.name} of {function.name} is {parameter.sort}, and this is {sort}"
        return self.refuse("GR029", message, value.span, _forms(function))

    def node_call(self, expression: t.NodeCall, _facts: Facts) -> Sort:
        help_line = "computing happens while compiling; a node is made in rewrite:, by itself or as an input"
        return self.refuse("GR023", "a graph node cannot be made here", expression.span, help_line)


def _parameter(
    signature: Signature, position: int, count: int, named: list[tuple[str, t.Expression, Sort]]
) -> Parameter:
    if position < count:
        return signature.parameter(position)
    found = signature.named(named[position - count][0])
    assert found is not None
    return found


def _forms(function: Function) -> str:
    return " or ".join(str(s) for s in function.signatures)


_SPECIAL: dict[str, Callable[..., Sort]] = {
    "==": Inference.equality,
    "!=": Inference.equality,
    "in": Inference.membership,
    "++": Inference.join,
    "??": Inference.otherwise,
}

_RULES: dict[type, Any] = {
    t.Literal: Inference.literal,
    t.Name: Inference.name,
    t.Capital: Inference.capital,
    t.ListOf: Inference.list_of,
    t.Operation: Inference.operation,
    t.Member: Inference.member,
    t.Index: Inference.index,
    t.Slice: Inference.slice,
    t.Call: Inference.call,
    t.NodeCall: Inference.node_call,
}
