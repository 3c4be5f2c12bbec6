"""Results by content: a case whose model, data, rules, recipe and versions are as they were need not run again."""

from __future__ import annotations

import hashlib
import json
from functools import cache
from importlib.metadata import version
from importlib.resources import files
from pathlib import Path
from typing import Any

from graphopt.caches import cache_root
from graphopt.graph.files import whole_file
from graphopt.suite.cases import Case
from graphopt.suite.run import CaseResult

LIBRARIES = ("graphopt", "onnx", "onnxruntime", "numpy", "polygraphy")


class ResultCache:
    """Keeps results that are not times; a result that cannot be read counts as none."""

    def __init__(self, folder: Path | None = None) -> None:
        self._folder = cache_root(folder) / "suite"

    def get(self, case: Case) -> CaseResult | None:
        """What the case gave when it last ran with the same content."""
        if case.expect.max_latency_ratio is not None:
            return None
        try:
            kept: dict[str, Any] = json.loads((self._folder / f"{_key(case)}.json").read_text(encoding="utf-8"))
            return CaseResult(case.name, kept["figures"], {}, tuple(kept["problems"]), None, cached=True)
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def put(self, case: Case, result: CaseResult) -> None:
        """Keep a result; what failed before it had figures is tried again."""
        if result.error is not None or result.unsteady:
            return
        self._folder.mkdir(parents=True, exist_ok=True)
        with whole_file(self._folder / f"{_key(case)}.json") as stream:
            stream.write(json.dumps({"figures": result.figures, "problems": result.problems}).encode())


def _key(case: Case) -> str:
    digest = hashlib.sha256()
    said = (case.recipe, case.target, case.shapes, case.contract, case.samples, case.expect, case.metrics, case.labels)
    digest.update(repr((said, [(n, version(n)) for n in LIBRARIES], _sources())).encode())
    named = [case.model.split(".py:")[0] + ".py" if ".py:" in case.model else case.model, case.recipe, *case.rules]
    named += [case.data.split(".py:")[0] + ".py" if ".py:" in case.data else case.data] if case.data else []
    named += [str(case.folder / metric.use.rsplit(":", 1)[0]) for metric in case.metrics]
    named += [str(case.folder / case.labels.file)] if case.labels is not None else []
    for name in named:
        for path in _files(Path(name)):
            digest.update(f"{path.name}\n".encode())
            digest.update(_content(str(path), path.stat().st_mtime_ns).encode())
    return digest.hexdigest()


def _files(path: Path) -> list[Path]:
    """A file with the weights beside it, or all files of a folder."""
    if path.is_dir():
        return sorted(p for p in path.rglob("*") if p.is_file())
    beside = [path.with_name(f"{path.name}.data"), path.with_name(f"{path.name}_data")]
    return [p for p in (path, *beside) if p.is_file()]


@cache
def _content(path: str, changed: int) -> str:
    with Path(path).open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


@cache
def _sources() -> str:
    """The code, rules and passes of graphopt itself: a version says little while it is worked on."""
    digest = hashlib.sha256()
    for package in ("graphopt", "graphopt.passes", "graphopt.rules"):
        for path in sorted(Path(str(files(package))).rglob("*")):
            if path.suffix in (".py", ".rules", ".toml", ".lark") and path.is_file():
                digest.update(path.read_bytes())
    return digest.hexdigest()
