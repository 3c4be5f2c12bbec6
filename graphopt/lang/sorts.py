"""Sorts: what kind of thing an expression is, before any model is there.

A sort is a union of kinds: `const or none` for an optional constant. Written, in signatures of functions:

    tensor      a value of the graph, known when the model runs
    const       a tensor that is known while compiling
    int         a whole number; dims are ints, whether their size is known or has a name
    float       a number
    bool        a condition
    text        text
    dtype       an element type
    operator    an operator of the graph
    list[S]     a list
    none        what is absent
    any         anything
    S|T         either
    N, A, …     a capital letter: the same sort wherever it stands; N is int or float
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

KINDS = ("tensor", "const", "int", "float", "bool", "text", "dtype", "operator", "target", "attributes", "none", "any")

WORDS = {
    "tensor": "a tensor",
    "const": "a constant",
    "int": "a whole number",
    "float": "a number",
    "bool": "a condition",
    "text": "text",
    "dtype": "an element type",
    "operator": "an operator",
    "target": "the target",
    "attributes": "captured attributes",
    "none": "absent",
    "any": "anything",
}


@dataclass(frozen=True)
class Kind:
    """One kind; `item` is the sort of a list's items."""

    name: str
    item: Sort | None = None

    def __str__(self) -> str:
        if self.item is None:
            return WORDS.get(self.name, self.name)
        return f"a list of {self.item.plural}" if self.item.kinds else "an empty list"


@dataclass(frozen=True)
class Sort:
    """A union of kinds. Without any it is the sort of the items of an empty list, and fits everything."""

    kinds: frozenset[Kind]

    def __or__(self, other: Sort) -> Sort:
        return Sort(self.kinds | other.kinds)

    def __str__(self) -> str:
        return " or ".join(sorted(str(k) for k in self.kinds)) or "nothing"

    @property
    def plural(self) -> str:
        return " or ".join(sorted(_PLURALS.get(k.name, k.name) for k in self.kinds))

    @property
    def is_any(self) -> bool:
        return any(k.name == "any" for k in self.kinds)

    @property
    def may_be_absent(self) -> bool:
        return any(k.name == "none" for k in self.kinds)

    @property
    def present(self) -> Sort:
        """The sort without `none`."""
        return Sort(frozenset(k for k in self.kinds if k.name != "none"))

    def names(self) -> set[str]:
        return {k.name for k in self.kinds}

    def item(self) -> Sort:
        """What the lists in it hold."""
        found = Sort(frozenset())
        for kind in self.kinds:
            found = found | (kind.item or Sort(frozenset()))
        return found


_PLURALS = {
    "tensor": "tensors",
    "const": "constants",
    "int": "whole numbers",
    "float": "numbers",
    "bool": "conditions",
    "dtype": "element types",
    "operator": "operators",
    "list": "lists",
}


def sort_of(*names: str) -> Sort:
    return Sort(frozenset(Kind(n) for n in names))


def list_of(item: Sort) -> Sort:
    return Sort(frozenset((Kind("list", item),)))


TENSOR, CONST, INT, FLOAT, BOOL, TEXT = (sort_of(n) for n in ("tensor", "const", "int", "float", "bool", "text"))
DTYPE, OPERATOR, TARGET, ATTRIBUTES = (sort_of(n) for n in ("dtype", "operator", "target", "attributes"))
NONE, ANY, NOTHING = sort_of("none"), sort_of("any"), sort_of()
NUMBER = INT | FLOAT
INTS = list_of(INT)


# --- which sort fits where ---

_WIDENS = {
    ("int", "float"),
    ("const", "tensor"),
    ("int", "const"),
    ("float", "const"),
    ("bool", "const"),
    ("int", "tensor"),
    ("float", "tensor"),
    ("bool", "tensor"),
}
"""What may stand for what: a number is a constant of one element, a constant is a tensor."""

Bound = dict[str, Sort]


def fits(given: Sort, wanted: Sort, bound: Bound | None = None) -> bool:
    """Whether every kind of `given` may stand where `wanted` is asked for; letters are bound on the way."""
    letters: Bound = {} if bound is None else bound
    return all(_kind_fits(kind, wanted, letters) for kind in _ordered(given.kinds))


def _ordered(kinds: Iterable[Kind]) -> list[Kind]:
    return sorted(kinds, key=str)


def _kind_fits(kind: Kind, wanted: Sort, letters: Bound) -> bool:
    if kind.name == "any":
        return True
    return any(_one_fits(kind, option, letters) for option in _ordered(wanted.kinds))


def _one_fits(kind: Kind, wanted: Kind, letters: Bound) -> bool:
    if wanted.name == "any":
        return True
    if is_letter(wanted.name):
        return _binds(wanted.name, kind, letters)
    if kind.item is not None:
        if wanted.item is not None:
            return fits(kind.item, wanted.item, letters)
        return wanted.name in ("const", "tensor") and fits(kind.item, NUMBER | BOOL)
    return kind.name == wanted.name or (kind.name, wanted.name) in _WIDENS


def is_letter(name: str) -> bool:
    return len(name) == 1 and name.isupper()


def _binds(letter: str, kind: Kind, letters: Bound) -> bool:
    if letter == "N" and kind.name not in ("int", "float"):
        return False
    letters[letter] = letters.get(letter, NOTHING) | Sort(frozenset((kind,)))
    return True


def substitute(sort: Sort, letters: Bound) -> Sort:
    """A sort with its letters replaced by what they were bound to."""
    found = NOTHING
    for kind in sort.kinds:
        if is_letter(kind.name):
            found = found | letters.get(kind.name, NOTHING)
        elif kind.item is not None:
            found = found | list_of(substitute(kind.item, letters))
        else:
            found = found | Sort(frozenset((kind,)))
    return found


# --- as text ---

_TOKEN = re.compile(r"\s*([A-Za-z]+|\[|\]|\|)")


def parse_sort(text: str) -> Sort:
    """A sort as signatures write it.

    Raises:
        ValueError: the text is none.
    """
    words: list[str] = []
    position = 0
    while position < len(text.rstrip()):
        found = _TOKEN.match(text, position)
        if found is None:
            raise ValueError(f"{text[position:].strip()!r} is not a sort")
        words.append(found[1])
        position = found.end()
    sort, rest = _union(words)
    if rest:
        raise ValueError(f"{''.join(rest)!r} cannot stand there")
    return sort


def _union(words: list[str]) -> tuple[Sort, list[str]]:
    sort, rest = _single(words)
    while rest and rest[0] == "|":
        other, rest = _single(rest[1:])
        sort = sort | other
    return sort, rest


def _single(words: list[str]) -> tuple[Sort, list[str]]:
    if not words:
        raise ValueError("a sort is missing")
    word, *rest = words
    if word == "list":
        if not rest or rest[0] != "[":
            raise ValueError("a list says of what: list[int]")
        item, rest = _union(rest[1:])
        if not rest or rest[0] != "]":
            raise ValueError("the bracket behind list is not closed")
        return list_of(item), rest[1:]
    if word not in KINDS and not is_letter(word):
        raise ValueError(f"there is no sort {word!r}; there are {', '.join(KINDS)} and list[...]")
    return sort_of(word), rest


def written(sort: Sort) -> str:
    """A sort as signatures write it."""
    return "|".join(sorted(k.name if k.item is None else f"list[{written(k.item)}]" for k in sort.kinds))
