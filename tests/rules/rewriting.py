"""Applying rules to a model under every check that there is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import onnx
from onnx import checker

from graphopt.graph.dtypes import DType
from graphopt.graph.interface import interface_of
from graphopt.graph.load import from_proto
from graphopt.graph.save import to_proto
from graphopt.graph.validate import interface_of_model, validate
from graphopt.lang import tree
from graphopt.lang.check_targets import values_named
from graphopt.lang.quantizer import QUANTIZER, Quantizer
from graphopt.rewrite.engine import Engine
from graphopt.rewrite.journal import Firing, Journal
from graphopt.rewrite.library import known_targets
from graphopt.verify.environment import activations_of, environment
from tests.rules.weights import samples

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
    asks = isinstance(condition, tree.Call) and condition.function == "weights_alone"
    return asks and isinstance(condition.arguments[0], tree.Name) and condition.arguments[0].name == dtype.name


def rewrite(proto: onnx.ModelProto, rules: Sequence[tree.Rule]) -> Rewritten:
    """Apply rules until none applies; the proto itself stays as it is."""
    copy = onnx.ModelProto()
    copy.CopyFrom(proto)
    model = from_proto(copy)
    interface = interface_of_model(model)
    journal = Journal()
    count = Engine(rules, model, known_to(rules, proto)).run(
        journal, "test", after=lambda _: validate(model, interface)
    )
    validate(model, interface)
    result = to_proto(model)
    assert count == len(journal.firings)
    assert interface_of(result) == interface_of(proto)
    checker.check_model(result, full_check=True)
    return Rewritten(result, tuple(journal.firings))
