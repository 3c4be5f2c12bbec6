"""The functions that rules can call, by name."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from graphopt.lang.signatures import Signature, parse_signature


@dataclass(frozen=True)
class Function:
    """A named function.

    Attributes:
        name: lower_case.
        signatures: how it can be called; the first that fits tells the sort of the result.
        doc: one sentence.
        call: the Python behind it.
        takes_unknown: whether it wants to see UNKNOWN arguments; else any of them makes the result UNKNOWN.
        origin: the module that it was registered from.
        reads: under what bindings hold what it gets as its first argument, beside those that are written; None for
            functions of their arguments alone.
    """

    name: str
    signatures: tuple[Signature, ...]
    doc: str
    call: Callable[..., Any]
    takes_unknown: bool
    origin: str
    reads: str | None = None


FUNCTIONS: dict[str, Function] = {}


def function(
    *signatures: str, takes_unknown: bool = False, reads: str | None = None
) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Register a function of the language: `@function("rep(item: A, count: int) -> list[A]")`. Its docstring
    documents it; it sees values as expressions compute them, tensors and symbolic dims included."""
    parsed = tuple(parse_signature(s) for s in signatures)

    def register(call: Callable[..., Any]) -> Callable[..., Any]:
        doc = " ".join((call.__doc__ or "").split())
        name = parsed[0].name
        FUNCTIONS[name] = Function(name, parsed, doc, call, takes_unknown, call.__module__, reads)
        return call

    return register
