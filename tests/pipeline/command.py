"""The real command, in a process of its own, and what it left on the disk."""

from __future__ import annotations

import contextlib
import io
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import onnx
import onnx.parser

from graphopt.cli import run

COMMAND = [sys.executable, "-c", "from graphopt.cli import main; main()"]

SMALL = """<ir_version: 8, opset_import: ["" : 17]>
main (float[n,3] x) => (float[n,3] y) <float[3] w = {1, 2, 3}> {
    a = Identity(x)
    b = Mul(a, w)
    y = Relu(b)
}"""

EARLIER = {
    "model.onnx": b"an earlier model",
    "report.json": b"an earlier report",
    "journal.jsonl": b"an earlier journal",
    "engines/onnxruntime/model.json": b"an earlier sidecar",
    "notes.txt": b"somebody else's",
}
"""What an earlier run, and its owner, left in an output folder."""


@dataclass(frozen=True)
class Ended:
    """How a process ended."""

    code: int
    out: str
    err: str


def environment(path: Sequence[Path] = (), **more: str) -> dict[str, str]:
    """Of a child that sees the same modules as we do, after those in the given folders."""
    paths = [*map(str, path), *(p or os.getcwd() for p in sys.path)]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(paths), "NO_COLOR": "1", **more}


def graphopt(*arguments: str, folder: Path, env: Mapping[str, str] | None = None, before: Sequence[str] = ()) -> Ended:
    """Run one command line in a folder; `before` are words in front of it, as of a shell that limits it."""
    done = subprocess.run(
        [*before, *COMMAND, *arguments],
        cwd=folder,
        env=dict(env or environment()),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    return Ended(done.returncode, done.stdout, done.stderr)


def here(*arguments: str, folder: Path) -> Ended:
    """The same in this process, for the sake of time."""
    out, err = io.StringIO(), io.StringIO()
    with contextlib.chdir(folder), contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = run(list(arguments))
    return Ended(code, out.getvalue(), err.getvalue())


def save(model: onnx.ModelProto | str, path: Path) -> Path:
    """Write a model as it is, whether or not it makes sense."""
    proto = onnx.parser.parse_model(model) if isinstance(model, str) else model
    path.write_bytes(proto.SerializeToString())
    return path


def write(folder: Path, files: Mapping[str, bytes]) -> Path:
    """A folder with these files."""
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    return folder


def contents(folder: Path) -> dict[str, bytes | None]:
    """Every file below a folder, hidden ones too, with its bytes; folders have None."""
    return {str(p.relative_to(folder)): None if p.is_dir() else p.read_bytes() for p in sorted(folder.rglob("*"))}
