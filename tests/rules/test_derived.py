"""What must hold of a rule wherever it fires, tried on graphs that follow from its cases."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import onnx
import pytest

from graphopt.graph.load import from_proto
from graphopt.graph.save import to_proto
from graphopt.graph.validate import validate
from graphopt.lang import tree
from graphopt.rewrite.engine import Engine
from graphopt.rewrite.journal import Journal
from graphopt.rewrite.rule import CompiledRule, applies_to, expand_operators
from graphopt.testing.cases import Variant, variants_of
from graphopt.testing.rewriting import known_to, rewrite
from graphopt.testing.weights import samples
from tests.rules.derived import (
    dynamic_dims,
    has_bodies,
    in_a_body,
    interior,
    overridable,
    with_more_readers,
    with_swapped_operands,
    without_defaults,
)
from tests.rules.oracle import assert_same_results, loses_a_capture, runs
from tests.rules.shipped import CASES, ONE_EACH, RULES

FIRING = [v for v in ONE_EACH if v.case.fires and v.case.not_run is None]


def _has_shared(rule: tree.Rule) -> bool:
    return any(match.is_shared for match in rule.matches)


def _operators(pattern: tree.InputPattern, rule: tree.Rule) -> set[str]:
    """The operators of a pattern, those of generics and of what is nested included."""
    if isinstance(pattern, tree.Alternatives):
        return {name for option in pattern.options for name in _operators(option, rule)}
    if not isinstance(pattern, tree.NodePattern):
        return set()
    generic = next((g.options for g in rule.generics if g.name == pattern.operator), (pattern.operator,))
    return {*generic, *(name for inner in pattern.inputs for name in _operators(inner, rule))}


def _values_between(model: onnx.ModelProto, rule: tree.Rule) -> list[str]:
    """Values that an operator of the rule's last statement reads from one of the others'."""
    *others, root = [_operators(m.pattern, rule) for m in rule.matches]
    above = {name for operators in others for name in operators} or root
    read = {name for node in model.graph.node if node.op_type in root for name in node.input}
    made = {name for node in model.graph.node if node.op_type in above for name in node.output}
    return [name for name in interior(model) if name in read & made]


def _same_results(before: onnx.ModelProto, after: onnx.ModelProto, rule: tree.Rule) -> None:
    assert_same_results(before, after, samples(before), rule.equal)


@pytest.mark.parametrize("variant", FIRING, ids=str)
def test_another_reader_of_what_lies_between(variant: Variant):
    """A rule lets go of it, unless it shares: then it fires, and leaves what is shared."""
    rule = RULES[variant.case.rule]
    between = _values_between(variant.model, rule)
    for value, label, model in with_more_readers(variant.model):
        after = rewrite(model, [rule])
        if between == [value] and variant.case.firings == 1:
            assert (after.count(rule.name) > 0) == _has_shared(rule), label
        if not loses_a_capture(model):
            _same_results(model, after.model, rule)


@pytest.mark.parametrize("variant", FIRING, ids=str)
def test_operands_the_other_way_round(variant: Variant):
    rule = RULES[variant.case.rule]
    for label, model in with_swapped_operands(variant.model):
        after = rewrite(model, [rule])
        assert after.count(rule.name) == variant.case.firings, label
        _same_results(model, after.model, rule)


@pytest.mark.parametrize("variant", [v for v in FIRING if not has_bodies(v.model)], ids=str)
def test_in_the_body_of_an_if(variant: Variant):
    rule = RULES[variant.case.rule]
    model = in_a_body(variant.model)
    after = rewrite(model, [rule])
    assert after.count(rule.name) == 2 * variant.case.firings_in_a_body
    _same_results(model, after.model, rule)


def _may_be_empty(model: onnx.ModelProto) -> bool:
    """ONNX Runtime ends the process, and raises nothing, on a GRU or LSTM of nothing."""
    return bool(dynamic_dims(model)) and not any(n.op_type in ("GRU", "LSTM") for n in model.graph.node)


@pytest.mark.parametrize("variant", [v for v in FIRING if _may_be_empty(v.model)], ids=str)
def test_a_size_of_0(variant: Variant):
    """A dynamic size may be 0: where the original runs, what the rule makes of it runs as well."""
    rule = RULES[variant.case.rule]
    after = rewrite(variant.model, [rule]).model
    for name in dynamic_dims(variant.model):
        feeds = [f for f in samples(variant.model, empty=name) if runs(variant.model, f)]
        assert_same_results(variant.model, after, feeds, rule.equal)


@pytest.mark.parametrize("variant", FIRING, ids=str)
def test_weights_that_the_caller_overrides(variant: Variant):
    """Overriding is giving a value for what has a default: so both models are compared without their defaults."""
    rule = RULES[variant.case.rule]
    model = overridable(variant.model)
    after = rewrite(model, [rule])
    _same_results(model, after.model, rule)
    asked = without_defaults(model)
    if all(i.data_type == onnx.TensorProto.FLOAT for i in variant.model.graph.initializer):
        assert_same_results(asked, without_defaults(after.model), samples(asked), rule.equal)


@pytest.mark.parametrize("variant", [v for v in FIRING if v.opset <= 9], ids=str)
def test_weights_that_an_old_format_lists_as_inputs(variant: Variant):
    """IR version 3 demands the listing, so that it says nothing about overriding."""
    rule = RULES[variant.case.rule]
    proto = overridable(variant.model)
    proto.ir_version = 3
    model = from_proto(proto)
    assert Engine([rule], model, {}).run(Journal(), "test") == variant.case.firings
    validate(model)
    _same_results(variant.model, to_proto(model), rule)


def _loosened(pattern: tree.InputPattern, attribute: tree.AttributePattern) -> tree.InputPattern:
    """The pattern with one attribute literal, wherever it stands, taken for anything."""
    if isinstance(pattern, tree.Alternatives):
        options = [_loosened(option, attribute) for option in pattern.options]
        return replace(pattern, options=tuple(o for o in options if isinstance(o, tree.NodePattern)))
    if not isinstance(pattern, tree.NodePattern):
        return pattern
    anything = replace(attribute, literal=None)
    return replace(
        pattern,
        inputs=tuple(_loosened(inner, attribute) for inner in pattern.inputs),
        attributes=tuple(anything if a is attribute else a for a in pattern.attributes),
    )


def _literals(pattern: tree.InputPattern) -> list[tree.AttributePattern]:
    if isinstance(pattern, tree.Alternatives):
        return [found for option in pattern.options for found in _literals(option)]
    if not isinstance(pattern, tree.NodePattern):
        return []
    own = [a for a in pattern.attributes if a.literal is not None]
    return own + [found for inner in pattern.inputs for found in _literals(inner)]


def _mutants(rule: tree.Rule) -> list[tuple[str, tree.Rule]]:
    """The rule without one of its conditions, and with one of its attribute literals taken for anything."""
    conditions = [
        (f"where {number + 1}", replace(rule, where=rule.where[:number] + rule.where[number + 1 :]))
        for number in range(len(rule.where))
    ]
    attributes: list[tuple[str, tree.Rule]] = []
    for number, match in enumerate(rule.matches):
        for attribute in _literals(match.pattern):
            pattern = _loosened(match.pattern, attribute)
            assert isinstance(pattern, (tree.NodePattern, tree.Alternatives))
            matches = (*rule.matches[:number], replace(match, pattern=pattern), *rule.matches[number + 1 :])
            attributes.append((f"{attribute.name}=_", replace(rule, matches=matches)))
    return conditions + attributes


@pytest.mark.parametrize(
    ("name", "what", "mutant"),
    [(rule.name, what, mutant) for rule in RULES.values() for what, mutant in _mutants(rule)],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_every_condition_keeps_the_rule_away_from_some_case(name: str, what: str, mutant: tree.Rule):
    """Without it the rule matches in a case in which it must not: that case is its near miss."""
    missed = [v for c in CASES if c.rule == name and not c.fires for v in variants_of(c)]
    assert any(_matches(v.model, mutant) for v in missed), f"no case of {name} needs {what}"


def _matches(proto: onnx.ModelProto, rule: tree.Rule) -> bool:
    """Whether the rule wants to fire; the types of the result may still keep it from doing so."""
    model = from_proto(proto)
    for chosen in expand_operators(rule):
        if applies_to(chosen, model.opsets):
            compiled = CompiledRule(chosen, model.opsets, known_to([rule], proto))
            nodes = [n for n in model.all_nodes() if (n.domain, n.op_type) in compiled.roots]
            with np.errstate(all="ignore"):  # as in the engine: what is not finite is found when it is rounded
                if any(compiled.match(node, model) is not None for node in nodes):
                    return True
    return False
