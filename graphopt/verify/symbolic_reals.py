"""Real numbers that are not known: sums of products of powers of atoms, in one normal form.

An atom is a symbol, or a function of reals that stands for itself (`exp(x + y)`, `max(x, 0)`). A number is a sum of
terms, each a rational factor times powers of atoms; two numbers whose normal forms are the same are equal for all
values for which both are defined. The opposite does not follow: atoms may be related in ways that the form does not
know. It knows these: sqrt(a)^2 = a, exp(a + b) = exp(a) exp(b), max of max, min of min, and that the order of the
arguments of max and min is of no account.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from fractions import Fraction
from math import isqrt
from typing import Any

Exponent = int | Fraction
Monomial = tuple[tuple[int, Exponent], ...]
"""Atoms by number, ascending, each with its exponent, which is not 0."""

Terms = dict[Monomial, Fraction]
Key = tuple[Any, ...]

MOST_TERMS = 5000

SIMPLE = 100
"""The largest denominator of a fraction that a float is taken for: with it, one random float32 in a thousand is."""


class Undecided(Exception):
    """A comparison depends on symbols; `symbols` are their names."""

    def __init__(self, symbols: Iterable[str]) -> None:
        self.symbols = frozenset(symbols)
        super().__init__(f"a comparison depends on {', '.join(sorted(self.symbols))}")


class TooLarge(Exception):
    """A number grew beyond what is worth looking at, or the work did."""


class Algebra:
    """The atoms of one proof.

    Args:
        work: how many products and sums of terms may be made; then each raises TooLarge. It is counted, not timed: a
            verdict must not depend on how busy the machine is.
        roundoff: how far, relatively, a float may be from the simple fraction that it is taken for.
    """

    def __init__(self, work: int, roundoff: float = 2.0**-24) -> None:
        self._left = work
        self.roundoff = Fraction(roundoff)
        self._numbers: dict[Key, int] = {}
        self.atoms: list[tuple[str, tuple[Real, ...]]] = []

    def symbol(self, name: str) -> Real:
        return self._atom(f"symbol {name}", ())

    def function(self, name: str, *arguments: Real) -> Real:
        """A function that is known by its name alone."""
        return self._atom(name, arguments)

    def constant(self, value: Any) -> Real:
        """An integer, fraction or float. A float stands for the simple number that it is as near to as rounding
        allows: a fraction with a small denominator, or such a fraction's root, or that with pi in it."""
        if isinstance(value, float):
            return self._ideal(value)
        number = Fraction(value)
        return Real(self, {(): number} if number else {})

    def _ideal(self, value: float) -> Real:
        exact = Fraction(value)  # ValueError or OverflowError for what is not finite
        for square, pi in ((False, 0), (True, 0), (True, 1), (True, -1)):
            wanted = exact * exact if square else exact
            if pi:
                wanted *= Fraction(_PI) ** pi
            near = wanted.limit_denominator(SIMPLE)
            if abs(near - wanted) <= self.roundoff * (2 if square else 1) * abs(wanted):
                return self._from_square(near, -pi, value < 0) if square else self.constant(near)
        return self.constant(exact)

    def _from_square(self, square: Fraction, pi: int, negative: bool) -> Real:
        root = self.root(square)
        if pi:
            root = root * self._atom("sqrt", (self.symbol("pi"),)).power(pi)
        return -root if negative else root

    def root(self, square: Fraction) -> Real:
        """The square root of a fraction: a fraction times the root of a whole number without square factors."""
        whole = square.numerator * square.denominator
        factor, rest = _without_squares(whole)
        outside = self.constant(Fraction(factor, square.denominator))
        return outside if rest == 1 else outside * self._atom("sqrt", (self.constant(rest),))

    def _atom(self, name: str, arguments: tuple[Real, ...]) -> Real:
        key: Key = (name, *(a.key for a in arguments))
        number = self._numbers.setdefault(key, len(self.atoms))
        if number == len(self.atoms):
            self.atoms.append((name, arguments))
        return Real(self, {((number, 1),): Fraction(1)})

    def spend(self, terms: int) -> None:
        """Before `terms` terms are made."""
        self._left -= 1 + terms
        if terms > MOST_TERMS or self._left < 0:
            raise TooLarge("too many terms" if terms > MOST_TERMS else "too much work")


