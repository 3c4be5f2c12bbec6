"""The rule that is being verified: in each of its forms, compiled once an opset, and tried on instances."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cache, cached_property
from typing import Any

import numpy as np
import onnx
from onnx import helper

from graphopt.errors import GraphoptError, NothingChanged, RewriteError
from graphopt.graph.load import from_proto
from graphopt.graph.model import Model
from graphopt.graph.save import to_proto
from graphopt.graph.schemas import NEWEST_OPSET, has_operator
from graphopt.graph.session import new_session
from graphopt.graph.validate import interface_of_model, violations
from graphopt.lang import tree as t
from graphopt.lang.names import walk
from graphopt.lang.operators import split_operator
from graphopt.lang.values import Decline
from graphopt.lang.versions import opset_bounds, versions_within
from graphopt.rewrite.apply import check_plan
from graphopt.rewrite.engine import Engine
from graphopt.rewrite.journal import Journal
from graphopt.rewrite.rule import CompiledRule, applies_to, expand_operators
from graphopt.rewrite.state import State
from graphopt.rewrite.watch import Watch
from graphopt.verify.build import node_calls
from graphopt.verify.environment import activations_of, environment


@dataclass(frozen=True)
class Rewritten:
    """What the engine made of a model.

    Attributes:
        firings: how often the rule fired.
        model: the result; None where the engine, or the validator, complains.
        complaint: what they say.
    """

    firings: int
    model: onnx.ModelProto | None
    complaint: str = ""


@dataclass(frozen=True)
class Structure:
    """How far the left side fits a model.

    Attributes:
        bindings: what the names of the rule stand for, once the structure matches; None where it does not.
        reason: why not, or why the engine declines to carry out the right side.
        is_declined: whether the structure matches, and the engine declines.
    """

    bindings: dict[str, Any] | None
    reason: str = ""
    is_declined: bool = False


class Subject:
    """One rule without its `when`: profit is not what is verified.

    Attributes:
        rule: its tree, without `when`.
        may_do_nothing: whether it had one, which may be what keeps it from what is there already.
        forms: one rule for each choice of operator generics.
        opsets: the opsets in which its operators are there, and that ONNX Runtime takes.
        activations: the element type that it turns activations into, if it quantizes.
    """

    def __init__(self, rule: t.Rule) -> None:
        self.rule = replace(rule, when=())
        self.may_do_nothing = bool(rule.when)
        self.activations = activations_of(rule)
        self.forms = expand_operators(self.rule)
        self.opsets = _opsets(self.rule)
        self._compiled: dict[tuple[int, tuple[int, ...]], list[CompiledRule]] = {}

    @cached_property
    def milestones(self) -> list[int]:
        """Opsets at which one of the operators changed, and the ends of the range."""
        if not self.opsets:
            return []
        patterns = [p for m in self.rule.matches for p in walk(m.pattern) if isinstance(p, t.NodePattern)]
        operators = {p.operator for p in patterns} | {c.operator for c in node_calls(self.rule)}
        generic = {g.name for g in self.rule.generics}
        bounds = t.OpsetRange(self.opsets[0], self.opsets[-1], self.rule.span)
        found = {self.opsets[0], self.opsets[-1]}
        for operator in operators - generic:
            found |= set(versions_within(operator, bounds))
        return sorted(found & set(self.opsets))

    def without(self, dropped: frozenset[int]) -> t.Rule:
        """The rule without some of its conditions."""
        return replace(self.rule, where=tuple(c for i, c in enumerate(self.rule.where) if i not in dropped))

    def structure(self, model: Model) -> Structure:
        """Whether the left side fits somewhere, whatever the conditions say, and what its names stand for there."""
        watch = Watch()
        with np.errstate(all="ignore"):
            for rule in self._bare(model.opsets):
                for node in list(model.all_nodes()):
                    if (node.domain, node.op_type) not in rule.roots or not rule.may_match(node):
                        continue
                    state = rule.match(node, model, watch)
                    if state is not None:
                        return _carried_out(rule, state)
        stop = watch.farthest
        if stop is None:
            return Structure(None, "no node fits")
        is_declined = stop.kind == "declined" or stop.span == self.rule.rewrites[0].span
        return Structure(stop.bindings if is_declined else None, f"{stop.kind}: {stop.text}", is_declined)

    def _bare(self, opsets: dict[str, int]) -> list[CompiledRule]:
        key = (opsets.get("", 1), ())
        if key not in self._compiled:
            rule = self.without(frozenset(range(len(self.rule.where))))
            forms = [f for f in expand_operators(rule) if applies_to(f, opsets)]
            self._compiled[key] = [CompiledRule(f, opsets, environment(self.rule, self.activations)) for f in forms]
        return self._compiled[key]


def _carried_out(rule: CompiledRule, state: State) -> Structure:
    try:
        check_plan(rule, state)
    except Decline as reason:
        return Structure(state.bindings, f"declined: {reason}", is_declined=True)
    except RewriteError as error:
        return Structure(state.bindings, f"declined: {error.message}")
    return Structure(state.bindings)


def rewrite(
    rule: t.Rule,
    model: onnx.ModelProto,
    loaded: Model | None = None,
    *,
    may_do_nothing: bool = False,
    known: Mapping[str, Any] | None = None,
) -> Rewritten:
    """Let the engine apply one rule to a model, the validator behind each firing. `loaded` is the same model as our
    graph, if it is there already; it is used up. `known` is what the rule reads beside the graph."""
    complaints: list[str] = []
    try:
        loaded = loaded or from_proto(_copied(model), overridable="keep")
    except GraphoptError:
        return Rewritten(0, model)  # no model at all, so nothing to get wrong
    try:
        interface = interface_of_model(loaded)
        journal = Journal()

        def check(_: object) -> None:
            complaints.extend(violations(loaded, interface))

        count = Engine([rule], loaded, dict(known or {})).run(journal, "verify", after=check)
        if not count:
            return Rewritten(0, model)
        if complaints:
            return Rewritten(count, None, complaints[0])
        return Rewritten(count, to_proto(loaded))
    except NothingChanged as error:
        return Rewritten(0, model) if may_do_nothing else Rewritten(1, None, error.message)
    except GraphoptError as error:
        return Rewritten(1, None, error.message)
    except Exception as error:  # a rule that brings the engine down is as wrong as one that miscalculates
        return Rewritten(1, None, f"the engine fails: {type(error).__name__}: {error}")


def _copied(model: onnx.ModelProto) -> onnx.ModelProto:
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    return copy


def _opsets(rule: t.Rule) -> list[int]:
    low, high = opset_bounds(rule.opset)
    emitted = [split_operator(c.operator) for c in node_calls(rule)]
    generic = {g.name for g in rule.generics}
    needed = [name for domain, name in emitted if not domain and name not in generic]
    return [o for o in range(low, min(high, newest_opset()) + 1) if all(has_operator(n, o) for n in needed)]


@cache
def newest_opset() -> int:
    """The newest opset that the installed ONNX Runtime takes."""
    for opset in range(NEWEST_OPSET[""], 7, -1):
        x, y = (helper.make_tensor_value_info(n, onnx.TensorProto.FLOAT, [1]) for n in "xy")
        graph = helper.make_graph([helper.make_node("Identity", ["x"], ["y"])], "probe", [x], [y])
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=10)
        try:
            new_session(model.SerializeToString(), threads=1)
        except Exception:  # ONNX Runtime's errors share no base but this one
            continue
        return opset
    return 7
