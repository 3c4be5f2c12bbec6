"""Parsing and building with whichever TensorRT is at hand, inside the builder's process.

Works with tensorrt_rtx 1.x and with tensorrt 10 and 11: what only one of them has is asked for with hasattr. The
network is always strongly typed, and no precision flag is ever set: the model says its types. No error recorder is set:
the library touches it after Python has freed it, and crashes; the log tells the same.
"""

from __future__ import annotations

import hashlib
import os
import re
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from graphopt.backends.parser_error import ParserError

if TYPE_CHECKING:
    from graphopt.backends.tensorrt_child import Channel

OLDEST = {"tensorrt": 10, "tensorrt_rtx": 1}
"""Oldest major version of each module that has strongly typed networks and a progress monitor."""

WARNING_NOISE = re.compile(
    r"has Int64 binding|timing cache|already exists, the output tensors|Requested amount of memory"
)
"""Warnings that tell a user nothing."""

UNSIGNED_WARNING = re.compile(
    r"with UINT8 zero_point only on DLA|For zero_point with type int32 TensorRT will use INT8"
)
"""The parser's warnings that it takes uint8 (which it may have widened to int32) for int8: all that tells of wrong
results to come, where the zero point's type could not be found in the model, as inside a function."""

PARSING = re.compile(r"Parsing node: (.*) \[\w+\]$", re.DOTALL)

LOOK_BEHIND_BYTES = 1 << 29
"""Largest model file in which refused nodes are looked behind: that takes several times its size in memory."""


def start(trt: Any, channel: Channel) -> tuple[Any, Any] | None:
    """Create a builder and its logger; tells the parent the version, or why it cannot be had."""
    version = str(trt.__version__)
    oldest = OLDEST[trt.__name__]
    if not version.partition(".")[0].isdecimal() or int(version.partition(".")[0]) < oldest:
        channel.send("unavailable", reason=f"is version {version}; version {oldest} or newer is needed")
        return None
    log = _logger(trt)
    try:
        builder = trt.Builder(log)
    except Exception as error:  # pybind11 raises TypeError when the library returns nothing
        channel.send("unavailable", reason=f"cannot start: {'; '.join(log.errors) or error}")
        return None
    channel.send("started", version=version)
    return builder, log


class Build:
    """One build: parse, profile, build; tells the parent how it goes and ends."""

    def __init__(self, trt: Any, builder: Any, log: Any, channel: Channel, request: dict[str, Any]) -> None:
        self.trt = trt
        self.builder = builder
        self.log = log
        self.channel = channel
        self.request = request

    def run(self) -> None:
        network = self._network()
        parser = self.trt.OnnxParser(network, self.log)
        self.channel.send("progress", phase="parsing", done=0, total=None)
        parsed = self._parse(parser)
        if not parsed:
            self._refuse(_parser_errors(parser))
        elif self.log.unsigned:
            self.channel.send("unsigned", nodes=self.log.unsigned)
        else:
            self._build(network)

    def _parse(self, parser: Any) -> bool:
        retyped = self.request["retyped"]
        if retyped is None:
            return parser.parse_from_file(self.request["model"])
        return parser.parse(Path(retyped).read_bytes(), self.request["model"])  # whose weights lie beside the model

    def _network(self) -> Any:
        flag = getattr(self.trt.NetworkDefinitionCreationFlag, "STRONGLY_TYPED", None)
        return self.builder.create_network(0 if flag is None else 1 << int(flag))

    def _refuse(self, errors: list[ParserError]) -> None:
        self._send_refused(errors)
        if not any(error.node >= 0 for error in errors):
            return
        path = Path(self.request["retyped"] or self.request["model"])
        if path.stat().st_size > LOOK_BEHIND_BYTES:
            self.channel.send("more")
            return
        from graphopt.backends.refused_nodes import behind

        try:
            for found in behind(path, errors, self._errors_of):
                self._send_refused(found)
        except Exception:  # the errors found so far stand, whatever onnx makes of the rest
            self.channel.send("more")

    def _errors_of(self, model: bytes, path: str) -> list[ParserError]:
        network = self._network()  # the parser does not keep it alive
        parser = self.trt.OnnxParser(network, self.log)
        return [] if parser.parse(model, path) else _parser_errors(parser)

    def _send_refused(self, errors: list[ParserError]) -> None:
        for error in errors:
            self.channel.send("refused", **vars(error))

    def _build(self, network: Any) -> None:
        inputs = [network.get_input(i) for i in range(network.num_inputs)]
        missing = [t.name for t in inputs if t.is_shape_tensor and t.name not in self.request["values"]]
        if missing:
            self.channel.send("values", names=missing)
            return
        config = self._config(inputs)
        if config is None:
            self.channel.send("failed", errors=self.log.errors)
            return
        writer = _Writer(self.request["engine"])
        started = time.monotonic()
        built = self._serialize(network, config, writer)
        if writer.error:
            self.channel.send("unwritten", reason=writer.error)
        elif not built:
            self.channel.send("failed", errors=self.log.errors)
        else:
            self.channel.send(
                "built",
                seconds=time.monotonic() - started,
                bytes=writer.bytes,
                sha256=writer.digest.hexdigest(),
                layers=self.log.layers,
                warnings=self.log.warnings,
                inputs=[_tensor(t) for t in inputs],
                outputs=[_tensor(network.get_output(i)) for i in range(network.num_outputs)],
                unused_values=sorted(set(self.request["values"]) - {t.name for t in inputs if t.is_shape_tensor}),
            )

    def _config(self, inputs: list[Any]) -> Any:
        config = self.builder.create_builder_config()
        capabilities = self.request["compute_capabilities"]
        if capabilities:
            config.num_compute_capabilities = len(capabilities)
            for index, name in enumerate(capabilities):
                config.set_compute_capability(getattr(self.trt.ComputeCapability, name.upper()), index)
        config.profiling_verbosity = self.trt.ProfilingVerbosity.DETAILED  # else the log does not list the layers
        if hasattr(config, "progress_monitor"):
            config.progress_monitor = self.monitor = _monitor(self.trt, self.channel)
        profile = self.builder.create_optimization_profile()
        values = self.request["values"]
        for tensor in inputs:
            if tensor.is_shape_tensor:
                profile.set_shape_input(tensor.name, *values[tensor.name])
            elif tensor.name in self.request["shapes"]:
                profile.set_shape(tensor.name, *self.request["shapes"][tensor.name])
        return None if config.add_optimization_profile(profile) < 0 else config

    def _serialize(self, network: Any, config: Any, writer: _Writer) -> bool:
        if hasattr(self.builder, "build_serialized_network_to_stream"):
            stream = _stream(self.trt, writer)
            built = self.builder.build_serialized_network_to_stream(network, config, stream)
        else:
            plan = self.builder.build_serialized_network(network, config)
            built = plan is not None
            if built:
                writer.write(plan)
        writer.close()
        return bool(built)


