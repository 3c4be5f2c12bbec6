"""What a compile did, as data: the report is made from this, and from nothing else."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from graphopt.backends.base import Artifact
    from graphopt.graph.accounting import Account
    from graphopt.parity.reference import Comparison
    from graphopt.pipeline.engine_codes import EngineCodes


@dataclass(frozen=True)
class PassRecord:
    """One pass of a run.

    Attributes:
        name: the pass, in kebab-case.
        seconds: wall time of the pass itself.
        modified: whether it changed the graph.
        nodes_before, nodes_after: nodes in all graphs, Constant nodes not counted.
        firings: how often each rule fired, by `rule@file:line`; empty for a pass written in Python.
        contract: how equal the pass promised to be ("exact", "real", ...), by what fired.
        parity: the comparison with the original after this pass, or None where it was not made.
        details: what the pass itself reports, JSON-able.
    """

    name: str
    seconds: float
    modified: bool
    nodes_before: int
    nodes_after: int
    firings: Mapping[str, int]
    contract: str
    parity: Comparison | None = None
    details: Mapping[str, Any] = field(default_factory=dict[str, Any])


@dataclass(frozen=True)
class Latency:
    """Median seconds of one run in ONNX Runtime, original and compiled measured in turn.

    Attributes:
        settings: "default" (the session's own optimizations on) or "off".
        original, compiled: medians, seconds.
        ratio: median of the pairwise ratios compiled / original.
        runs: pairs measured.
        shapes: input shapes as text.
    """

    settings: str
    original: float
    compiled: float
    ratio: float
    runs: int
    shapes: str


@dataclass(frozen=True)
class CompileResult:
    """A finished compile.

    Attributes:
        source: the model that came in; `sha256` is of that file.
        output: the folder that was written.
        recipe: name of the recipe.
        before, after: accounts of the model.
        passes: in the order in which they ran.
        parity: the comparison of the final model with the original; None with `--check none`.
        parity_skipped: why parity could not be checked, if so.
        artifacts: one for each target.
        latency: measured on request.
        notes: what the user should know.
        warnings: what keeps the result from being used.
        codes: of each engine whose kernels are known, which nodes it computes in codes, if any should.
        proofs: of each rule that fired, as rule@file:line, whether it is "proved", "holds" (on every instance that
            was tried) or is "unproved".
        seconds: wall time of the whole compile.
        versions: of graphopt and the libraries that took part.
    """

    source: Path
    sha256: str
    output: Path
    recipe: str
    before: Account
    after: Account
    passes: tuple[PassRecord, ...]
    parity: Comparison | None
    parity_skipped: str | None
    artifacts: tuple[Artifact, ...]
    latency: tuple[Latency, ...]
    notes: tuple[str, ...]
    proofs: Mapping[str, str]
    seconds: float
    versions: Mapping[str, str]
    warnings: tuple[str, ...] = ()
    codes: tuple[EngineCodes, ...] = ()

    @property
    def ok(self) -> bool:
        """Whether parity held wherever it was checked."""
        return self.parity is None or self.parity.ok
