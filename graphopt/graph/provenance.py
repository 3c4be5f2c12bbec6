"""What nodes were made of, and by which rules: on each node as text, or for all of them in one table of the model.

In memory it stands on the nodes. The table is for files, where the names of nodes, told once for each node that was
made of them, would take more bytes than the nodes. It is a list in JSON: the rules, and then for each node its label,
the names that it was made of ("" is its own label) and the places of its rules; deflated, in base 85.
"""

from __future__ import annotations

import base64
import json
import zlib
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any, cast

import onnx

from graphopt.graph.bodies import nodes_below
from graphopt.graph.model import Model
from graphopt.graph.names import unnamed

FROM = "graphopt.from"
"""Key in a node's metadata: names of nodes of the original model, a line each."""

RULES = "graphopt.rules"
"""Key in a node's metadata: rules as name@file:line, a line each."""

TABLE = "graphopt.provenance"
"""Key in a model's metadata: the table."""

TABLE_LIMIT = 256 << 20
"""Bytes of a table beyond which it is not read: a file can claim anything."""

Said = Mapping[str, str]


def pack(model: onnx.ModelProto) -> None:
    """Move what the nodes of a file say into its table.

    A node whose label is that of another one as well keeps its text.
    """
    labels = Counter(map(_label, nodes_below(model.graph.node)))
    rules: dict[str, int] = {}
    rows: list[list[Any]] = []
    for node in nodes_below(model.graph.node):
        said = _said(node)
        if not said or labels[_label(node)] > 1:
            continue
        places = [rules.setdefault(rule, len(rules)) for rule in _lines(said, RULES)]
        own = _label(node)
        rows.append([own, *("" if name == own else name for name in _lines(said, FROM)), places])
        others = [p for p in node.metadata_props if p.key not in (FROM, RULES)]
        del node.metadata_props[:]
        node.metadata_props.extend(others)
    if rows:
        text = json.dumps([list(rules), *rows], ensure_ascii=False, separators=(",", ":"))
        packed = base64.b85encode(zlib.compress(text.encode(), 9))
        model.metadata_props.add(key=TABLE, value=packed.decode())


def table(model: onnx.ModelProto) -> dict[str, Said]:
    """What the table of a file says, as metadata of nodes by their labels; nothing where there is none to be read."""
    packed = next((p.value for p in model.metadata_props if p.key == TABLE), None)
    try:
        return {} if packed is None else dict(_rows(json.loads(_inflated(packed))))
    except (ValueError, TypeError, IndexError, zlib.error):
        return {}


def unpack(model: Model) -> None:
    """Let the nodes say what the table of their file says, and take it out."""
    said = table(model.header)
    if not said:
        return
    others = [p for p in model.header.metadata_props if p.key != TABLE]
    del model.header.metadata_props[:]
    model.header.metadata_props.extend(others)
    for node in model.all_nodes():
        if node.label in said:
            node.metadata = {**said[node.label], **node.metadata}


def said_by(node: onnx.NodeProto, said: Mapping[str, Said]) -> Said:
    """What a node of a file says itself, and what the table says of it."""
    return {**said.get(_label(node), {}), **_said(node)}


def names_of(said: Said) -> list[str]:
    """The nodes of the original that a node was made of; none if it says nothing."""
    return _lines(said, FROM)


def rules_of(said: Said) -> list[str]:
    """The rules (name@file:line) that had a part in making a node."""
    return _lines(said, RULES)


def _rows(document: Any) -> Iterator[tuple[str, Said]]:
    rules, *rows = cast("list[list[Any]]", document)
    for label, *names, places in rows:
        made_by = "\n".join(str(rules[place]) for place in places)
        made_of = "\n".join(str(name) or str(label) for name in names)
        yield str(label), {key: text for key, text in ((FROM, made_of), (RULES, made_by)) if text}


def _inflated(packed: str) -> bytes:
    stream = zlib.decompressobj()
    text = stream.decompress(base64.b85decode(packed), TABLE_LIMIT)
    if not stream.eof:
        raise ValueError("it is cut short, or too large")
    return text


def _said(node: onnx.NodeProto) -> Said:
    return {p.key: p.value for p in node.metadata_props if p.key in (FROM, RULES)}


def _lines(said: Said, key: str) -> list[str]:
    return list(filter(None, said.get(key, "").split("\n")))


def _label(node: onnx.NodeProto) -> str:
    return node.name or unnamed(node.op_type, node.output)
