"""What rules may ask of the target that a graph is compiled for."""

from __future__ import annotations

from dataclasses import dataclass

from graphopt.graph.dtypes import DType
from graphopt.lang.operators import split_operator


@dataclass(frozen=True)
class TargetFacts:
    """One target, or what several have in common.

    Attributes:
        name: as on the command line.
        lacks: operators of the standard's domains that it cannot run, as rules write them.
        has: operators of other domains that it can run.
        dtypes: element types that it computes in.
        refuses: forms of operators that it has and does not take, by their names in its file.
    """

    name: str
    lacks: frozenset[str] = frozenset()
    has: frozenset[str] = frozenset()
    dtypes: frozenset[DType] = frozenset(DType)
    refuses: frozenset[str] = frozenset()

    def supports(self, operator: str) -> bool:
        """Whether the target can run an operator."""
        domain, name = split_operator(operator)
        return operator in self.has if domain else name not in self.lacks

    def member(self, name: str) -> str | bool:
        """`target.name`, or `target.int8`: whether it computes in that element type."""
        return self.name if name == "name" else DType[name] in self.dtypes


MEMBERS = ("name", *DType.__members__)
