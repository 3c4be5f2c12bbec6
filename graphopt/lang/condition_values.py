"""What stood on the two sides of a condition, and in its calls, for whoever asks why it did not hold."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from graphopt.lang import tree as t
from graphopt.lang.evaluate import compile_expression
from graphopt.lang.values import Decline

TRUTHS = ("and", "or", "not")


def values_in(condition: t.Expression, bindings: Mapping[str, Any]) -> dict[str, Any]:
    """Values of the expressions that a condition compares or hands to functions, by their text; names and literals
    left out."""
    found: dict[str, Any] = {}
    for part in _compared(condition):
        if not _says_itself(part):
            try:
                found[_text(part.span.source.text[part.span.start : part.span.end])] = compile_expression(part)(
                    dict(bindings)
                )
            except Decline:
                continue
    return found


def _compared(condition: t.Expression) -> Iterator[t.Expression]:
    if isinstance(condition, t.Operation) and condition.sign in TRUTHS:
        for operand in condition.operands:
            yield from _compared(operand)
    elif isinstance(condition, t.Operation):
        yield from condition.operands
    elif isinstance(condition, t.Call):
        yield from condition.arguments
        yield from (value for _, value in condition.keywords)


def _says_itself(part: t.Expression) -> bool:
    if isinstance(part, t.ListOf):
        return all(_says_itself(item) for item in part.items)
    return isinstance(part, t.Literal | t.Name | t.Capital)


def _text(text: str) -> str:
    return " ".join(text.split())
