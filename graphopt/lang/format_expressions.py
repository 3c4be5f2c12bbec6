"""Expressions as the formatter writes them: brackets where precedence needs them, and where a reader would."""

from __future__ import annotations

import re

from graphopt.graph.dtypes import DType
from graphopt.lang import tree as t
from graphopt.lang.expressions import COMPARISONS, PRECEDENCE, RIGHT
from graphopt.lang.layout import Bracket, Chain, Doc, Row, flat

LOOSEST, TIGHTEST = 0, 12
_SUMS = ("+", "-", "*", "/", "//", "%")


def expression(value: t.Expression) -> Doc:
    """An expression by itself, or between brackets or commas."""
    if isinstance(value, t.Operation):
        return _operation(value)
    if isinstance(value, t.ListOf):
        return Bracket("[", (tuple(expression(i) for i in value.items),), "]")
    if isinstance(value, t.Member):
        return Row((_postfixed(value.of), f".{value.name}"))
    if isinstance(value, t.Index):
        return Row((_postfixed(value.of), Bracket("[", ((expression(value.index),),), "]")))
    if isinstance(value, t.Slice):
        bounds = Row((_bound(value.start), ":", _bound(value.stop)))
        return Row((_postfixed(value.of), Bracket("[", ((bounds,),), "]")))
    if isinstance(value, t.Call):
        return _call(value)
    if isinstance(value, t.NodeCall):
        return _node(value)
    return literal(value) if isinstance(value, t.Literal) else value.name


def _bound(value: t.Expression | None) -> Doc:
    return expression(value) if value is not None else ""


def _call(value: t.Call) -> Doc:
    arguments = [expression(a) for a in value.arguments]
    keywords = [Row((f"{name}=", expression(a))) for name, a in value.keywords]
    if not value.is_method:
        return Row((value.function, Bracket("(", ((*arguments, *keywords),), ")")))
    inside = Bracket("(", ((*arguments[1:], *keywords),), ")")
    return Row((_postfixed(value.arguments[0]), f".{value.function}", inside))


def _node(value: t.NodeCall) -> Doc:
    inputs = tuple(expression(a) for a in value.arguments)
    attributes: tuple[Doc, ...] = tuple(Row((f"{name}=", expression(a))) for name, a, _ in value.attributes)
    rest = (f"**{value.rest}",) if value.rest is not None else ()
    return Row((value.operator, Bracket("(", (inputs, (*attributes, *rest)), ")")))


# --- operators and brackets ---


def _operation(value: t.Operation) -> Doc:
    sign, operands = value.sign, value.operands
    if sign == "if":
        first, condition, second = operands
        return Chain(
            (_within(first, LOOSEST + 1), Row((_within(condition, LOOSEST + 1), _else(second)))),
            ("if",),
        )
    if sign == "not":
        inner = operands[0]
        is_plain = _precedence(inner) >= PRECEDENCE["not"] and _sign(inner) not in COMPARISONS
        return Row(("not ", expression(inner) if is_plain else _bracketed(inner)))
    if sign == "neg":
        inner = operands[0]
        is_plain = _precedence(inner) > PRECEDENCE["neg"] and not _is_number(inner)
        return Row(("-", expression(inner) if is_plain else _bracketed(inner)))
    return _chain(value)


def _else(second: t.Expression) -> Doc:
    return Row((" else ", expression(second)))


def _chain(value: t.Operation) -> Doc:
    """Operators of one precedence that group from the left, side by side."""
    operands: list[Doc] = []
    signs: list[str] = []
    current: t.Expression = value
    spine: list[tuple[str, tuple[t.Expression, ...]]] = []
    while isinstance(current, t.Operation) and _continues(current, value):
        spine.append((current.sign, current.operands[1:]))
        current = current.operands[0]
    operands.append(_left(current, value.sign))
    for sign, others in reversed(spine):
        for other in others:
            signs.append(sign)
            operands.append(_right(other, sign))
    return Chain(tuple(operands), tuple(signs))


def _continues(current: t.Operation, whole: t.Operation) -> bool:
    if current is whole:
        return True
    is_left = whole.sign not in RIGHT and whole.sign not in COMPARISONS and whole.sign not in ("and", "or")
    return is_left and PRECEDENCE.get(current.sign) == PRECEDENCE[whole.sign] and current.sign not in ("neg", "not")


def _left(value: t.Expression, sign: str) -> Doc:
    lowest = PRECEDENCE[sign] + (sign in RIGHT or sign in COMPARISONS or sign in ("and", "or"))
    return _within(value, lowest) if _sign(value) == "neg" else _operand(value, sign, lowest)


def _right(value: t.Expression, sign: str) -> Doc:
    if sign == "**" and _precedence(value) == PRECEDENCE["neg"]:
        return expression(value)
    lowest = PRECEDENCE[sign] + (sign not in RIGHT)
    return _operand(value, sign, lowest)


def _operand(value: t.Expression, sign: str, lowest: int) -> Doc:
    return _bracketed(value) if _is_clearer(_sign(value), sign) else _within(value, lowest)


def _is_clearer(inner: str | None, outer: str) -> bool:
    """Brackets that precedence does not need, and that readers do."""
    return (
        (inner == "and" and outer == "or")
        or (inner == "??" and outer != "??")
        or (inner in _SUMS and outer == "++")
        or (inner == "neg" and outer in _SUMS)
    )


def _within(value: t.Expression, lowest: int) -> Doc:
    return expression(value) if _precedence(value) >= lowest else _bracketed(value)


def _postfixed(value: t.Expression) -> Doc:
    return _within(value, TIGHTEST)


def _bracketed(value: t.Expression) -> Doc:
    return Bracket("(", ((expression(value),),), ")")


def _sign(value: t.Expression) -> str | None:
    return value.sign if isinstance(value, t.Operation) else None


def _precedence(value: t.Expression) -> int:
    if isinstance(value, t.Operation):
        return LOOSEST if value.sign == "if" else PRECEDENCE[value.sign]
    return PRECEDENCE["neg"] if _is_negative(value) else TIGHTEST


def _is_negative(value: t.Expression) -> bool:
    return isinstance(value, t.Literal) and flat(literal(value)).startswith("-")


def _is_number(value: t.Expression) -> bool:
    return isinstance(value, t.Literal) and isinstance(value.value, (int, float)) and not isinstance(value.value, bool)


# --- literals ---

_WORDS: dict[object, str] = {None: "none", True: "true", False: "false"}
_NUMBER = re.compile(r"[~\s]*(-?)\s*([0-9][0-9.eE+-]*)")


def literal(value: t.Literal) -> str:
    """A literal as it is written in its file: a number keeps its form."""
    if value.value is None or isinstance(value.value, bool):
        return _WORDS[value.value]
    if isinstance(value.value, DType):
        return value.value.name
    if isinstance(value.value, str):
        return quoted(value.value)
    return number(value.value, written(value))


def written(part: t.Literal | t.Number) -> str:
    return part.span.source.text[part.span.start : part.span.end]


def number(value: float, text: str) -> str:
    """A number in the form of the text that it was read from."""
    found = _NUMBER.fullmatch(text)
    return found[1] + found[2] if found is not None else repr(value)


def quoted(text: str) -> str:
    """A text between quotes, as the language reads it."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n").replace("\t", "\\t")
    return f'"{escaped}"'
