"""Operators whose meaning changed inside the opset range of a rule."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

from graphopt.lang import tree as t
from graphopt.lang.check_operators import operators_of
from graphopt.lang.diagnostics import Diagnostics
from graphopt.lang.literals import same_attribute
from graphopt.lang.names import walk
from graphopt.lang.operators import split_operator
from graphopt.lang.source import Span
from graphopt.lang.versions import Version, versions_within

CHANGED = {
    ("Softmax", 13): "before, it flattened its input to two dims",
    ("LogSoftmax", 13): "before, it flattened its input to two dims",
    ("Hardmax", 13): "before, it flattened its input to two dims",
    ("RoiAlign", 16): "its coordinates moved by half a pixel",
    ("GroupNormalization", 21): "its scale and bias went from one for each group to one for each channel",
    ("Resize", 11): "its coordinates moved by half a pixel",
}
"""What the schemas do not tell, from the operators' own pages: same inputs and attributes, another meaning."""

Mention = tuple[str, tuple[bool, ...], frozenset[str], bool, Span]
"""An operator as a rule uses it: which inputs by position, which attributes, whether it takes the rest as they are."""


def check_opsets(rule: t.Rule, found: Diagnostics) -> None:
    """What the rule relies on must mean the same in all opsets of its range."""
    for operator, inputs, attributes, takes_rest, span in _mentions(rule):
        versions = [(o, v) for o, v in versions_within(operator, rule.opset).items() if v is not None]
        for (_, before), (opset, after) in pairwise(versions):
            change = _change(before, after, inputs, attributes, takes_rest)
            if change is not None:
                found.add(
                    "GR052",
                    f"{operator} changed in opset {opset}: {change}",
                    span,
                    f"write one rule for opset < {opset} and one for opset >= {opset}",
                )
                break


def _mentions(rule: t.Rule) -> Iterator[Mention]:
    for item in (*rule.matches, *rule.rewrites):
        for part in walk(item):
            if isinstance(part, t.NodePattern) and not part.is_product:
                inputs = tuple(not isinstance(i, (t.Anything, t.Variadic)) for i in part.inputs)
                names = frozenset(a.name for a in part.attributes)
            elif isinstance(part, t.NodeCall):
                inputs = tuple(True for _ in part.arguments)
                names = frozenset(name for name, _, _ in part.attributes)
            else:
                continue
            for operator in operators_of(part.operator, rule):
                yield operator, inputs, names, part.rest is not None, part.span


def _change(
    before: Version, after: Version, inputs: tuple[bool, ...], attributes: frozenset[str], takes_rest: bool
) -> str | None:
    known = CHANGED.get((split_operator(after.name)[1], after.since))
    if known is not None and not after.domain:
        return known
    for position, is_read in enumerate(inputs):
        old, new = before.input(position), after.input(position)
        if is_read and old is not None and new is not None and not _same_name(old.name, new.name):
            return f"input {position + 1} was {old.name} and is {new.name}"
    if takes_rest:
        return None
    for name in sorted((before.attributes.keys() & after.attributes.keys()) - attributes):
        old_default, new_default = before.attributes[name].default, after.attributes[name].default
        if (old_default is None) != (new_default is None) or not same_attribute(old_default, new_default):
            return f"the default of {name} was {old_default} and is {new_default}"
    return None


def _same_name(old: str, new: str) -> bool:
    """A name that only got longer (mean, input_mean) says the same."""
    return old.endswith(new) or new.endswith(old)
