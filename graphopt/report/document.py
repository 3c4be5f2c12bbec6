"""The report of a compile as a JSON document; docs/report.md says what its fields mean."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

from graphopt.backends.base import Artifact
from graphopt.pipeline.result import CompileResult, PassRecord

SCHEMA = "graphopt.report/1"

Json = dict[str, Any]


def to_json(result: CompileResult) -> Json:
    """The report. Numbers that JSON lacks (NaN, infinity) are null."""
    report = {
        "schema": SCHEMA,
        "ok": result.ok,
        "source": {"path": result.source, "sha256": result.sha256},
        "output": result.output,
        "recipe": result.recipe,
        "before": result.before.to_json(),
        "after": result.after.to_json(),
        "passes": [_pass(record) for record in result.passes],
        "parity": result.parity.to_json() if result.parity is not None else None,
        "parity_skipped": result.parity_skipped,
        "artifacts": [_artifact(artifact, result.output) for artifact in result.artifacts],
        "latency": [dataclasses.asdict(latency) for latency in result.latency],
        "proofs": result.proofs,
        "notes": result.notes,
        "warnings": result.warnings,
        "codes": [found.to_json() for found in result.codes],
        "seconds": result.seconds,
        "versions": result.versions,
    }
    return _plain(report)


def _pass(record: PassRecord) -> Json:
    return {
        "name": record.name,
        "seconds": record.seconds,
        "modified": record.modified,
        "nodes_before": record.nodes_before,
        "nodes_after": record.nodes_after,
        "firings": record.firings,
        "contract": record.contract,
        "parity": record.parity.to_json() if record.parity is not None else None,
        "details": record.details,
    }


def _artifact(artifact: Artifact, output: Path) -> Json:
    return {
        "target": artifact.target,
        "files": [path.relative_to(output) if path.is_relative_to(output) else path for path in artifact.files],
        "bytes": artifact.bytes,
        "seconds": artifact.seconds,
        "layers": [dataclasses.asdict(layer) for layer in artifact.layers],
        "details": {key: value for key, value in artifact.details.items() if key != "layers"},
    }


def _plain(value: Any) -> Any:
    """What JSON can hold: lists for tuples, text for paths, null for what is no number."""
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in cast("Mapping[Any, Any]", value).items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in cast("list[Any]", value)]
    if isinstance(value, Path):
        return value.as_posix()
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return value
