"""What the judge and the clock say of results, each thing once: they run as processes of their own."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from collections.abc import Mapping
from functools import cache
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

from .store import Found, NotKept, Store, digest

ROOT = Path(__file__).parents[2]
JUDGE_LIMIT = 1800.0
"""Seconds for all results of a model."""


def judged(store: Store, model: Path, results: Mapping[str, Path]) -> tuple[Found, dict[str, Found]]:
    """What is in a model, and what is in each result and how right it is.

    Raises:
        NotKept: the store is frozen, and does not know.
    """
    parts = {tool: ("judged", _judge(), digest(model), digest(path)) for tool, path in results.items()}
    own = ("contents", _judge(), digest(model))
    found = {tool: store.find(*p) for tool, p in parts.items()}
    missing = [tool for tool, f in found.items() if f is None]
    if store.frozen and (missing or store.find(*own) is None):
        raise NotKept
    if missing or store.find(*own) is None:
        for tool, said in _judge_all(store, model, own, {t: results[t] for t in missing}).items():
            found[tool] = _kept(store, parts[tool], said)
    contents = store.find(*own)
    assert contents is not None
    return contents, {tool: f for tool, f in found.items() if f is not None}


def _judge_all(store: Store, model: Path, own: tuple[object, ...], results: dict[str, Path]) -> dict[str, Found]:
    found: dict[str, Found] = {}
    waiting = list(results)
    while True:
        said = _lines("judge", JUDGE_LIMIT, str(model), *(str(results[t]) for t in waiting))
        if not said:
            raise RuntimeError(f"{model} cannot be judged: `python -m benchmarks.optimize.judge {model}` says why")
        _kept(store, own, said[0])
        found |= dict(zip(waiting, said[1:], strict=False))
        waiting = waiting[len(said) - 1 :]
        if not waiting:
            return found
        found[waiting.pop(0)] = {"failure": "ends the process that runs it"}
        if not waiting:
            return found


def timed(store: Store, model: Path, results: Mapping[str, Path], computes: Mapping[str, str]) -> Found:
    """Seconds of runs in ONNX Runtime: by setting, and by `original`, `again` (the original as well) and tool.

    `computes` has a digest of what matters of each result.
    """
    names = sorted(results)
    parts = ("timed", _clock(), digest(model), [(n, computes[n]) for n in names])
    found = store.find(*parts)
    if found is not None or store.frozen:
        return found or {}
    said = _lines("latency", JUDGE_LIMIT, str(model), *(str(results[n]) for n in names))
    if not said:
        return {}
    contenders = ("original", "again", *names)
    return _kept(store, parts, {s: dict(zip(contenders, t, strict=True)) for s, t in said[0].items()})


def _kept(store: Store, parts: tuple[object, ...], found: Found) -> Found:
    return store.make(parts, lambda _: found)


def _lines(module: str, limit: float, *arguments: str) -> list[Found]:
    """The JSON objects that a module of this package prints, those before it failed if it did."""
    command = [sys.executable, "-m", f"benchmarks.optimize.{module}", *arguments]
    child = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, cwd=ROOT)
    try:
        printed, _ = child.communicate(timeout=limit)
    except subprocess.TimeoutExpired:
        child.kill()
        printed, _ = child.communicate()
    except BaseException:
        child.kill()
        raise
    lines = printed.splitlines(keepends=True)
    return [json.loads(line) for line in lines if line.endswith("\n")]


JUDGES = ("figures", "judgement", "samples", "tolerance")
"""The modules of graphopt.parity that decide what is measured, and what is right."""


@cache
def _judge() -> dict[str, str]:
    return _identity("judge.py", "inputs.py") | {"parity": _digest(*(_parity() / f"{name}.py" for name in JUDGES))}


@cache
def _clock() -> dict[str, str]:
    return _identity("latency.py", "inputs.py")


def _identity(*names: str) -> dict[str, str]:
    """The runtime, and a digest of files of this folder."""
    return {"onnxruntime": version("onnxruntime"), "sources": _digest(*(Path(__file__).with_name(n) for n in names))}


def _digest(*files: Path) -> str:
    return hashlib.sha256(b"".join(file.read_bytes() for file in files)).hexdigest()


def _parity() -> Path:
    spec = find_spec("graphopt.parity")
    assert spec is not None
    assert spec.submodule_search_locations is not None
    return Path(spec.submodule_search_locations[0])
