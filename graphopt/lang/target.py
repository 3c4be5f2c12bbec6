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
        placement: which of the two ways to place QuantizeLinear and DequantizeLinear its kernels want: "inputs" (of
            the operators that run on codes; outputs stay as they are), or "everywhere" (what they make as well).
        quantizes: operators of which it has a kernel that reads codes.
        activations: the element type in which it wants activations of 8 bits.
        refuses: forms of operators that it has and does not take, by their names in its file.
    """

    name: str
    lacks: frozenset[str] = frozenset()
    has: frozenset[str] = frozenset()
    dtypes: frozenset[DType] = frozenset(DType)
    placement: str = "inputs"
    quantizes: frozenset[str] = frozenset()
    activations: DType = DType.int8
    refuses: frozenset[str] = frozenset()

    def supports(self, operator: str) -> bool:
        """Whether the target can run an operator."""
        domain, name = split_operator(operator)
        return operator in self.has if domain else name not in self.lacks

    def member(self, name: str) -> str | bool:
        """`target.name`, `target.placement`, or `target.int8`: whether it computes in that element type."""
        return getattr(self, name) if name in TEXTS else DType[name] in self.dtypes


TEXTS = ("name", "placement")
MEMBERS = (*TEXTS, *DType.__members__)
