"""Signatures of functions: names and sorts of their parameters, and the sort of what they return.

Written `name(parameter: sort, …) -> sort`; a parameter that ends in `?` may be left out, `*parameter` takes any
number of arguments.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import pairwise

from graphopt.lang.sorts import NOTHING, Sort, fits, parse_sort, substitute, written


@dataclass(frozen=True)
class Parameter:
    name: str
    sort: Sort
    is_optional: bool = False
    is_variadic: bool = False

    def __str__(self) -> str:
        mark = "?" if self.is_optional else ""
        return f"{'*' * self.is_variadic}{self.name}{mark}: {written(self.sort)}"


@dataclass(frozen=True)
class Signature:
    name: str
    parameters: tuple[Parameter, ...]
    result: Sort

    def __str__(self) -> str:
        return f"{self.name}({', '.join(str(p) for p in self.parameters)}) -> {written(self.result)}"

    @property
    def arity(self) -> tuple[int, int | None]:
        """Fewest and most arguments; None is no limit."""
        least = sum(1 for p in self.parameters if not (p.is_optional or p.is_variadic))
        return least, None if any(p.is_variadic for p in self.parameters) else len(self.parameters)

    def accepts_count(self, count: int) -> bool:
        least, most = self.arity
        return count >= least and (most is None or count <= most)

    def parameter(self, position: int) -> Parameter:
        """The parameter that takes an argument by its position."""
        return self.parameters[min(position, len(self.parameters) - 1)]

    def named(self, name: str) -> Parameter | None:
        return next((p for p in self.parameters if p.name == name), None)

    def apply(self, arguments: list[tuple[Parameter, Sort]]) -> tuple[Sort, int | None]:
        """The sort of a call's result, and the number of the first argument that does not fit."""
        letters: dict[str, Sort] = {}
        for number, (parameter, given) in enumerate(arguments):
            if not fits(given, parameter.sort, letters):
                return NOTHING, number
        return substitute(self.result, letters), None


_FORM = re.compile(r"\s*([a-z][A-Za-z0-9_]*)\s*\((.*)\)\s*->\s*(.+)", re.DOTALL)
_PARAMETER = re.compile(r"(\*?)\s*([a-z][A-Za-z0-9_]*)\s*(\??)\s*:\s*(.+)", re.DOTALL)


def parse_signature(text: str) -> Signature:
    """A signature from its text.

    Raises:
        ValueError: the text is none, in words that say what is wrong with it.
    """
    found = _FORM.fullmatch(text)
    if found is None:
        raise ValueError(f"{text!r} is not of the form 'name(parameter: sort, ...) -> sort'")
    name, inside, result = found.groups()
    parameters = tuple(_parameter(p) for p in inside.split(",") if p.strip())
    for before, after in pairwise(parameters):
        if before.is_variadic or (before.is_optional and not (after.is_optional or after.is_variadic)):
            raise ValueError(f"the parameter {after.name!r} stands behind one that takes a varying number")
    return Signature(name, parameters, parse_sort(result))


def _parameter(text: str) -> Parameter:
    found = _PARAMETER.fullmatch(text.strip())
    if found is None:
        raise ValueError(f"the parameter {text.strip()!r} is not of the form 'name: sort'")
    star, name, mark, sort = found.groups()
    return Parameter(name, parse_sort(sort), bool(mark), bool(star))
