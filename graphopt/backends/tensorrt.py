"""TensorRT engines: one backend for the RTX distribution and for the full one.

The library runs in a child process (`tensorrt_child`), which tells in JSON lines how it goes; what it says is made into
one engine file, one sidecar, and errors that name nodes.
"""

from __future__ import annotations

import importlib.util
import os
import sys
import tempfile
import time
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import onnx

from graphopt.backends import child_process, preflight
from graphopt.backends.base import Artifact, Availability, BuildOptions, BuildRequest
from graphopt.backends.boundary import with_inner_types
from graphopt.backends.layers import parse_layers
from graphopt.backends.model_file import identity
from graphopt.backends.profiles import Profiles, complete
from graphopt.backends.refusal import refused
from graphopt.backends.sidecar import write_sidecar
from graphopt.backends.tensorrt_sidecar import engine_details
from graphopt.backends.tensorrt_talk import Names, Talk
from graphopt.backends.tensorrt_trouble import Trouble, unavailable
from graphopt.errors import OutputError, UsageError, did_you_mean
from graphopt.graph.interface import Interface, interface_of
from graphopt.graph.load import read_proto
from graphopt.progress import SILENT, Progress
from graphopt.targets import Target, load

CHILD = "graphopt.backends.tensorrt_child"


class TensorRT:
    """The backend of the targets `tensorrt-rtx` and `tensorrt`."""

    def __init__(self, name: str) -> None:
        self.name = name

    def probe(self) -> Availability:
        """Import the library and start a builder, in a child process; takes a good tenth of a second."""
        target = load(self.name)
        if not _installed(target):
            return Availability(False, reason=f"{target.module} is not installed", help=target.install)
        talk = Talk()
        end = child_process.run(CHILD, {"task": "probe", "module": target.module}, talk.hear)
        started, failed = talk.first("started"), talk.first("unavailable")
        if started and end.finished:
            return Availability(True, version=started["version"])
        reason = failed["reason"] if failed else f"died while starting ({end.status})"
        return Availability(False, reason=f"{target.module} {reason}", help=target.install)

    def build(self, request: BuildRequest, progress: Progress = SILENT) -> Artifact:
        """Build `<stem>.engine` and `<stem>.json` in `request.out_dir`; see `Backend.build`."""
        begun = time.monotonic()
        target = load(self.name)
        _check_options(target, request.options)
        if not _installed(target):
            raise unavailable(target, "is not installed")
        model = read_proto(request.model)
        interface = interface_of(model)
        inner = with_inner_types(model)
        taken = model if inner is None else inner
        profiles = _check_model(target, request, taken, interface_of(taken))
        source = identity(request.model, model)
        names = Names(model)
        del model, taken  # the child reads it again; a copy here would only take memory
        with _staging(request.out_dir) as staging:
            engine = staging / f"{request.model.stem}.engine"
            retyped = None
            if inner is not None:
                retyped = staging / "retyped.onnx"
                retyped.write_bytes(inner.SerializeToString())
            talk = _run(target, request, retyped, profiles, names, engine, progress)
            built, version = talk.events["built"][0], talk.events["started"][0]["version"]
            layers = parse_layers(built["layers"], names.labels)
            content = {
                "model": source,
                **engine_details(target, request.options, engine, built, version, interface, profiles, layers),
            }
            sidecar = engine.with_suffix(".json")
            details = write_sidecar(sidecar, self.name, {target.module: version}, content)
            files = tuple(_move(file, request.out_dir) for file in (engine, sidecar))
        size = sum(file.stat().st_size for file in files)
        return Artifact(self.name, files, size, time.monotonic() - begun, details, layers)


def _installed(target: Target) -> bool:
    return importlib.util.find_spec(target.module) is not None


def _check_options(target: Target, options: BuildOptions) -> None:
    known = tuple(target.capabilities)
    for name in options.compute_capabilities:
        if not known:
            raise UsageError(
                f"target {target.name!r} builds for the GPU at hand; it cannot be told to build for {name}",
                help="leave the compute capabilities out, or build for the target tensorrt-rtx",
            )
        if name not in known:
            raise UsageError(
                f"target {target.name!r} has no compute capability {name!r}; it has {', '.join(known)}",
                help=did_you_mean(name, known),
            )
    if options.memory_limit_mb is not None and sys.platform != "linux":
        raise UsageError("a memory limit can be kept on Linux only", help="leave it out")


def _check_model(target: Target, request: BuildRequest, model: onnx.ModelProto, interface: Interface) -> Profiles:
    asked = request.options.compute_capabilities or _default_capabilities(target)
    found = preflight.refusals(model, interface, target, asked)
    if found:
        raise refused(target.title, request.model.name, found)
    return complete(interface, request.profiles)


def _default_capabilities(target: Target) -> tuple[str, ...]:
    mask = target.plan.default_mask if target.plan else 0
    return tuple(name for name, fact in target.capabilities.items() if mask >> fact.bit & 1)


def _run(
    target: Target,
    request: BuildRequest,
    retyped: Path | None,
    profiles: Profiles,
    names: Names,
    engine: Path,
    progress: Progress,
) -> Talk:
    options = request.options
    question = {
        "task": "build",
        "module": target.module,
        "model": os.path.abspath(request.model),
        "retyped": str(retyped) if retyped is not None else None,
        "engine": os.path.abspath(engine),
        "compute_capabilities": list(dict.fromkeys(options.compute_capabilities)),
        "memory_limit_mb": options.memory_limit_mb,
        "shapes": {name: (s.min, s.opt, s.max) for name, s in profiles.shapes.items()},
        "values": {name: (s.min, s.opt, s.max) for name, s in profiles.values.items()},
    }
    trouble = Trouble(target, request.model.name, names, profiles, options)
    with progress.task(f"building for {target.title}") as task:
        talk = Talk(task)
        end = child_process.run(CHILD, question, talk.hear, options.timeout_s)
    trouble.check(talk, end)
    return talk


@contextmanager
def _staging(folder: Path) -> Generator[Path]:
    """A folder in which results come to be, and which is gone in the end whatever happens."""
    try:
        staging = tempfile.TemporaryDirectory(prefix=".build-", dir=folder)
    except OSError as error:
        raise OutputError(f"cannot write into {folder}: {error.strerror}") from None
    with staging as name:
        yield Path(name)


def _move(file: Path, folder: Path) -> Path:
    target = folder / file.name
    try:
        os.replace(file, target)
    except OSError as error:
        raise OutputError(f"cannot write {target}: {error.strerror}") from None
    return target
