"""Nodes that a recipe names: by name, operator, depth, or a rule whose left side they are.

name:head/*        labels, with * and ? as in names of files
operator:Gemm      the operator
depth:0..2         layers (Conv, ConvTranspose, Gemm, MatMul) as they execute, from 0; negative ones from the end
pattern:my_rule    all nodes that the left side of a rule matches, its conditions included
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from fnmatch import fnmatchcase
from typing import Any

from graphopt.errors import RecipeError, did_you_mean
from graphopt.graph.graph import Node
from graphopt.graph.model import Model
from graphopt.lang import tree
from graphopt.rewrite.rule import CompiledRule, applies_to, expand_operators

LAYERS = ("Conv", "ConvTranspose", "Gemm", "MatMul")
KINDS = ("name", "operator", "depth", "pattern")
FORM = "write name:GLOB, operator:OPERATOR, depth:FIRST..LAST or pattern:RULE"


def check_selectors(selectors: Sequence[str], rules: Iterable[tree.Rule]) -> None:
    """
    Raises:
        RecipeError: one is of no known form, or names a rule that there is not.
    """
    known = {rule.name for rule in rules}
    for selector in selectors:
        kind, colon, rest = selector.partition(":")
        if not colon or kind not in KINDS or not rest:
            raise RecipeError(f"{selector!r} selects no nodes", help=did_you_mean(kind, KINDS) or FORM)
        if kind == "depth" and _DEPTHS.fullmatch(rest) is None:
            raise RecipeError(f"{selector!r} selects no nodes", help="write depth:0..2, or depth:-1..-1 for the last")
        if kind == "pattern" and rest not in known:
            raise RecipeError(f"there is no rule {rest!r} to select nodes by", help=did_you_mean(rest, known))


def select(
    model: Model, selectors: Sequence[str], rules: Iterable[tree.Rule], environment: dict[str, Any]
) -> frozenset[str]:
    """The labels of all nodes that one of the selectors names.

    Raises:
        RecipeError: a selector matches nothing.
    """
    model.sort()
    nodes = list(model.all_nodes())
    by_name = {rule.name: rule for rule in rules}
    found: set[str] = set()
    for selector in selectors:
        kind, _, rest = selector.partition(":")
        if kind == "pattern":
            selected = _matched(by_name[rest], model, nodes, environment)
        else:
            selected = [n for n in nodes if _TESTS[kind](n, rest)] if kind != "depth" else _layers(nodes, rest)
        if not selected:
            raise RecipeError(f"the selector {selector!r} matches no node of the model", help=FORM)
        found |= {n.label for n in selected}
    return frozenset(found)


_DEPTHS = re.compile(r"(-?\d+)\.\.(-?\d+)")

_TESTS: dict[str, Callable[[Node, str], bool]] = {
    "name": lambda node, rest: fnmatchcase(node.label, rest),
    "operator": lambda node, rest: rest == (f"{node.domain}::{node.op_type}" if node.domain else node.op_type),
}


def _layers(nodes: list[Node], rest: str) -> list[Node]:
    found = _DEPTHS.fullmatch(rest)
    assert found is not None
    layers = [n for n in nodes if n.op_type in LAYERS and not n.domain]
    first, last = (int(n) + (len(layers) if int(n) < 0 else 0) for n in found.groups())
    return layers[max(first, 0) : max(last + 1, 0)]


def _matched(rule: tree.Rule, model: Model, nodes: list[Node], environment: dict[str, Any]) -> list[Node]:
    found: dict[Node, None] = {}
    for form in expand_operators(rule):
        if applies_to(form, model.opsets):
            compiled = CompiledRule(form, model.opsets, environment)
            for node in nodes:
                is_root = (node.domain, node.op_type) in compiled.roots and compiled.may_match(node)
                state = compiled.match(node, model) if is_root else None
                found.update({} if state is None else {**state.nodes, **state.shared})
    return list(found)
