"""Functions of rules on the target."""

from __future__ import annotations

from typing import Any

from graphopt.lang.registry import function


@function("supports(target: target, operator: operator) -> bool")
def _supports(target: Any, operator: Any) -> Any:
    """Whether the target can run an operator, written `target.supports(Op)`; unknown where there is no target."""
    return target.supports(operator)


@function("quantizes(target: target, operator: operator) -> bool")
def _quantizes(target: Any, operator: Any) -> Any:
    """Whether the target has a kernel of an operator that reads codes, written `target.quantizes(Op)`; unknown where
    there is no target."""
    return operator in target.quantizes


@function("refuses(target: target, form: text) -> bool")
def _refuses(target: Any, form: Any) -> Any:
    """Whether the target has an operator and does not take this form of it, by the name that its file has for the
    form; unknown where there is no target."""
    return form in target.refuses