class _Writer:
    """The engine file, and what is known of it; an error is kept, since it cannot pass through the library."""

    def __init__(self, path: str) -> None:
        self._number = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0), 0o666)
        self.digest = hashlib.sha256()
        self.bytes = 0
        self.error: str | None = None

    def write(self, data: Any) -> int:
        left = memoryview(data).cast("B")
        size = len(left)
        self.digest.update(left)
        try:
            while len(left):
                written = os.write(self._number, left)
                self.bytes += written
                left = left[written:]
        except OSError as error:
            self.error = error.strerror
            return 0
        return size

    def close(self) -> None:
        try:
            os.fsync(self._number)
            os.close(self._number)
        except OSError as error:
            self.error = self.error or error.strerror


def _stream(trt: Any, writer: _Writer) -> Any:
    class Stream(trt.IStreamWriter):
        def __init__(self) -> None:
            trt.IStreamWriter.__init__(self)

        def write(self, data: bytes) -> int:
            return writer.write(data)

    return Stream()


def _logger(trt: Any) -> Any:
    severe = (trt.ILogger.Severity.INTERNAL_ERROR, trt.ILogger.Severity.ERROR)

    class Log(trt.ILogger):
        def __init__(self) -> None:
            trt.ILogger.__init__(self)
            self.errors: list[str] = []
            self.warnings: list[str] = []
            self.layers = ""
            self.parsing = ""
            self.unsigned: list[str] = []

        def log(self, severity: Any, message: str) -> None:
            if severity == trt.ILogger.Severity.VERBOSE:
                if message.startswith("Layers:"):
                    self.layers = message
                elif found := PARSING.match(message):
                    self.parsing = found[1]
            elif severity in severe:
                self.errors.append(message)
            elif severity == trt.ILogger.Severity.WARNING:
                if UNSIGNED_WARNING.search(message):
                    self.unsigned.append(self.parsing)
                elif message not in self.warnings and not WARNING_NOISE.search(message):
                    self.warnings.append(message)

    return Log()


def _monitor(trt: Any, channel: Channel) -> Any:
    class Monitor(trt.IProgressMonitor):
        """Tells the phase that last moved, and its steps: a few hundred events a build."""

        def __init__(self) -> None:
            trt.IProgressMonitor.__init__(self)
            self.totals: dict[str, int] = {}

        def phase_start(self, phase: str, parent: str | None, steps: int) -> None:
            self.totals[phase] = steps
            self.tell(phase, 0)

        def step_complete(self, phase: str, step: int) -> bool:
            self.tell(phase, step + 1)
            return True

        def phase_finish(self, phase: str) -> None:
            self.totals.pop(phase, None)

        def tell(self, phase: str, done: int) -> None:
            channel.send("progress", phase=phase, done=done, total=self.totals.get(phase))

    return Monitor()


def _parser_errors(parser: Any) -> list[ParserError]:
    return [_parser_error(parser.get_error(index)) for index in range(parser.num_errors)]


def _parser_error(error: Any) -> ParserError:
    stack = error.local_function_stack() if hasattr(error, "local_function_stack") else ()
    return ParserError(error.node(), error.node_name(), error.node_operator(), error.desc(), tuple(stack))


def _tensor(tensor: Any) -> dict[str, Any]:
    return {"name": tensor.name, "dtype": tensor.dtype.name, "shape": list(tensor.shape)}
