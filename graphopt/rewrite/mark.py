"""Provenance: each node that a rule made carries the original names and the rules, in its metadata."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import islice

from graphopt.graph.graph import Node
from graphopt.graph.provenance import FROM, RULES

NAMES_AT_MOST = 100
"""Names that one node carries. A chain of thousands of nodes can become one: to hand on all the names at each step
would take time and memory that grow as the square of the chain."""

AND_MORE = "…"
"""Stands behind the last name where there are more."""


def origins(node: Node) -> list[str]:
    """Names of the nodes of the original model that this node stands for: all, or the first ones and `AND_MORE`."""
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
    is_cut = AND_MORE in names or len(names) > NAMES_AT_MOST
    names.pop(AND_MORE, None)
    node.metadata[FROM] = "\n".join([*islice(names, NAMES_AT_MOST), AND_MORE] if is_cut else names)
    node.metadata[RULES] = "\n".join(rules)


def was_made_by(node: Node, rule: str) -> bool:
    """Whether this rule has had a part in making the node."""
    return any(place.split("@")[0] == rule for place in node.metadata.get(RULES, "").split("\n"))
