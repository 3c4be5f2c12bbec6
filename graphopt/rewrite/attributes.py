"""Attributes of a pattern: closed, with schema defaults, literals, variables and a rest."""

from __future__ import annotations

from collections.abc import Callable, Container, Mapping
from typing import TYPE_CHECKING, Any

from graphopt.graph.attributes import Attribute
from graphopt.graph.graph import Node
from graphopt.graph.schemas import attribute_default, attribute_kind
from graphopt.lang import tree as t
from graphopt.lang.literals import literal_value, same_attribute

if TYPE_CHECKING:
    from graphopt.rewrite.state import Continue, State

Check = Callable[[Node, "State"], bool]
Matcher = Callable[[Node, "State", "Continue"], bool]


def attribute_matcher(pattern: t.NodePattern, op_type: str, opset: int, domain: str) -> Matcher:
    """Check and bind the attributes of a node.

    An attribute that the pattern does not mention must equal its schema default, unless `**rest` takes it.
    A literal for an attribute that this opset does not have yet holds: attributes are added with defaults that
    keep what the operator did before.
    """
    defaults = {a.name: attribute_default(op_type, opset, a.name, domain) for a in pattern.attributes}
    known = {a.name for a in pattern.attributes if attribute_kind(op_type, opset, a.name, domain) is not None}
    fits_others = _others(pattern, op_type, opset, domain)
    fits_literals = _literals(pattern, defaults, known)
    bind = _binder(pattern, defaults)

    def run(node: Node, state: State, proceed: Continue) -> bool:
        return fits_others(node, state) and fits_literals(node, state) and bind(0, node, state, proceed)

    return run


def _others(pattern: t.NodePattern, op_type: str, opset: int, domain: str) -> Check:
    """Whether the attributes that the pattern does not mention say nothing, or may say what they like."""
    mentioned = {a.name for a in pattern.attributes}
    rest = pattern.rest

    def is_open(name: str, attribute: Attribute) -> bool:
        if attribute.reference:
            return False
        if name in mentioned or rest is not None:
            return True
        default = attribute_default(op_type, opset, name, domain)
        return default is not None and same_attribute(attribute.value, default)

    def fits(node: Node, state: State) -> bool:
        for name, attribute in node.attributes.items():
            if not is_open(name, attribute):
                return state.stop("structure", pattern.span, "{} has the attribute {}", node, name)
        return True

    return fits


def _literals(pattern: t.NodePattern, defaults: Mapping[str, Any], known: Container[str]) -> Check:
    spans = {a.name: a.span for a in pattern.attributes}
    literals = {a.name: literal_value(a.literal) for a in pattern.attributes if a.literal is not None}

    def fits(node: Node, state: State) -> bool:
        for name, wanted in literals.items():
            if name in known or name in node.attributes:
                found = node.attribute(name, defaults[name])
                if found is None or not same_attribute(found, wanted):
                    return state.stop("structure", spans[name], "{} of {} is {}", name, node, found)
        return True

    return fits


def _binder(pattern: t.NodePattern, defaults: Mapping[str, Any]) -> Callable[[int, Node, State, Continue], bool]:
    mentioned = {a.name for a in pattern.attributes}
    variables = [a for a in pattern.attributes if a.variable is not None]
    rest = pattern.rest

    def bind(position: int, node: Node, state: State, proceed: Continue) -> bool:
        if position == len(variables):
            if rest is None:
                return proceed()
            others = {n: a for n, a in node.attributes.items() if n not in mentioned}
            return bind_rest(rest, others, state, proceed)
        wanted = variables[position]
        found = node.attribute(wanted.name, defaults[wanted.name])
        if found is None and not wanted.is_optional:
            return state.stop("structure", wanted.span, "{} has no {}", node, wanted.name)
        assert wanted.variable is not None
        return state.bind(wanted.variable, found, wanted.span, lambda: bind(position + 1, node, state, proceed))

    return bind


def bind_rest(name: str, attributes: dict[str, Attribute], state: State, proceed: Continue) -> bool:
    """Bind captured attributes for as long as `proceed` runs."""
    if name in state.bindings:
        return _keys(state.bindings[name]) == _keys(attributes) and proceed()
    state.bindings[name] = attributes
    if proceed():
        return True
    del state.bindings[name]
    return False


def _keys(attributes: dict[str, Attribute]) -> list[tuple[Any, ...]]:
    return sorted(a.key() for a in attributes.values())
