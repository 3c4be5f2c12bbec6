"""Applying rules to a model under every check that there is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import onnx
from onnx import checker

from graphopt.graph.interface import interface_of
from graphopt.graph.load import from_proto
from graphopt.graph.save import to_proto
from graphopt.graph.validate import interface_of_model, validate
from graphopt.lang import tree
from graphopt.rewrite.engine import Engine
from graphopt.rewrite.journal import Firing, Journal


@dataclass(frozen=True)
class Rewritten:
    """What came out: the model, and the firings that led there."""

    model: onnx.ModelProto
    firings: tuple[Firing, ...]

    def count(self, rule: str) -> int:
        return sum(1 for f in self.firings if f.rule.split("@")[0] == rule)


def rewrite(proto: onnx.ModelProto, rules: Sequence[tree.Rule]) -> Rewritten:
    """Apply rules until none applies; the proto itself stays as it is."""
    copy = onnx.ModelProto()
    copy.CopyFrom(proto)
    model = from_proto(copy)
    interface = interface_of_model(model)
    journal = Journal()
    count = Engine(rules, model, {}).run(journal, "test", after=lambda _: validate(model, interface))
    validate(model, interface)
    result = to_proto(model)
    assert count == len(journal.firings)
    assert interface_of(result) == interface_of(proto)
    checker.check_model(result, full_check=True)
    return Rewritten(result, tuple(journal.firings))
