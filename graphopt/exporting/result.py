"""What an export came to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

SCHEMA = "graphopt.export/1"
"""Of the JSON form; the number rises when a field changes its meaning or goes."""


@dataclass(frozen=True)
class ExportResult:
    """A model that was written, and agrees with its module.

    Attributes:
        path: the model.
        exporter: which of torch's exporters made it: `dynamo` or `legacy`.
        fallback: why `dynamo` did not, in one line; None if it did, or was not asked.
        cached: whether it came from the cache, made by an earlier run.
        cache_note: what there is to say of the cache: why this export is not kept, or that an entry was damaged.
        key: of the entry in the cache; None where none could be made, or no cache was wanted.
        opset: version of ONNX's operators.
        inputs, outputs: as `x: float32[batch,3,224,224]`.
        comparison: how its outputs agree with the module's, on the example inputs and at other sizes of the
            dynamic axes; in the form of a `Comparison`'s JSON (docs/parity.md).
        warnings: what the exporter warned of: Python values that it wrote into the model for good.
        sha256: of the model file.
    """

    path: Path
    exporter: str
    fallback: str | None
    cached: bool
    cache_note: str | None
    key: str | None
    opset: int
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    comparison: Mapping[str, Any]
    warnings: tuple[str, ...]
    sha256: str

    def to_json(self) -> dict[str, Any]:
        """A document of plain values, described in docs/export.md."""
        return {"schema": SCHEMA, **asdict(self), "path": str(self.path)}
