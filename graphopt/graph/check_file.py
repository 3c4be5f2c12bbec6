"""What must hold of a file before a graph is built from it: versions, and each node against its operator's schema."""

from __future__ import annotations

from functools import cache
from typing import Any, cast

import onnx
from onnx import checker, defs

from graphopt.errors import ModelError, did_you_mean
from graphopt.graph.dtypes import DTYPES, DType
from graphopt.graph.names import unnamed
from graphopt.graph.schemas import NEWEST_OPSET, STANDARD_DOMAINS, has_operator, standard_domain


def check_header(proto: onnx.ModelProto) -> None:
    """Refuse versions that this installation of onnx does not know.

    Raises:
        ModelError: the IR version or an opset is newer than known, or impossible.
    """
    if proto.ir_version > onnx.IR_VERSION:
        raise ModelError(
            f"the model has IR version {proto.ir_version}; the installed onnx {onnx.__version__} knows up to "
            f"{int(onnx.IR_VERSION)}",
            help="install a newer onnx, or export the model for an older IR version",
        )
    for opset in proto.opset_import:
        newest = NEWEST_OPSET.get(standard_domain(opset.domain))
        if newest is not None and not 1 <= opset.version <= newest:
            domain = standard_domain(opset.domain) or "ai.onnx"
            raise ModelError(
                f"the model imports opset {opset.version} of domain {domain}; the installed onnx "
                f"{onnx.__version__} knows 1 to {newest}",
                help="install a newer onnx, or export the model for an older opset",
            )


def is_valid_as_a_whole(raw: bytes) -> bool:
    """Whether onnx's checker is content with a serialized model: then no node needs to be looked at by itself."""
    try:
        cast(Any, checker).check_model(raw)  # its type has holes
    except Exception:  # whatever it stumbles over, looking at the nodes one by one tells it better
        return False
    return True


class NodeChecker:
    """Checks nodes of one model: operators exist at its opsets, arity and attributes fit the schemas."""

    def __init__(self, proto: onnx.ModelProto) -> None:
        self._opsets = {standard_domain(o.domain): int(o.version) for o in proto.opset_import}
        self._functions = {(standard_domain(f.domain), f.name) for f in proto.functions}
        self._context = checker.C.CheckerContext()
        self._context.ir_version = proto.ir_version
        self._context.opset_imports = self._opsets
        self._scope = checker.C.LexicalScopeContext()

    def check(self, node: onnx.NodeProto) -> None:
        """
        Raises:
            ModelError: the operator is unknown, or the node does not fit it.
        """
        domain = standard_domain(node.domain)
        if domain not in STANDARD_DOMAINS or (domain, node.op_type) in self._functions:
            return
        opset = self._opsets.get(domain)
        where = f"node {node_label(node)}"
        if opset is None:
            raise ModelError(f"the model imports no opset for domain {domain or 'ai.onnx'}", where=where)
        if not has_operator(node.op_type, opset, domain):
            raise ModelError(
                f"there is no operator {node.op_type} in opset {opset}",
                where=where,
                help=did_you_mean(node.op_type, operator_names(domain))
                or "a custom operator needs a domain of its own",
            )
        _check_bodies(node, where)
        try:
            checker.C.check_node(_outline(node).SerializeToString(), self._context, self._scope)
        except checker.ValidationError as error:
            raise ModelError(str(error).splitlines()[0], where=where) from None


def _check_bodies(node: onnx.NodeProto, where: str) -> None:
    kinds = onnx.AttributeProto
    for attribute in node.attribute:
        one, many = attribute.HasField("g"), bool(attribute.graphs)
        if (one and attribute.type != kinds.GRAPH) or (many and attribute.type != kinds.GRAPHS):
            raise ModelError(f"attribute {attribute.name!r} holds a graph, and says that it does not", where=where)


def _outline(node: onnx.NodeProto) -> onnx.NodeProto:
    """The node with empty bodies, which read values that the checker cannot see and whose nodes are checked by
    themselves, without external data, which the checker would look for in the working folder, and with the one
    spelling of the default domain that the checker knows."""
    domain = standard_domain(node.domain)
    if domain == node.domain and not any(a.HasField("g") or a.graphs or a.t.external_data for a in node.attribute):
        return node
    copy = onnx.NodeProto(op_type=node.op_type, domain=domain, name=node.name)
    copy.input.extend(node.input)
    copy.output.extend(node.output)
    for attribute in node.attribute:
        slot = copy.attribute.add(name=attribute.name, type=attribute.type)
        if attribute.HasField("g"):
            slot.g.name = "body"
        elif attribute.graphs:
            slot.graphs.extend(onnx.GraphProto(name="body") for _ in attribute.graphs)
        elif attribute.t.external_data:
            slot.t.CopyFrom(onnx.TensorProto(data_type=attribute.t.data_type, dims=[0]))
        else:
            slot.CopyFrom(attribute)
    return copy


def node_label(node: onnx.NodeProto) -> str:
    """How messages name a node: its name, or its operator and first output where it has none."""
    return node.name or unnamed(node.op_type, node.output)


def known_dtype(number: int, what: str) -> DType:
    """
    Raises:
        ModelError: no element type has this number.
    """
    found = DTYPES.get(number)
    if found is None:
        raise ModelError(f"{what} has the unknown element type {number}")
    return found


@cache
def operator_names(domain: str) -> tuple[str, ...]:
    """Every operator of a domain, whatever its opset."""
    return tuple(sorted({s.name for s in defs.get_all_schemas_with_history() if s.domain == domain}))