class Real:
    """One number. Methods named as numpy's functions are what numpy calls on arrays of these."""

    __slots__ = ("algebra", "terms")
    __hash__ = None  # pyright: ignore[reportAssignmentType]  # equality may be undecided: use `key`

    def __init__(self, algebra: Algebra, terms: Terms) -> None:
        self.algebra = algebra
        self.terms = terms

    @property
    def key(self) -> frozenset[tuple[Monomial, Fraction]]:
        """The same for numbers that are the same."""
        return frozenset(self.terms.items())

    @property
    def is_zero(self) -> bool:
        return not self.terms

    @property
    def known(self) -> Fraction | None:
        """The number itself, if it depends on nothing."""
        return self.terms.get((), Fraction(0)) if self.terms.keys() <= {()} else None

    def symbols(self) -> set[str]:
        """The names of all symbols that it depends on."""
        found: set[str] = set()
        for number in {n for monomial in self.terms for n, _ in monomial}:
            name, arguments = self.algebra.atoms[number]
            if name.startswith("symbol "):
                found.add(name.removeprefix("symbol "))
            for argument in arguments:
                found |= argument.symbols()
        return found

    # --- arithmetic ---

    def _other(self, other: Any) -> Real:
        return other if isinstance(other, Real) else self.algebra.constant(other)

    def __add__(self, other: Any) -> Real:
        right = self._other(other)
        self.algebra.spend(len(right.terms))
        terms = dict(self.terms)
        for monomial, factor in right.terms.items():
            total = terms.get(monomial, 0) + factor
            if total:
                terms[monomial] = total
            else:
                del terms[monomial]
        return Real(self.algebra, terms)

    __radd__ = __add__

    def __neg__(self) -> Real:
        return Real(self.algebra, {m: -f for m, f in self.terms.items()})

    def __sub__(self, other: Any) -> Real:
        return self + -self._other(other)

    def __rsub__(self, other: Any) -> Real:
        return self._other(other) + -self

    def __mul__(self, other: Any) -> Real:
        right = self._other(other)
        self.algebra.spend(len(self.terms) * len(right.terms))
        result = Real(self.algebra, {})
        terms: Terms = result.terms
        again: list[Real] = []
        for first, a in self.terms.items():
            for second, b in right.terms.items():
                monomial = _product(first, second)
                reduced = self._without_squared_roots(monomial)
                if reduced is not None:
                    again.append(reduced * (a * b))
                    continue
                total = terms.get(monomial, 0) + a * b
                if total:
                    terms[monomial] = total
                else:
                    terms.pop(monomial, None)
        for part in again:
            result = result + part
        return result

    __rmul__ = __mul__

    def _without_squared_roots(self, monomial: Monomial) -> Real | None:
        """sqrt(a)^2 as a, sqrt(a)^-2 as 1 / a, and where a is one term, sqrt(a)^-1 as sqrt(a) / a; None where there is
        no such power."""
        for place, (number, exponent) in enumerate(monomial):
            name, arguments = self.algebra.atoms[number]
            if name != "sqrt":
                continue
            (under,) = arguments
            down = exponent <= -2 or (exponent < 0 and len(under.terms) == 1)
            if exponent < 2 and not down:
                continue
            left = exponent + 2 if down else exponent - 2
            rest = (*monomial[:place], *(((number, left),) if left else ()), *monomial[place + 1 :])
            return (under.reciprocal() if down else under) * Real(self.algebra, {rest: Fraction(1)})
        return None

    def __truediv__(self, other: Any) -> Real:
        return self * self._other(other).reciprocal()

    def __rtruediv__(self, other: Any) -> Real:
        return self._other(other) * self.reciprocal()

    def reciprocal(self) -> Real:
        if len(self.terms) == 1:
            ((monomial, factor),) = self.terms.items()
            return Real(self.algebra, {(): 1 / factor}) * Real(
                self.algebra, {tuple((n, -e) for n, e in monomial): Fraction(1)}
            )
        if not self.terms:
            raise ZeroDivisionError("division by zero")
        lead, scaled = self._scaled()
        return self.algebra.function("inverse", scaled) * (1 / lead)

    def _scaled(self) -> tuple[Fraction, Real]:
        """A factor, and the number without it, the same for all multiples of a number."""
        lead = self.terms[min(self.terms, key=_order)]
        return lead, self * (1 / lead)

    def power(self, exponent: int) -> Real:
        base = self if exponent >= 0 else self.reciprocal()
        result = self.algebra.constant(1)
        for _ in range(abs(exponent)):
            result = result * base
        return result

    def __pow__(self, other: Any) -> Real:
        exponent = self._other(other).known
        if exponent is not None and exponent.denominator == 1 and abs(exponent) <= 8:
            return self.power(int(exponent))
        if exponent is not None and exponent.denominator == 2 and abs(exponent) <= 4:
            return self.sqrt().power(int(2 * exponent))
        return self.algebra.function("pow", self, self._other(other))

    def __rpow__(self, other: Any) -> Real:
        return self._other(other) ** self

    # --- functions ---

    def sqrt(self) -> Real:
        known = self.known
        if known is not None and known >= 0:
            return self.algebra.root(known)
        return self.algebra.function("sqrt", self)

    def exp(self) -> Real:
        """A product with one factor for each term: exp(2x + 3/2) = exp(x)^2 exp(1)^(3/2)."""
        result = self.algebra.constant(1)
        for monomial, factor in self.terms.items():
            atom = self.algebra.function("exp", Real(self.algebra, {monomial: Fraction(1)}))
            ((((number, _),), _),) = atom.terms.items()
            exponent: Exponent = int(factor) if factor.denominator == 1 else factor
            result = result * Real(self.algebra, {((number, exponent),): Fraction(1)})
        return result

    def log(self) -> Real:
        return self.algebra.function("log", self)

    def __abs__(self) -> Real:
        known = self.known
        if known is not None:
            return self.algebra.constant(abs(known))
        lead, scaled = self._scaled()
        return self.algebra.function("abs", scaled) * abs(lead)

    def maximum(self, other: Any) -> Real:
        return self._extreme("max", self._other(other), max)

    def minimum(self, other: Any) -> Real:
        return self._extreme("min", self._other(other), min)

    def _extreme(self, name: str, other: Real, choose: Callable[[Fraction, Fraction], Fraction]) -> Real:
        """One max of all that is under it, its known numbers put together, in an order of its own."""
        found: dict[Any, Real] = {}
        known: Fraction | None = None
        for part in (*self._parts(name), *other._parts(name)):
            number = part.known
            if number is None:
                found[part.key] = part
            else:
                known = number if known is None else choose(known, number)
        parts = [found[key] for key in sorted(found, key=_readable)]
        if known is not None:
            parts.append(self.algebra.constant(known))
        return parts[0] if len(parts) == 1 else self.algebra.function(name, *parts)

    def _parts(self, name: str) -> tuple[Real, ...]:
        if len(self.terms) == 1:
            ((monomial, factor),) = self.terms.items()
            if factor == 1 and len(monomial) == 1 and monomial[0][1] == 1:
                own, arguments = self.algebra.atoms[monomial[0][0]]
                if own == name:
                    return arguments
        return (self,)

    # --- comparisons: decided where they do not depend on symbols ---

    def _difference(self, other: Any) -> Fraction:
        difference = self - other
        known = difference.known
        if known is None:
            raise Undecided(difference.symbols())
        return known

    def __eq__(self, other: object) -> bool:
        return self._difference(other) == 0

    def __ne__(self, other: object) -> bool:
        return self._difference(other) != 0

    def __lt__(self, other: Any) -> bool:
        return self._difference(other) < 0

    def __le__(self, other: Any) -> bool:
        return self._difference(other) <= 0

    def __gt__(self, other: Any) -> bool:
        return self._difference(other) > 0

    def __ge__(self, other: Any) -> bool:
        return self._difference(other) >= 0

    def __bool__(self) -> bool:
        return self._difference(0) != 0

    def __repr__(self) -> str:
        return " + ".join(f"{f}{''.join(f' a{n}^{e}' for n, e in m)}" for m, f in self.terms.items()) or "0"


def _product(first: Monomial, second: Monomial) -> Monomial:
    if not first or not second:
        return first or second
    exponents: dict[int, Exponent] = dict(first)
    for number, exponent in second:
        exponents[number] = exponents.get(number, 0) + exponent
    return tuple((n, exponents[n]) for n in sorted(exponents) if exponents[n])


def _order(monomial: Monomial) -> tuple[Any, ...]:
    return (len(monomial), monomial)


def _readable(key: frozenset[tuple[Monomial, Fraction]]) -> list[Any]:
    return sorted(key)


def _without_squares(whole: int) -> tuple[int, int]:
    """The largest number whose square divides a whole one, as far as small factors go, and what is left."""
    factor = isqrt(whole)
    if factor * factor == whole:
        return factor, 1
    found = 1
    for divisor in range(2, 100):
        while whole % (divisor * divisor) == 0:
            whole //= divisor * divisor
            found *= divisor
    return found, whole


_PI = "3.14159265358979323846264338327950288"
