"""The pass `inline-functions`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from graphopt import Context, Model, Pass, PassResult, inline_functions


@dataclass(frozen=True)
class InlineFunctions(Pass):
    """Put the bodies of model-local functions where they are called, so that rules see what is in them.

    Done by onnx's own inliner. A model of more than 1 GB of weights keeps its functions, and the details say so.

    Contract: exact.
    """

    name: ClassVar[str] = "inline-functions"

    @property
    def idempotent(self) -> bool:
        return True

    def apply(self, model: Model, context: Context) -> PassResult:
        functions = len(model.header.functions)
        calls, reason = inline_functions(model)
        gone = functions > len(model.header.functions)
        return PassResult(gone, details={"calls": calls, **({"left": reason} if reason else {})})
