"""What is in one model: as a JSON document, and as tables."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from rich.console import Console

from graphopt.graph.accounting import Account
from graphopt.graph.interface import TensorSpec
from graphopt.graph.model import Model
from graphopt.graph.provenance import names_of, rules_of
from graphopt.graph.validate import interface_of_model
from graphopt.report import quantities
from graphopt.report.tables import table

Row = tuple[str, ...]


def contents_json(path: Path, model: Model, account: Account) -> dict[str, Any]:
    """The document of `graphopt inspect --json`."""
    interface = interface_of_model(model)
    return {
        "schema": "graphopt.inspect/1",
        "model": str(path),
        "graph": model.graph.name,
        "inputs": [_spec_json(s) for s in interface.inputs],
        "optional_inputs": [_spec_json(s) for s in interface.optional],
        "outputs": [_spec_json(s) for s in interface.outputs],
        "account": account.to_json(),
        "metadata": _metadata(model),
        "provenance": [{"node": n, "from": made_of, "rules": rules} for n, made_of, rules in _provenance(model)],
        "subgraphs": [{"node": node, "attribute": name, "nodes": nodes} for node, name, nodes in _subgraphs(model)],
        "notes": list(model.notes),
    }


def show_contents(path: Path, model: Model, account: Account, console: Console) -> None:
    """The tables of `graphopt inspect`."""
    interface = interface_of_model(model)
    table(console, "", ("", ""), overview(path, account))
    specs = [
        *(_spec_row("input", s) for s in interface.inputs),
        *(_spec_row("input, optional", s) for s in interface.optional),
        *(_spec_row("output", s) for s in interface.outputs),
    ]
    table(console, "Inputs and outputs", ("", "name", "dtype", "shape"), specs)
    table(console, "Operators", ("operator", "nodes", "MACs"), _operators(account), numbers=(1, 2), limit=None)
    subgraphs = ((node, name, quantities.count(nodes)) for node, name, nodes in _subgraphs(model))
    table(console, "Subgraphs", ("node", "attribute", "nodes"), subgraphs, numbers=(2,))
    table(console, "Functions", ("name",), ((name,) for name in account.functions))
    table(console, "Metadata", ("key", "value"), _metadata(model).items())
    provenance = ((node, ", ".join(rules), ", ".join(made_of)) for node, made_of, rules in _provenance(model))
    table(console, "Nodes made by rules", ("node", "rules", "of"), provenance)
    table(console, "Nodes whose MACs cannot be told", ("",), ((name,) for name in account.macs_unknown))
    table(console, "Notes", ("",), ((note,) for note in model.notes), limit=None)


def overview(path: Path, account: Account) -> Iterator[Row]:
    """The numbers of a model, one a row."""
    if account.file_bytes is not None:
        yield "file", f"{path}, {quantities.size(account.file_bytes)}"
    yield (
        "format",
        f"IR version {account.ir_version}, "
        + ", ".join(f"opset {version} of {domain}" for domain, version in account.opsets.items()),
    )
    if account.producer:
        yield "producer", account.producer
    yield "nodes", quantities.count(account.nodes)
    yield "constants", quantities.count(account.constants)
    yield "parameters", quantities.count(account.parameters)
    yield "weights", _weights(account)
    yield macs_title(account), macs_text(account)
    if account.depth:
        yield "depth", f"{account.depth} (subgraphs in subgraphs)" if account.depth > 1 else "1 (subgraphs)"


def macs_text(account: Account) -> str:
    """Multiply-accumulates, and how many nodes could not be counted."""
    left = len(account.macs_unknown)
    if left and not account.macs:
        return "unknown"
    return quantities.macs(account.macs) + (f" and {left} nodes not counted" if left else "")


def macs_title(account: Account) -> str:
    """What the multiply-accumulates are counted for."""
    assumed = ", ".join(f"{name} = {size}" for name, size in account.macs_assume.items())
    return f"MACs ({assumed})" if assumed else "MACs"


def _weights(account: Account) -> str:
    total = quantities.size(account.weight_bytes)
    parts = [f"{quantities.size(n)} of {dtype}" for dtype, n in account.weight_dtypes.items()]
    return f"{total}: {', '.join(parts)}" if len(parts) > 1 else f"{total} {' '.join(account.weight_dtypes)}".rstrip()


def _operators(account: Account) -> Iterator[Row]:
    for name, nodes in sorted(account.operators.items(), key=lambda item: (-item[1], item[0])):
        macs = account.macs_by_operator.get(name)
        yield name, quantities.count(nodes), "" if macs is None else quantities.macs(macs)


def _metadata(model: Model) -> dict[str, str]:
    return {p.key: p.value for p in model.header.metadata_props}


def _provenance(model: Model) -> Iterator[tuple[str, list[str], list[str]]]:
    """Each node that was made of others: its label, theirs, and the rules that made it."""
    for node in model.all_nodes():
        made_of, rules = names_of(node.metadata), rules_of(node.metadata)
        if made_of or rules:
            yield node.label, made_of, rules


def _subgraphs(model: Model) -> Iterator[tuple[str, str, int]]:
    """Each subgraph: the node that holds it, the attribute, and how many nodes are right in it."""
    for node in model.all_nodes():
        for attribute in node.attributes.values():
            for body in attribute.graphs:
                yield f"{node.op_type} {node.name}" if node.name else node.label, attribute.name, len(body.nodes)


def _spec_row(role: str, spec: TensorSpec) -> Row:
    if spec.kind != "tensor":
        return role, spec.name, spec.kind, ""
    dims = "?" if spec.shape is None else " x ".join("?" if d is None else str(d) for d in spec.shape) or "scalar"
    return role, spec.name, spec.dtype.name if spec.dtype is not None else "?", dims


def _spec_json(spec: TensorSpec) -> dict[str, Any]:
    return {
        "name": spec.name,
        "kind": spec.kind,
        "dtype": spec.dtype.name if spec.dtype is not None else None,
        "shape": list(spec.shape) if spec.shape is not None else None,
    }
