"""What rules that quantize know while they are verified: ranges of an instance's tensors, on its own inputs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
from onnx import helper

from graphopt.graph.dtypes import DType
from graphopt.lang import tree as t
from graphopt.lang.check_targets import values_named
from graphopt.lang.functions import FUNCTIONS
from graphopt.lang.names import walk
from graphopt.lang.quantizer import LARGEST, QUANTIZER, Quantizer
from graphopt.rewrite.library import known_targets
from graphopt.verify.build import Feed
from graphopt.verify.judge_run import Refused, run

Range = tuple[float, float]


@dataclass(frozen=True)
class Ranges:
    """Ranges by tensor; nothing within them is clipped. Without any, every tensor is taken to lie between -1 and 1."""

    found: Mapping[str, Range] | None = None

    def has(self, name: str) -> bool:
        return self.found is None or name in self.found

    def scale(self, name: str) -> float | None:
        known = self.range(name)
        return None if known is None else max(abs(known[0]), abs(known[1])) / LARGEST[DType.int8]

    def range(self, name: str) -> Range | None:
        return (-1.0, 1.0) if self.found is None else self.found.get(name)


def environment(
    rule: t.Rule, activations: DType, model: onnx.ModelProto | None = None, feeds: Sequence[Feed] = ()
) -> dict[str, Any]:
    """What the expressions of a rule read beside their arguments; nothing for a rule that does not quantize. Ranges
    are those of the model on these inputs, or any, where there is no model."""
    if not _quantizes(rule):
        return {}
    weights = activations if activations.is_float else DType.int8
    return {QUANTIZER: Quantizer(Ranges(None if model is None else _ranges(model, feeds)), activations, weights)}


def _quantizes(rule: t.Rule) -> bool:
    parts = (p for item in (*rule.where, *rule.when, *rule.lets, *rule.rewrites) for p in walk(item))
    called = (FUNCTIONS.get(p.function) for p in parts if isinstance(p, t.Call))
    return any(f is not None and f.reads == QUANTIZER for f in called)


def activations_of(rule: t.Rule) -> DType:
    """The element type of activations that the rule asks for, or that of the placement that it is for."""
    asked = [c.arguments[0] for c in rule.when if isinstance(c, t.Call) and c.function == "activations_in"]
    for argument in asked:
        if isinstance(argument, t.Name):
            return DType[argument.name]
    named = {name for condition in (*rule.when, *rule.where) for name in values_named(condition, "placement")}
    return next((target.activations for target in known_targets() if target.placement in named), DType.int8)


def _ranges(model: onnx.ModelProto, feeds: Sequence[Feed]) -> dict[str, Range]:
    """Of every floating tensor of the graph; none where ONNX Runtime does not run it."""
    shown = onnx.ModelProto()
    shown.CopyFrom(model)
    there = {o.name for o in model.graph.output}
    names = dict.fromkeys(name for node in model.graph.node for name in node.output if name and name not in there)
    shown.graph.output.extend(helper.make_empty_tensor_value_info(name) for name in names)
    found: dict[str, Range] = {}
    refused: set[str] = set()
    for feed in feeds:
        try:
            values = run(shown, feed)
        except Refused:
            return {}
        for name, value in {**values, **feed}.items():
            if not _widen(found, name, value):
                refused.add(name)
    return {name: known for name, known in found.items() if name not in refused}


def _widen(found: dict[str, Range], name: str, value: Any) -> bool:
    """Take an array into the range of its tensor; False where it is not of finite numbers."""
    array = np.asarray(value)
    if array.dtype.kind != "f" or not np.isfinite(array).all():
        return False
    low, high = found.get(name, (np.inf, -np.inf))
    found[name] = (min(low, float(array.min(initial=np.inf))), max(high, float(array.max(initial=-np.inf))))
    return found[name][0] <= found[name][1]
