"""Whether a real number is 0 for all values of its symbols."""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from typing import Any, Literal

from graphopt.verify.symbolic_reals import Algebra, Real

POINTS = 3
DIFFERENT = 1e-6
"""Of the sum of the magnitudes of a number's terms: what double precision, and constants that are a rounding of what
they stand for, cannot explain."""

MOST_TERMS_FOR_SYMPY = 60


@dataclass(frozen=True)
class Zero:
    """`zero`, `nonzero` (with a point where it is not), or `unknown`."""

    kind: Literal["zero", "nonzero", "unknown"]
    note: str = ""


def is_zero(number: Real) -> Zero:
    """By the normal form; if that does not decide, by values (which can only refute), then by sympy."""
    if number.is_zero:
        return Zero("zero")
    for seed in range(POINTS):
        found = _at_a_point(number, seed)
        if found is not None:
            return found
    if len(number.terms) <= MOST_TERMS_FOR_SYMPY and _sympy_says_zero(number):
        return Zero("zero")
    return Zero("unknown", "the difference of the two sides could not be brought to 0")


def _at_a_point(number: Real, seed: int) -> Zero | None:
    chosen = random.Random(seed)
    names = sorted(number.symbols() - {"pi"})
    point = {name: chosen.choice((0.5, 1.0, 1.5, 2.0, 0.25, 3.0)) + chosen.random() / 8 for name in names}
    values = Values(number.algebra, {**point, "pi": math.pi})
    try:
        parts = [float(factor) * values.monomial(monomial) for monomial, factor in number.terms.items()]
    except (ValueError, OverflowError, ZeroDivisionError):
        return None
    total, scale = math.fsum(parts), math.fsum(abs(p) for p in parts)
    if math.isfinite(total) and abs(total) > DIFFERENT * scale:
        shown = ", ".join(f"{name} = {point[name]:.3g}" for name in names[:6])
        more = ", …" if len(names) > 6 else ""
        return Zero("nonzero", f"the two sides differ by {total:.3g}{f' for {shown}{more}' if shown else ''}")
    return None


class Values:
    """Numbers in double precision, for given values of the symbols."""

    def __init__(self, algebra: Algebra, point: dict[str, float]) -> None:
        self._algebra = algebra
        self._point = point
        self._atoms: dict[int, float] = {}

    def monomial(self, monomial: Any) -> float:
        return math.prod(self._atom(number) ** float(exponent) for number, exponent in monomial)

    def _value(self, number: Real) -> float:
        return math.fsum(float(factor) * self.monomial(monomial) for monomial, factor in number.terms.items())

    def _atom(self, number: int) -> float:
        if number not in self._atoms:
            name, arguments = self._algebra.atoms[number]
            if name.startswith("symbol "):
                self._atoms[number] = self._point[name.removeprefix("symbol ")]
            else:
                self._atoms[number] = float(FUNCTIONS[name](*(self._value(a) for a in arguments)))
        return self._atoms[number]


def _inverse(x: float) -> float:
    return 1 / x


FUNCTIONS: dict[str, Callable[..., float]] = {
    "abs": math.fabs,
    "erf": math.erf,
    "exp": math.exp,
    "inverse": _inverse,
    "log": math.log,
    "max": max,
    "min": min,
    "pow": math.pow,
    "sqrt": math.sqrt,
    "tanh": math.tanh,
}


def _sympy_says_zero(number: Real) -> bool:
    sympy: Any = import_module("sympy")
    made: dict[int, Any] = {}

    def atom(index: int) -> Any:
        if index not in made:
            name, arguments = number.algebra.atoms[index]
            if name.startswith("symbol "):
                plain = name.removeprefix("symbol ")
                made[index] = sympy.pi if plain == "pi" else sympy.Symbol(plain, real=True)
            elif name == "inverse":
                made[index] = 1 / convert(arguments[0])
            else:
                function: Any = getattr(sympy, SYMPY_NAMES.get(name, name))
                made[index] = function(*(convert(a) for a in arguments))
        return made[index]

    def convert(real: Real) -> Any:
        total: Any = sympy.Integer(0)
        for monomial, factor in real.terms.items():
            term: Any = sympy.Rational(factor.numerator, factor.denominator)
            for index, exponent in monomial:
                term *= atom(index) ** sympy.Rational(exponent)
            total += term
        return total

    simplified: Any = sympy.simplify(sympy.together(convert(number)))
    return bool(simplified == 0)


SYMPY_NAMES = {"abs": "Abs", "max": "Max", "min": "Min", "pow": "Pow"}
"""Where sympy's name is another."""
