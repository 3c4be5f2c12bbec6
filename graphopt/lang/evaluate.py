"""Expressions as Python closures over the bindings of a match."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from graphopt.graph.dtypes import DType
from graphopt.lang import tree as t
from graphopt.lang.arithmetic import arithmetic, join, member_of, minus, not_equal
from graphopt.lang.functions import FUNCTIONS
from graphopt.lang.target import TargetFacts
from graphopt.lang.values import UNKNOWN, Decline, Symbol, as_truth, conjunction, disjunction, equal, is_list, negate

Bindings = dict[str, Any]
Compute = Callable[[Bindings], Any]

LANGUAGE_NAMES = ("opset", "target")
"""Names that every expression can read: the model's version of the default domain, and what is compiled for."""


def compile_expression(expression: t.Expression) -> Compute:
    """A closure that computes the expression from bindings; it raises `Decline` where the rule cannot apply."""
    return _COMPILERS[type(expression)](expression)


def _literal(expression: t.Literal) -> Compute:
    value = expression.value
    return lambda _: value


def _name(expression: t.Name) -> Compute:
    name = expression.name
    if name in DType.__members__:
        dtype = DType[name]
        return lambda bindings: bindings.get(name, dtype)
    if name == "target":
        return lambda bindings: bindings.get(name, UNKNOWN)
    return lambda bindings: bindings[name]


def _capital(expression: t.Capital) -> Compute:
    name = expression.name
    return lambda bindings: bindings.get(name, name)


def _list_of(expression: t.ListOf) -> Compute:
    items = [compile_expression(i) for i in expression.items]
    return lambda bindings: tuple(item(bindings) for item in items)


def _operation(expression: t.Operation) -> Compute:
    special = _SPECIAL.get(expression.sign)
    if special is not None:
        return special([compile_expression(o) for o in expression.operands])
    left, right = (compile_expression(o) for o in expression.operands)
    apply = _BINARY.get(expression.sign) or arithmetic(expression.sign)
    return lambda bindings: apply(left(bindings), right(bindings))


def _choose(parts: list[Compute]) -> Compute:
    value, condition, alternative = parts

    def compute(bindings: Bindings) -> Any:
        truth = as_truth(condition(bindings))
        if truth is UNKNOWN:
            return UNKNOWN
        return value(bindings) if truth else alternative(bindings)

    return compute


def _otherwise(parts: list[Compute]) -> Compute:
    first, second = parts

    def compute(bindings: Bindings) -> Any:
        value = first(bindings)
        return second(bindings) if value is None else value

    return compute


def _both(parts: list[Compute]) -> Compute:
    return lambda bindings: conjunction(as_truth(p(bindings)) for p in parts)


def _either(parts: list[Compute]) -> Compute:
    return lambda bindings: disjunction(as_truth(p(bindings)) for p in parts)


def _not(parts: list[Compute]) -> Compute:
    (part,) = parts
    return lambda bindings: negate(as_truth(part(bindings)))


def _negative(parts: list[Compute]) -> Compute:
    (part,) = parts
    return lambda bindings: minus(part(bindings))


_SPECIAL: dict[str, Callable[[list[Compute]], Compute]] = {
    "if": _choose,
    "??": _otherwise,
    "and": _both,
    "or": _either,
    "not": _not,
    "neg": _negative,
}

_BINARY: dict[str, Callable[[Any, Any], Any]] = {"==": equal, "!=": not_equal, "in": member_of, "++": join}


def _member(expression: t.Member) -> Compute:
    of = compile_expression(expression.of)
    name = expression.name
    read = FUNCTIONS[name].call if name in FUNCTIONS else None

    def compute(bindings: Bindings) -> Any:
        value = of(bindings)
        if value is UNKNOWN:
            return UNKNOWN
        if value is None:
            raise Decline("a value is absent")
        if isinstance(value, TargetFacts):
            return value.member(name)
        assert read is not None, f"a tensor has no {name}, which is found when rules are checked"
        return read(value)

    return compute


def _index(expression: t.Index) -> Compute:
    of, index = compile_expression(expression.of), compile_expression(expression.index)

    def compute(bindings: Bindings) -> Any:
        return _pick(of(bindings), index(bindings))

    return compute


def _pick(items: Any, index: Any) -> Any:
    if items is UNKNOWN or index is UNKNOWN or isinstance(index, Symbol):
        return UNKNOWN
    if is_list(index):
        return tuple(_pick(items, i) for i in index)
    try:
        return items[index]
    except (IndexError, TypeError) as error:
        raise Decline(str(error)) from None


def _slice(expression: t.Slice) -> Compute:
    of = compile_expression(expression.of)
    start = compile_expression(expression.start) if expression.start is not None else None
    stop = compile_expression(expression.stop) if expression.stop is not None else None

    def compute(bindings: Bindings) -> Any:
        items = of(bindings)
        first = start(bindings) if start is not None else None
        last = stop(bindings) if stop is not None else None
        if any(part is UNKNOWN or isinstance(part, Symbol) for part in (items, first, last)):
            return UNKNOWN
        return items[first:last]

    return compute


def _call(expression: t.Call) -> Compute:
    arguments = [compile_expression(a) for a in expression.arguments]
    keywords = [(name, compile_expression(a)) for name, a in expression.keywords]
    found = FUNCTIONS[expression.function]
    call, takes_unknown, reads = found.call, found.takes_unknown, found.reads

    def compute(bindings: Bindings) -> Any:
        values = [bindings.get(reads, UNKNOWN)] if reads is not None else []
        values += [a(bindings) for a in arguments]
        named = {name: a(bindings) for name, a in keywords}
        if not takes_unknown and any(v is UNKNOWN for v in (*values, *named.values())):
            return UNKNOWN
        try:
            return call(*values, **named)
        except (TypeError, ValueError, IndexError, ZeroDivisionError) as error:
            raise Decline(f"{expression.function}: {error}") from None

    return compute


_COMPILERS: Mapping[type, Any] = {
    t.Literal: _literal,
    t.Name: _name,
    t.Capital: _capital,
    t.ListOf: _list_of,
    t.Operation: _operation,
    t.Member: _member,
    t.Index: _index,
    t.Slice: _slice,
    t.Call: _call,
}
