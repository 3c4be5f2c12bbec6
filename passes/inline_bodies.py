"""The pass `inline-bodies`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from graphopt import Context, Model, PassResult, TargetPass, inline_refused


@dataclass(frozen=True)
class InlineBodies(TargetPass):
    """Put the standard's own definition in the place of each node that the target does not take as it is.

    1. The target has no such operator.
    2. It has, but not with these attributes, results, sizes or element types.

    A node that the target takes stays whole, so that its own kernel for it is used; nodes of a body are treated alike.

    Contract: real, as a definition may round where a kernel does not.

    Options:
        target: what is compiled for.
    """

    name: ClassVar[str] = "inline-bodies"

    def apply(self, model: Model, context: Context) -> PassResult:
        inlined = inline_refused(model, self.target)
        return PassResult(inlined > 0, "real" if inlined else "exact", details={"bodies": inlined})
