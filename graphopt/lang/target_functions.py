"""Functions of rules on the target."""

from __future__ import annotations

from typing import Any

from graphopt.lang.registry import function


@function("supports(target: target, operator: operator) -> bool")
def _supports(target: Any, operator: Any) -> Any:
    """Whether the target can run an operator, written `target.supports(Op)`; unknown where there is no target."""
    return target.supports(operator)
