"""Every tool on a model, each as a process of its own, and what the operating system says that it took."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from benchmarks.measure import Usage, run

from .store import Store, digest

OURS = "graphopt"
ANY_SIZE = "graphopt_any_size"
PEERS = ("onnxsim", "onnxslim", "onnxscript", "onnxoptimizer", "onnxruntime_standard")

ONCE = Path(__file__).with_name("once.py")
MODEL = "model.onnx"


class MissingTool(Exception):
    """A tool is not installed in the interpreter that was named for it."""


@dataclass(frozen=True)
class Made:
    """What a tool made of a model.

    Attributes:
        path: the file that it wrote; None where it wrote none.
        size: bytes of that file and of the data files beside it.
        usage: what its whole process took.
        failure: why there is no file.
        at: when that was, in seconds since 1970.
    """

    path: Path | None
    size: int
    usage: Usage
    failure: str = ""
    at: float = 0.0


@dataclass(frozen=True)
class Tool:
    """A tool, the interpreter that has it, and what its results depend on."""

    name: str
    python: str
    identity: Mapping[str, str]

    @property
    def version(self) -> str:
        return self.identity[self.name.split("_")[0]]


def tool(name: str, python: str) -> Tool:
    """
    Raises:
        MissingTool: the interpreter does not have it.
    """
    said = run([python, str(ONCE), name])
    if not said.said:
        raise MissingTool(f"{python} cannot run {name}: it needs benchmarks/requirements.txt")
    return Tool(name, python, said.said)


def tools(peers: str) -> dict[str, Tool]:
    """All tools by name: ours as this interpreter has it, the others of another one."""
    ours = {name: tool(name, sys.executable) for name in (OURS, ANY_SIZE)}
    return ours | {name: tool(name, peers) for name in PEERS}


def find(store: Store, one: Tool, model: Path, limit: float) -> Made | None:
    """What the tool made of the model before."""
    parts = _parts(one, model, limit)
    found = store.find(*parts)
    return None if found is None else _made(found, store.place(*parts))


def make(store: Store, one: Tool, model: Path, limit: float) -> Made:
    """Let the tool work on the model, for `limit` seconds at most."""
    parts = _parts(one, model, limit)
    found = store.make(parts, lambda folder: _run(one, model, folder, limit))
    return _made(found, store.place(*parts))


def warm_up(one: Tool, model: Path, limit: float) -> None:
    """Let the tool work once for nothing: what it reads and what it keeps by itself is warm then."""
    with _scratch() as folder:
        _run(one, model, folder, limit)


def _parts(one: Tool, model: Path, limit: float) -> tuple[object, ...]:
    return ("made", one.name, dict(one.identity), digest(model), limit)


def _run(one: Tool, model: Path, folder: Path, limit: float) -> dict[str, Any]:
    # a tool that is stopped half way leaves files behind: only what is a result is kept
    with _scratch(folder) as scratch:
        usage = run([one.python, str(ONCE), one.name, str(model), str(scratch / MODEL)], limit)
        kept = [f for f in scratch.iterdir() if f.name in (MODEL, MODEL + ".data")]
        failure = usage.failure or ("" if any(f.name == MODEL for f in kept) else "it wrote nothing")
        if not failure:
            for file in kept:
                file.rename(folder / file.name)
        size = 0 if failure else sum(f.stat().st_size for f in folder.iterdir())
    return {"size": size, "failure": failure, "usage": asdict(usage)}


def _made(found: dict[str, Any], place: Path) -> Made:
    path = None if found["failure"] else place / MODEL
    at = (place / "found.json").stat().st_mtime
    return Made(path, found["size"], Usage(**found["usage"]), found["failure"], at)


@contextmanager
def _scratch(beside: Path | None = None) -> Generator[Path]:
    with tempfile.TemporaryDirectory(prefix=".scratch-", dir=beside and beside.parent) as name:
        yield Path(name)
