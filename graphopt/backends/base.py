"""What every backend takes and gives."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from graphopt.errors import UsageError
from graphopt.progress import Progress

LARGEST_SIZE = 2**31 - 1

Sizes = tuple[int, ...]


@dataclass(frozen=True)
class ProfileShape:
    """The smallest, the usual and the largest shape of one dynamic input.

    For an integer input whose shape is fixed and whose *values* are sizes that the network computes with (the target
    shape of a Reshape, say), the three hold those values instead; only then may they be negative.

    Raises:
        UsageError: the three differ in length, are not in ascending order, or hold a size beyond 2^31-1.
    """

    min: Sizes
    opt: Sizes
    max: Sizes

    def __post_init__(self) -> None:
        if not len(self.min) == len(self.opt) == len(self.max):
            raise UsageError(
                f"the shapes {self} have {len(self.min)}, {len(self.opt)} and {len(self.max)} sizes",
                help="the smallest, usual and largest shape need the same number of sizes",
            )
        for axis, (low, usual, high) in enumerate(zip(self.min, self.opt, self.max, strict=True)):
            if not low <= usual <= high:
                raise UsageError(
                    f"the sizes of axis {axis} are not in ascending order: {low}, {usual}, {high}",
                    help="write the smallest shape first, then the usual one, then the largest",
                )
            if high > LARGEST_SIZE or low < -LARGEST_SIZE:
                raise UsageError(f"a size of axis {axis} is beyond {LARGEST_SIZE}: {high if high > 0 else low}")

    def __str__(self) -> str:
        shapes = (self.min,) if self.min == self.opt == self.max else (self.min, self.opt, self.max)
        return ":".join("x".join(map(str, shape)) for shape in shapes)


@dataclass(frozen=True)
class BuildOptions:
    """How to build.

    Attributes:
        compute_capabilities: GPU generations that an engine must run on ("sm80", "sm120"); empty: the target's default.
        memory_limit_mb: most private memory, in MiB, that a builder may use; None: no limit.
        timeout_s: most seconds that a builder may take; None: no limit.
    """

    compute_capabilities: tuple[str, ...] = ()
    memory_limit_mb: int | None = None
    timeout_s: float | None = None

    def __post_init__(self) -> None:
        if self.memory_limit_mb is not None and self.memory_limit_mb <= 0:
            raise UsageError(f"the memory limit must be above 0 MiB, not {self.memory_limit_mb}")
        if self.timeout_s is not None and not self.timeout_s > 0:
            raise UsageError(f"the time limit must be above 0 seconds, not {self.timeout_s:g}")


@dataclass(frozen=True)
class BuildRequest:
    """One model to build.

    Attributes:
        model: a finished .onnx file, with its external data beside it if it has any.
        out_dir: an existing folder; the backend writes only here.
        profiles: shapes of dynamic inputs, by name; a backend that needs more completes them.
        options: how to build.
    """

    model: Path
    out_dir: Path
    profiles: Mapping[str, ProfileShape] = field(default_factory=dict[str, ProfileShape])
    options: BuildOptions = field(default_factory=BuildOptions)


@dataclass(frozen=True)
class FusedLayer:
    """One kernel of an engine.

    Attributes:
        name: the kernel's name in the engine.
        kind: what the builder calls its type ("correlation" is a convolution).
        inputs, outputs: element types of what it reads (constants not counted) and writes.
        onnx_nodes: the nodes that it computes, wholly or in part, as `Op(first output)` where they have no name.
    """

    name: str
    kind: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    onnx_nodes: tuple[str, ...]


@dataclass(frozen=True)
class Artifact:
    """What a build made.

    Attributes:
        target: name of the target.
        files: what was written, the sidecar last.
        bytes: total size of `files`.
        seconds: wall time.
        details: the content of the sidecar, JSON-able.
        layers: the kernels, where the builder tells them.
    """

    target: str
    files: tuple[Path, ...]
    bytes: int
    seconds: float
    details: Mapping[str, Any]
    layers: tuple[FusedLayer, ...] = ()


@dataclass(frozen=True)
class Availability:
    """Whether a backend can work here; if not, `reason` says why and `help` what to do."""

    available: bool
    version: str | None = None
    reason: str | None = None
    help: str | None = None


class Backend(Protocol):
    """Turns a finished model into what a target runs."""

    @property
    def name(self) -> str:
        """Name of the target, as on the command line."""
        ...

    def probe(self) -> Availability:
        """Whether it can build here."""
        ...

    def build(self, request: BuildRequest, progress: Progress) -> Artifact:
        """Build one model; on failure nothing is left in `request.out_dir`.

        Raises:
            BackendError: the backend is missing, or it refused the model, or it died.
            UsageError: the request does not fit the model or the target.
            ModelError: the model file cannot be read.
            OutputError: the result could not be written.
        """
        ...
