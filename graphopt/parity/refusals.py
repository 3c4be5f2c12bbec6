"""What ONNX Runtime says when it will not load or run a model, made into errors that name the node and what to do."""

from __future__ import annotations

import re

from graphopt.errors import BackendError, DataError, GraphoptError, ModelError


class NotRunnable(BackendError):
    """ONNX Runtime lacks an operator, a kernel or a version that the model needs, so that parity cannot be judged."""


class RunError(DataError):
    """A model that loads, but fails on these inputs."""


_CANNOT_JUDGE = "parity can be checked only for what ONNX Runtime can run"

_PREFIX = re.compile(r"^\[ONNXRuntimeError\] : \d+ : \w+ : (?:Exception during initialization: )?")
_AT_NODE = re.compile(
    r"(?s)^Non-zero status code returned while running (\S+) node\. Name:'(.*?)' Status Message: (.*)$"
)
_SOURCE_PLACE = re.compile(
    r"^\S+\.(?:cc|h|cpp):\d+ (?:.*? was false\. ?|[^()]*\(.*?\)(?:::<lambda\(.*?\)>)?(?: const)? )?"
)
_NO_KERNEL = re.compile(r"Could not find an implementation for ([\w.]+)\((\d+)\) node with name '(.*)'")
_NO_OPERATOR = re.compile(r"Fatal error: (\S*):(\w+)\((-?\d+)\) is not a registered function/op")
_NOT_REGISTERED = re.compile(r"No Op registered for (\w+) with domain_version of (\d+)")
_NEW_OPSET = re.compile(r"Opset (\d+) is under development.* for domain (\S+) is till opset (\d+)")
_NEW_IR = re.compile(r"Unsupported model IR version: (\d+), max supported IR version: (\d+)")

_LONGEST_REASON = 300


def load_refusal(error: Exception, label: str) -> GraphoptError:
    """The error for a model that ONNX Runtime would not load. `label` is how the user knows the model."""
    text = _PREFIX.sub("", str(error))
    if found := _NO_KERNEL.search(text):
        operator, opset, node = found.groups()
        return NotRunnable(
            f"ONNX Runtime cannot run {label}: it lacks {operator} of opset {opset} for these element types",
            where=_node(operator, node),
            help=_CANNOT_JUDGE,
        )
    if found := _NO_OPERATOR.search(text):
        domain, operator, _ = found.groups()
        name = f"{domain}::{operator}" if domain else operator
        return NotRunnable(f"ONNX Runtime cannot run {label}: it has no operator {name}", help=_CANNOT_JUDGE)
    if reason := _missing_version(text):
        return NotRunnable(
            f"ONNX Runtime cannot run {label}: {reason}", help=f"install a newer onnxruntime; {_CANNOT_JUDGE}"
        )
    if type(error).__name__ == "NotImplemented":
        return NotRunnable(f"ONNX Runtime cannot run {label}: {readable(text)}", help=_CANNOT_JUDGE)
    return ModelError(
        f"ONNX Runtime refuses {label}: {readable(text)}", help="`graphopt inspect` checks a model against the standard"
    )


def run_refusal(error: Exception, label: str, sample: str) -> GraphoptError:
    """The error for a model that failed while it ran on a sample."""
    text = _PREFIX.sub("", str(error))
    operator, node, reason = "", "", text
    while found := _AT_NODE.match(reason):  # an If or Loop reports the node of its body that failed
        operator, node, reason = found.groups()
    where = f"{_node(operator, node)}, on {sample}" if operator else sample
    if type(error).__name__ == "NotImplemented":
        return NotRunnable(f"ONNX Runtime cannot run {label}: {readable(reason)}", where=where, help=_CANNOT_JUDGE)
    return RunError(
        f"{label} fails on this input: {readable(reason)}",
        where=where,
        help="check the shape and the values of the input against what the model was exported for",
    )


def readable(text: str) -> str:
    """A message of ONNX Runtime on one line, without places in its source code."""
    line = " ".join(_PREFIX.sub("", text).split()) or "no reason given"
    line = _SOURCE_PLACE.sub("", line) or line
    return line if len(line) <= _LONGEST_REASON else f"{line[:_LONGEST_REASON]}..."


def _missing_version(text: str) -> str | None:
    if found := _NEW_OPSET.search(text):
        return f"it knows domain {found[2]} up to opset {found[3].rstrip('.')}, and the model has opset {found[1]}"
    if found := _NEW_IR.search(text):
        return f"it knows IR versions up to {found[2]}, and the model has {found[1]}"
    if found := _NOT_REGISTERED.search(text):
        return f"it has no operator {found[1]} in opset {found[2]}"
    return None


def _node(operator: str, name: str) -> str:
    return f"node {name!r} ({operator})" if name else f"an unnamed {operator} node"
