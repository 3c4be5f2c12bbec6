"""The model as it is, for ONNX Runtime: proved to load there, and given a sidecar."""

from __future__ import annotations

import re
import time
from importlib import import_module
from pathlib import Path
from typing import Any

import onnx

from graphopt.backends.base import Artifact, Availability, BuildRequest
from graphopt.backends.model_file import identity
from graphopt.backends.profiles import complete
from graphopt.backends.refusal import Refusal, refused
from graphopt.backends.sidecar import write_sidecar
from graphopt.errors import BackendError
from graphopt.graph.check_file import node_label
from graphopt.graph.interface import TensorSpec, interface_of
from graphopt.graph.load import read_proto
from graphopt.graph.session import PROVIDER, new_session
from graphopt.progress import SILENT, Progress
from graphopt.targets import load

_PREFIX = re.compile(
    r"^\[ONNXRuntimeError\] : \d+ : \w+ : (Load model from .*? failed: ?)?(This is an invalid model\. )?(Error: )?"
)
_PLACES = (
    re.compile(r"an implementation for (?P<operator>\w+)\(-?\d+\) node with name '(?P<name>[^']*)'"),
    re.compile(r"kernel for (?P<operator>\w+)\(-?\d+\) \(node:'(?P<name>[^']*)'"),
    re.compile(r'In Node, \("(?P<name>[^"]*)", (?P<operator>\w+),'),
    re.compile(r"of operator \((?P<operator>\w+)\) in node \((?P<name>[^)]*)\)"),
    re.compile(r"Node ?\((?P<name>[^)]*)\) Op \((?P<operator>\w+)\)"),
)
_REASONS = (
    (re.compile(r"an implementation for|Failed to find kernel for"), "there is no kernel for these element types"),
    (re.compile(r"Error (No Op registered for .*?)(?: with domain_version of \d+)?$"), r"\1"),
    (re.compile(r"\] (.*)$"), r"\1"),
)


class OnnxRuntime:
    """The backend of the target `onnxruntime`: it writes `<stem>.json`, and the model is what runs."""

    name = "onnxruntime"

    def probe(self) -> Availability:
        """Whether it can be imported."""
        target = load(self.name)
        try:
            module = import_module(target.module)
        except ImportError as error:
            return Availability(False, reason=f"{target.module} cannot be imported: {error}", help=target.install)
        return Availability(True, version=module.__version__)

    def build(self, request: BuildRequest, progress: Progress = SILENT) -> Artifact:
        """Load the model in a session and write the sidecar; see `Backend.build`. The options are for engines."""
        begun = time.monotonic()
        available = self.probe()
        if not available.available:
            raise BackendError(f"target {self.name!r} cannot be built here: {available.reason}", help=available.help)
        model = read_proto(request.model)
        interface = interface_of(model)
        complete(interface, request.profiles)
        source = identity(request.model, model)
        with progress.task("loading in ONNX Runtime"):
            _load(request, model)
        content = {
            "model": source,
            "inputs": [_tensor(spec) for spec in interface.inputs],
            "outputs": [_tensor(spec) for spec in interface.outputs],
            "provider": PROVIDER,
        }
        sidecar = request.out_dir / f"{request.model.stem}.json"
        details = write_sidecar(sidecar, self.name, {"onnxruntime": available.version or ""}, content)
        return Artifact(self.name, (sidecar,), sidecar.stat().st_size, time.monotonic() - begun, details)


def _load(request: BuildRequest, model: onnx.ModelProto) -> None:
    if _loads(request.model):
        return
    try:
        new_session(request.model, optimized=True)
    except Exception as error:  # its exceptions have no common base but this
        raise refused("ONNX Runtime", request.model.name, [_refusal(str(error), model)]) from None


def _loads(model: Path) -> bool:
    """Whether every node has a kernel as it stands. Its optimizations, whose time grows faster than the graph, and the
    copies of weights that it packs, tell nothing more; only where a node has none may they take it out."""
    try:
        new_session(model, deterministic=True)
    except Exception:  # its exceptions have no common base but this
        return False
    return True


def _refusal(message: str, model: onnx.ModelProto) -> Refusal:
    text = _PREFIX.sub("", message.splitlines()[0])
    found = next((match for place in _PLACES if (match := place.search(text))), None)
    place = f"node {_label(found['name'], found['operator'], model)}" if found else "the model"
    for pattern, reason in _REASONS:
        if match := pattern.search(text):
            return Refusal(place, match.expand(reason))
    return Refusal(place, text.rstrip("."))


def _label(name: str, operator: str, model: onnx.ModelProto) -> str:
    """The node's name; for one without, the first of its operator that has none."""
    if name:
        return name
    return next((node_label(n) for n in model.graph.node if n.op_type == operator and not n.name), operator)


def _tensor(spec: TensorSpec) -> dict[str, Any]:
    return {
        "name": spec.name,
        "dtype": spec.dtype.name if spec.dtype else None,
        "shape": None if spec.shape is None else list(spec.shape),
    }
