"""The pass `convert-opset`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from graphopt import Context, Model, Pass, PassResult, convert_opset


@dataclass(frozen=True)
class ConvertOpset(Pass):
    """Bring the model to another opset of the standard's operators, by onnx's own converter.

    Options:
        opset: the version of the default domain, 7 or later.
        at-least: leave a model alone that is at a later one.

    Contract: real. The converter's rules are not ours: the gate compares what they give.
    """

    name: ClassVar[str] = "convert-opset"

    opset: int
    at_least: bool = False

    @property
    def idempotent(self) -> bool:
        return True

    def apply(self, model: Model, context: Context) -> PassResult:
        before = model.opset
        changed = not (self.at_least and before >= self.opset) and convert_opset(model, self.opset)
        return PassResult(changed, "real", details={"from": before, "to": model.opset})
