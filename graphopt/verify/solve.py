"""Solving conditions: from how a condition is written to changes of an instance that may make it hold.

Equations are solved backwards: to make `reverse(p) == [1, 0]` true, p is set to [0, 1]; to make `c.size == aligned[1]`
true, a shape of that size is given to c, or the list behind `aligned` is changed. Nothing relies on a solution being
right: each is tried, and the matcher decides. docs/proof.md lists what is solved; the rest is sampled.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import islice
from random import Random
from typing import Any, cast

from graphopt.lang import tree as t
from graphopt.lang.functions import FUNCTIONS
from graphopt.lang.values import UNKNOWN, Symbol, is_list
from graphopt.verify.distance import Bindings, Failed, value_of
from graphopt.verify.fill import Fill
from graphopt.verify.inverses import COMPARISONS, INVERSES, UNDO, around, computed, each, plain, targets
from graphopt.verify.moves import MOST_MOVES, Move, Places, merged

DEPTH = 8


def _is_open(target: Any) -> bool:
    """Whether a value is one that nothing can be set to."""
    return isinstance(target, (Failed, Symbol)) or target is UNKNOWN


class Solver:
    """Solves conditions of one rule at one instance."""

    def __init__(self, places: Places, bindings: Bindings, random: Random) -> None:
        self.places = places
        self.bindings = bindings
        self.random = random

    def moves(self, condition: t.Expression, *, wanted: bool) -> list[Move]:
        """Changes that may make a condition true (or anything but true), the likelier ones first."""
        found: list[Move] = []
        try:
            for move in islice(self._truth(condition, wanted), MOST_MOVES):
                found.append(move)
        except (TypeError, ValueError, IndexError, OverflowError, ZeroDivisionError):
            pass  # values of all kinds meet here; what was found before one did not fit is good
        return found

    def value(self, expression: t.Expression) -> Any:
        return value_of(expression, self.bindings)

    # --- conditions ---

    def _truth(self, condition: t.Expression, wanted: bool) -> Iterator[Move]:
        if isinstance(condition, t.Operation):
            yield from self._operation(condition, wanted)
        elif isinstance(condition, t.Call):
            yield from self._predicate(condition, wanted)
        elif isinstance(condition, t.Name):
            let = self.places.lets.get(condition.name)
            if let is not None:
                yield from self._truth(let, wanted)
            else:
                yield from self.reach(condition, wanted)

    def _operation(self, condition: t.Operation, wanted: bool) -> Iterator[Move]:
        sign, operands = condition.sign, condition.operands
        if sign == "not":
            yield from self._truth(operands[0], not wanted)
        elif sign in ("and", "or"):
            parts = [self.moves(o, wanted=wanted) for o in operands if self.value(o) is not wanted]
            if (sign == "and") == wanted and len(parts) > 1:
                yield from merged(parts)
            for part in parts:
                yield from part
        elif sign in COMPARISONS:
            yield from self._comparison(sign if wanted else COMPARISONS[sign], *operands)
        elif sign == "in":
            yield from self._membership(operands[0], operands[1], wanted)
        elif sign == "if":
            yield from self._truth(operands[0], wanted)
            yield from self._truth(operands[2], wanted)

    def _comparison(self, sign: str, left: t.Expression, right: t.Expression) -> Iterator[Move]:
        a, b = self.value(left), self.value(right)
        for expression, other in ((left, b), (right, a)):
            own = a if expression is left else b
            for target in targets(sign, own, other, expression is left, self.random):
                yield from self.reach(expression, target)

    def _membership(self, item: t.Expression, items: t.Expression, wanted: bool) -> Iterator[Move]:
        value, options = self.value(item), self.value(items)
        if not is_list(options):
            return
        if wanted:
            for option in self.random.sample(options, len(options)):
                yield from self.reach(item, option)
            for index in range(len(options)):
                yield from self.reach(items, (*options[:index], value, *options[index + 1 :]))
            return
        others = [o + d for o in options if isinstance(o, int) for d in (1, -1) if o + d not in options]
        for other in others:
            yield from self.reach(item, other)
        for replacement in (1, 2, -1, 3):
            if replacement != value:
                yield from self.reach(items, tuple(replacement if o == value else o for o in options))

    def _predicate(self, call: t.Call, wanted: bool) -> Iterator[Move]:
        if call.function in ("all", "any") and call.arguments:
            inner = call.arguments[0]
            every = (call.function == "all") == wanted
            if isinstance(inner, t.Operation) and inner.sign in COMPARISONS:
                sign = inner.sign if wanted else COMPARISONS[inner.sign]
                yield from self._comparison(sign, *inner.operands)
            yield from self.reach(inner, wanted if every else True)
            yield from self.reach(inner, wanted)
        elif call.function == "broadcasts_to" and len(call.arguments) == 2:
            yield from self._broadcast(*call.arguments, wanted)
        elif call.function == "is_const" and call.arguments and isinstance(call.arguments[0], t.Name):
            yield {("source", call.arguments[0].name): "initializer" if wanted else "input"}
        elif call.function == "is_zeros" and call.arguments and isinstance(call.arguments[0], t.Name):
            name = call.arguments[0].name
            yield {("source", name): "initializer", ("value", name): Fill(0.0 if wanted else 1.0)}
        else:
            yield from self._guessed(call, wanted)

    def _guessed(self, call: t.Call, wanted: bool) -> Iterator[Move]:
        """Arguments at which a function that nobody inverted says what is wanted; first those that change most."""
        found = FUNCTIONS[call.function].call
        values = [self.value(a) for a in call.arguments]
        for number, argument in enumerate(call.arguments):
            for target in around(values[number], self.random):
                tried = [*values[:number], target, *values[number + 1 :]]
                if computed(lambda tried=tried: found(*tried)) is wanted:
                    yield from self.reach(argument, target)

    def _broadcast(self, narrow: t.Expression, wide: t.Expression, wanted: bool) -> Iterator[Move]:
        a, b = self.value(narrow), self.value(wide)
        if is_list(b) and all(isinstance(d, int) for d in b):
            options: list[tuple[int, ...]]
            if wanted:
                options = [b[i:] for i in range(len(b) + 1)] + [(1,) * len(b), (*b[:-1], 1), (1, *b[1:])]
            else:
                options = [(2, *b), (1, *b), *((*b[:i], 3, *b[i + 1 :]) for i, d in enumerate(b) if d == 1), (3,)]
                options += [(2,), (2, 3)]
            for option in self.random.sample(options, len(options)):
                yield from self.reach(narrow, option)
        if is_list(a):
            for target in (a,) if wanted else (a[1:], (1,) * len(a)):
                yield from self.reach(wide, target)

    # --- equations ---

    def reach(self, expression: t.Expression, target: Any, depth: int = 0) -> Iterator[Move]:
        """Changes that may make an expression this value."""
        if depth > DEPTH or any(_is_open(part) for part in (target, *(target if is_list(target) else ()))):
            return
        handler = _HANDLERS.get(type(expression))
        if handler is not None:
            yield from handler(self, expression, target, depth + 1)

    def name(self, expression: t.Name, target: Any, depth: int) -> Iterator[Move]:
        name, places = expression.name, self.places
        if name in places.lets:
            yield from self.reach(places.lets[name], target, depth)
        elif target is None:
            yield from places.presence(name, present=False)
        elif name in places.attributes:
            yield from places.attribute(name, plain(target))
        elif name in places.draft.sketch.leaves:
            yield from places.constant(name, plain(target))
        elif name in places.optional:
            yield from places.presence(name, present=True)
        else:
            yield from places.dim(name, target)

    def capital(self, expression: t.Capital, target: Any, _depth: int) -> Iterator[Move]:
        yield from self.places.dtype(expression.name, target)

    def member(self, expression: t.Member, target: Any, depth: int) -> Iterator[Move]:
        yield from self._feature(expression.name, expression.of, target, depth)

    def _feature(self, feature: str, of: t.Expression, target: Any, _depth: int) -> Iterator[Move]:
        """The rank, shape, size or element type of a tensor."""
        if not isinstance(of, t.Name):
            return
        name, places = of.name, self.places
        shape = places.current_shape(name)
        if shape is None:
            yield from places.presence(name, present=True)
            return
        if feature == "dtype":
            yield from places.dtype(name, target)
        elif feature == "shape":
            yield from places.shape(name, target)
        elif feature == "rank" and isinstance(target, int) and 0 <= target <= 6:
            longer = (1,) * (target - len(shape)) + shape
            for option in (longer, shape[:target], shape[len(shape) - target :], (2,) * target):
                if len(option) == target:
                    yield from places.shape(name, option)
        elif feature == "size" and isinstance(target, int) and 0 <= target <= 4096:
            for index in range(len(shape)):
                yield from places.shape(name, (*(1,) * index, target, *(1,) * (len(shape) - index - 1)))
            yield from places.shape(name, (target,))

    def index(self, expression: t.Index, target: Any, depth: int) -> Iterator[Move]:
        items, at = self.value(expression.of), self.value(expression.index)
        if is_list(items) and isinstance(at, int) and -len(items) <= at < len(items):
            changed = list(items)
            changed[at] = target
            yield from self.reach(expression.of, tuple(changed), depth)
        elif is_list(items) and isinstance(at, int):  # too short: a longer list has such an item
            longer = (*items, *(1,) * (abs(at) + 1 - len(items)))
            yield from self.reach(expression.of, longer, depth)

    def slice(self, expression: t.Slice, target: Any, depth: int) -> Iterator[Move]:
        items = self.value(expression.of)
        start = self.value(expression.start) if expression.start is not None else None
        stop = self.value(expression.stop) if expression.stop is not None else None
        limits = all(v is None or isinstance(v, int) for v in (start, stop))
        if is_list(items) and is_list(target) and limits:
            changed = list(items)
            changed[start:stop] = list(target)
            yield from self.reach(expression.of, tuple(changed), depth)

    def list_of(self, expression: t.ListOf, target: Any, depth: int) -> Iterator[Move]:
        if not is_list(target) or len(target) != len(expression.items):
            return
        pairs = [(e, v) for e, v in zip(expression.items, target, strict=True) if self.value(e) != v]
        yield from merged([list(islice(self.reach(e, v, depth), 4)) for e, v in pairs])

    def arithmetic(self, expression: t.Operation, target: Any, depth: int) -> Iterator[Move]:
        sign, operands = expression.sign, expression.operands
        special = _SPECIAL.get(sign)
        if special is not None:
            yield from special(self, operands, target, depth)
            return
        if sign in COMPARISONS or sign in ("and", "or", "not", "in"):
            if isinstance(target, bool):
                yield from self._truth(expression, target)
            return
        left, right = (self.value(o) for o in operands)
        undo = UNDO.get(sign)
        if undo is None:
            return
        for operand, solved in zip(operands, (undo[0](left, right, target), undo[1](left, right, target)), strict=True):
            if solved is not None:
                yield from self.reach(operand, solved, depth)

    def negative(self, operands: tuple[t.Expression, ...], target: Any, depth: int) -> Iterator[Move]:
        yield from self.reach(operands[0], computed(lambda: each(target, lambda v: -v)), depth)

    def otherwise(self, operands: tuple[t.Expression, ...], target: Any, depth: int) -> Iterator[Move]:
        first, second = operands
        if self.value(first) is None:
            yield from self.reach(second, target, depth)
        yield from self.reach(first, target, depth)
        if self.value(second) == target:
            yield from self.reach(first, None, depth)

    def join(self, operands: tuple[t.Expression, ...], target: Any, depth: int) -> Iterator[Move]:
        left, right = operands
        a, b = self.value(left), self.value(right)
        if not is_list(target) or not is_list(a) or not is_list(b):
            return
        parts = [(left, a, target[: len(a)]), (right, b, target[len(a) :])]
        if len(target) == len(b) + len(a) or not b:
            changed = [list(islice(self.reach(e, v, depth), 4)) for e, old, v in parts if old != v]
            yield from merged(changed)

    def choice(self, operands: tuple[t.Expression, ...], target: Any, depth: int) -> Iterator[Move]:
        value, condition, alternative = operands
        holds = self.value(condition) is True
        yield from self.reach(value if holds else alternative, target, depth)
        if not isinstance(self.value(alternative if holds else value), Failed):
            yield from self._truth(condition, not holds)

    def call(self, expression: t.Call, target: Any, depth: int) -> Iterator[Move]:
        arguments = expression.arguments
        if not arguments:
            return
        first = arguments[0]
        if expression.function in ("rank", "shape", "size", "dtype"):
            yield from self._feature(expression.function, first, target, depth)
        elif expression.function == "len":
            yield from self._length(first, target, depth)
        elif expression.function == "axis" and isinstance(target, int):
            rank = self.value(arguments[1]) if len(arguments) > 1 else 0
            yield from self.reach(first, target, depth)
            if isinstance(rank, int):
                yield from self.reach(first, target - rank, depth)
        elif expression.function in INVERSES:
            solved = computed(lambda: INVERSES[expression.function](target, self.value(first)))
            options: list[Any] = cast("list[Any]", solved) if isinstance(solved, list) else [solved]
            for option in options:
                yield from self.reach(first, option, depth)
        elif expression.function in ("min", "max"):
            for argument in arguments:
                yield from self.reach(argument, target, depth)

    def _length(self, of: t.Expression, target: Any, depth: int) -> Iterator[Move]:
        items = self.value(of)
        if is_list(items) and isinstance(target, int) and 0 <= target <= 12:
            filler = items[-1] if items else 1
            yield from self.reach(of, (*items[:target], *(filler,) * (target - len(items))), depth)
            yield from self.reach(of, tuple(range(target)), depth)


_SPECIAL: dict[str, Callable[..., Iterator[Move]]] = {
    "neg": Solver.negative,
    "??": Solver.otherwise,
    "++": Solver.join,
    "if": Solver.choice,
}

_HANDLERS: dict[type, Callable[..., Iterator[Move]]] = {
    t.Name: Solver.name,
    t.Capital: Solver.capital,
    t.Member: Solver.member,
    t.Index: Solver.index,
    t.Slice: Solver.slice,
    t.ListOf: Solver.list_of,
    t.Operation: Solver.arithmetic,
    t.Call: Solver.call,
}
