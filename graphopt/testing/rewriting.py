"""Applying rules to a model under every check that there is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, cast

import onnx
from onnx import checker

from graphopt.graph.dtypes import DType
from graphopt.graph.interface import Interface, interface_of
from graphopt.graph.load import from_proto
from graphopt.graph.model import Model
from graphopt.graph.save import to_proto
from graphopt.graph.validate import interface_of_model, validate
from graphopt.lang import tree
from graphopt.lang.check_targets import values_named
from graphopt.lang.quantizer import QUANTIZER, Quantizer
from graphopt.pipeline.passes import Context, Pass, PassResult
from graphopt.rewrite.engine import Engine
from graphopt.rewrite.journal import Firing, Journal
from graphopt.rewrite.library import known_targets
from graphopt.testing.weights import samples
from graphopt.verify.environment import activations_of, environment

LEGALIZED = "tensorrt-rtx"
"""The target for which the cases of legalizing rules are written."""


@dataclass(frozen=True)
class Rewritten:
    """What came out: the model, and the firings that led there."""

    model: onnx.ModelProto
    firings: tuple[Firing, ...]

    def count(self, rule: str) -> int:
        return sum(1 for f in self.firings if f.rule.split("@")[0] == rule)


def known_to(rules: Sequence[tree.Rule], proto: onnx.ModelProto) -> dict[str, Any]:
    """What a single rule reads beside the graph: ranges on the samples of the model, and the first target that it is
    for."""
    if len(rules) != 1:
        return {}
    (rule,) = rules
    if rule.phase == "legalize":
        return {"target": next(t for t in known_targets() if t.name == LEGALIZED)}
    known = environment(rule, activations_of(rule), proto, list(samples(proto)))
    named = {name for condition in rule.when for name in values_named(condition, "placement")}
    for dtype in (DType.int8, DType.int4):
        if any(_asks_for(condition, dtype) for condition in rule.when):
            known[QUANTIZER] = Quantizer(weights=dtype, alone=True)
    fitting = [target for target in known_targets() if target.placement in named]
    return {**known, "target": fitting[0]} if fitting else known


def _asks_for(condition: tree.Expression, dtype: DType) -> bool:
    """Whether a condition is `weights_alone(dtype)`."""
    if not isinstance(condition, tree.Call) or condition.function != "weights_alone":
        return False
    asked = condition.arguments[0]
    return isinstance(asked, tree.Name) and asked.name == dtype.name


def apply_pass(proto: onnx.ModelProto, step: Pass, context: Context) -> tuple[onnx.ModelProto, PassResult]:
    """Apply a pass; the proto itself stays as it is."""
    model, interface = _opened(proto)
    result = step.apply(model, context)
    return _closed(model, interface, proto), result


def rewrite(proto: onnx.ModelProto, rules: Sequence[tree.Rule]) -> Rewritten:
    """Apply rules until none applies; the proto itself stays as it is."""
    model, interface = _opened(proto)
    journal = Journal()
    count = Engine(rules, model, known_to(rules, proto)).run(
        journal, "test", after=lambda _: validate(model, interface)
    )
    assert count == len(journal.firings)
    return Rewritten(_closed(model, interface, proto), tuple(journal.firings))


def _opened(proto: onnx.ModelProto) -> tuple[Model, Interface]:
    copy = onnx.ModelProto()
    copy.CopyFrom(proto)
    model = from_proto(copy)
    return model, interface_of_model(model)


def _closed(model: Model, interface: Interface, proto: onnx.ModelProto) -> onnx.ModelProto:
    """What has become of a model, which must be valid and have the inputs and outputs that it had."""
    validate(model, interface)
    result = to_proto(model)
    assert interface_of(result) == interface_of(proto)
    check: Any = cast("Any", checker).check_model  # one of its types is left open
    check(result, full_check=True)
    return result
