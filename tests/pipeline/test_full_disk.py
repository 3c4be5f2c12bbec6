"""A disk without room: one error, nothing left, the earlier output as it was."""

from __future__ import annotations

import subprocess
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from tests.pipeline.command import EARLIER, contents, graphopt, write

SMALL_DISK = 'mount -t tmpfs -o size=64k tmpfs small && cp -r out small && "$@"; code=$?; cd small; '
LISTING = "find . -type f -exec sha256sum {} + | sort -k 2; find . -type d | sort; exit $code"


def heavy(path: Path) -> Path:
    """A model of 160 KB that stays as heavy."""
    weight = numpy_helper.from_array(np.random.default_rng(0).random((200, 200), np.float32), "w")
    x, y = (helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n", 200]) for name in "xy")
    graph = helper.make_graph([helper.make_node("MatMul", ["x", "w"], ["y"])], "heavy", [x], [y], [weight])
    onnx.save(helper.make_model(graph, ir_version=8, opset_imports=[helper.make_opsetid("", 17)]), path)
    return path


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    heavy(tmp_path / "model.onnx")
    write(tmp_path / "out", EARLIER)
    return tmp_path


def with_small_disk(*, script: str = "") -> list[str]:
    """A shell in a name space of its own, where `small` is a disk of 64 KB that holds the earlier output."""
    return ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c", f"{SMALL_DISK}{script}{LISTING}", "sh"]


def listing(folder: Path) -> str:
    """What the shell lists of a disk on which nothing changed."""
    done = subprocess.run(
        ["sh", "-c", f"mkdir copy; cp -r out copy; cd copy; code=0; {LISTING}"],
        cwd=folder,
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout


def can_mount() -> bool:
    probe = ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c", "mount -t tmpfs tmpfs /mnt"]
    try:
        return subprocess.run(probe, capture_output=True, check=False).returncode == 0
    except FileNotFoundError:
        return False


@pytest.mark.skipif(not can_mount(), reason="this machine does not let us mount a small disk")
@pytest.mark.parametrize("output", ["out", "new"])
def test_no_room_for_the_model(folder: Path, output: str) -> None:
    (folder / "small").mkdir()
    arguments = ["compile", "model.onnx", "-o", f"small/{output}", "--check", "none"]
    ended = graphopt(*arguments, folder=folder, before=with_small_disk())
    assert (ended.code, ended.err) == (
        2,
        f"error: cannot write small/{output}/model.onnx: No space left on device\n"
        "  help: make room, or write elsewhere\n",
    )
    assert ended.out == listing(folder)


@pytest.mark.parametrize(("blocks", "file"), [(40, "model.onnx"), (2, "report.json")])
def test_files_may_not_grow_that_far(folder: Path, blocks: int, file: str) -> None:
    """The limit of a shell, in blocks of 512 or 1024 bytes: a small model fits, and its report does not."""
    if file == "report.json":
        text = '<ir_version: 8, opset_import: ["" : 17]> m (float[n] x) => (float[n] y) { y = Relu(x) }'
        onnx.save(onnx.parser.parse_model(text), folder / "model.onnx")
    before = contents(folder)
    shell = ["sh", "-c", f'ulimit -f {blocks} && exec "$@"', "sh"]
    ended = graphopt("compile", "model.onnx", "-o", "out", "--check", "none", folder=folder, before=shell)
    assert (ended.code, ended.err) == (2, f"error: cannot write out/{file}: File too large\n")
    assert contents(folder) == before
