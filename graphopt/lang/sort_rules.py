"""How sorts combine under the operators of expressions, and what a condition says about what is absent."""

from __future__ import annotations

from dataclasses import dataclass

from graphopt.lang import tree as t
from graphopt.lang.sorts import ANY, BOOL, CONST, FLOAT, INT, NOTHING, NUMBER, Sort, fits, list_of

COMPARISONS = frozenset(("<", "<=", ">", ">="))


def arithmetic(sign: str, left: Sort, right: Sort) -> Sort | None:
    """The sort of `left sign right`; None where the two do not go together."""
    if left.is_any or right.is_any:
        return BOOL if sign in COMPARISONS else ANY
    if _is_list(left) or _is_list(right):
        return _on_lists(sign, left, right)
    if fits(left, NUMBER) and fits(right, NUMBER):
        return _on_numbers(sign, left, right)
    if "bool" in left.names() | right.names():
        return None
    if fits(left, CONST) and fits(right, CONST):
        return CONST
    return None


def _is_list(sort: Sort) -> bool:
    return "list" in sort.names()


def _on_numbers(sign: str, left: Sort, right: Sort) -> Sort:
    if sign in COMPARISONS:
        return BOOL
    both_whole = fits(left, INT) and fits(right, INT)
    return INT if both_whole and sign != "/" else FLOAT


def _on_lists(sign: str, left: Sort, right: Sort) -> Sort | None:
    sides = [s.item() if s.names() == {"list"} else s for s in (left, right)]
    if not all(fits(s, NUMBER) or "list" in s.names() for s in sides):
        return None
    item = arithmetic(sign, sides[0], sides[1]) if all(s.kinds for s in sides) else NOTHING
    return list_of(item) if item is not None else None


def comparable(left: Sort, right: Sort) -> bool:
    """Whether two values can be equal at all."""
    if left.is_any or right.is_any or (left.may_be_absent and right.may_be_absent):
        return True
    left, right = left.present, right.present
    if not left.kinds or not right.kinds:
        return True  # `x == none`
    return fits(left, right) or fits(right, left) or _share(left, right)


def _share(left: Sort, right: Sort) -> bool:
    if left.kinds & right.kinds:
        return True
    return _is_list(left) and _is_list(right) and comparable(left.item(), right.item())


@dataclass(frozen=True)
class Facts:
    """Names that are known not to be absent."""

    present: frozenset[str] = frozenset()

    def and_also(self, other: Facts) -> Facts:
        return Facts(self.present | other.present)

    def in_both(self, other: Facts) -> Facts:
        return Facts(self.present & other.present)


def facts_of(condition: t.Expression, truth: bool) -> Facts:
    """What follows about absence where a condition is known to be true, or false."""
    if not isinstance(condition, t.Operation):
        return Facts()
    sign, operands = condition.sign, condition.operands
    if sign == "not":
        return facts_of(operands[0], not truth)
    if sign in ("and", "or"):
        parts = [facts_of(o, truth) for o in operands]
        result = parts[0]
        for part in parts[1:]:
            result = result.and_also(part) if (sign == "and") == truth else result.in_both(part)
        return result
    if sign in ("==", "!=") and (sign == "!=") == truth:
        names = [o.name for o in operands if isinstance(o, t.Name)]
        nones = [o for o in operands if isinstance(o, t.Literal) and o.value is None]
        return Facts(frozenset(names)) if nones else Facts()
    return Facts()
