"""Provenance: each node that a rule made carries the original names and the rules, in its metadata."""

from __future__ import annotations

from collections.abc import Iterable

from graphopt.graph.graph import Node

FROM = "graphopt.from"
RULES = "graphopt.rules"


def origins(node: Node) -> list[str]:
    """Names of the nodes of the original model that this node stands for."""
    text = node.metadata.get(FROM)
    return text.split("\n") if text else [node.label]


def mark(node: Node, removed: Iterable[Node], place: str) -> None:
    """Note on a new node which nodes it stands for, and the rule (name@file:line) that made it."""
    names: dict[str, None] = {}
    rules: dict[str, None] = {}
    for old in removed:
        names.update(dict.fromkeys(origins(old)))
        rules.update(dict.fromkeys(filter(None, old.metadata.get(RULES, "").split("\n"))))
    rules[place] = None
    node.metadata[FROM] = "\n".join(names)
    node.metadata[RULES] = "\n".join(rules)


def was_made_by(node: Node, rule: str) -> bool:
    """Whether this rule has had a part in making the node."""
    return any(place.split("@")[0] == rule for place in node.metadata.get(RULES, "").split("\n"))
