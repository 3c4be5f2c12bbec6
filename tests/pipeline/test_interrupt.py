"""Ctrl-C and SIGTERM at a real process: exit 130, one word, nothing left behind, the earlier output as it was."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from tests.pipeline.command import COMMAND, EARLIER, SMALL, contents, environment, save, write
from tests.pipeline.plugin import install

WAIT_S = 60.0
"""Most seconds that a busy machine may take to get somewhere."""

SLEEPER = """
from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from graphopt import Context, Model, Pass, PassResult


@dataclass(frozen=True)
class Sleep(Pass):
    name: ClassVar[str] = "sleep"

    def apply(self, model: Model, context: Context) -> PassResult:
        model.graph.nodes.popitem()
        Path("started").touch()
        time.sleep(600)
        return PassResult(True)
"""

RECIPE = """
[[pass]]
use = "apply-rules"

[[pass]]
use = "sleep"
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with a model, a recipe that never ends, and what an earlier run wrote."""
    install(tmp_path / "site", "sleeper", SLEEPER, {"graphopt.passes": {"sleep": "sleeper:Sleep"}})
    place = write(tmp_path / "work", {f"out/{name}": content for name, content in EARLIER.items()})
    save(SMALL, place / "model.onnx")
    (place / "sleep.toml").write_text(RECIPE)
    (tmp_path / "tmp").mkdir()
    return place


def start(folder: Path, *arguments: str) -> subprocess.Popen[str]:
    """A command under way, its temporary files in a folder of their own."""
    return subprocess.Popen(
        [*COMMAND, "compile", "model.onnx", *arguments],
        cwd=folder,
        env=environment([folder.parent / "site"], TMPDIR=str(folder.parent / "tmp")),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def wait_for(what: str, happened: object, process: subprocess.Popen[str]) -> None:
    assert callable(happened)
    deadline = time.monotonic() + WAIT_S
    while not happened():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline, f"{what} did not happen"
        time.sleep(0.02)


def end(process: subprocess.Popen[str]) -> tuple[int, str, str]:
    out, err = process.communicate(timeout=WAIT_S)
    return process.returncode, out, err


CASES = [
    pytest.param(signal.SIGINT, "out", id="Ctrl-C over an earlier run"),
    pytest.param(signal.SIGTERM, "new/out", id="SIGTERM into a new folder"),
]


@pytest.mark.parametrize(("number", "output"), CASES)
def test_in_the_middle_of_a_pass(folder: Path, number: signal.Signals, output: str) -> None:
    before = contents(folder)
    process = start(folder, "-o", output, "--recipe", "sleep.toml")
    wait_for("the pass", (folder / "started").exists, process)
    os.kill(process.pid, number)
    assert end(process) == (130, "", "interrupted\n")
    (folder / "started").unlink()
    assert contents(folder) == before
    assert contents(folder.parent / "tmp") == {}


def test_an_impatient_user(folder: Path) -> None:
    """Who presses Ctrl-C again does not stop us from cleaning up."""
    before = contents(folder)
    process = start(folder, "-o", "new/out", "--recipe", "sleep.toml")
    wait_for("the pass", (folder / "started").exists, process)
    while process.poll() is None:
        os.kill(process.pid, signal.SIGINT)
        time.sleep(0.001)
    assert end(process)[0] == 130
    (folder / "started").unlink()
    assert contents(folder) == before
    assert contents(folder.parent / "tmp") == {}


def test_json_says_so_too(folder: Path) -> None:
    process = start(folder, "-o", "out", "--recipe", "sleep.toml", "--json")
    wait_for("the pass", (folder / "started").exists, process)
    os.kill(process.pid, signal.SIGINT)
    code, out, err = end(process)
    assert (code, err) == (130, "interrupted\n")
    assert '"exit_code": 130' in out


def interrupt_after(folder: Path, seconds: float) -> None:
    """Whenever it comes: all is as before, or the run was quicker and all is new."""
    before = contents(folder)
    process = start(folder, "-o", "out", "--check", "each")
    time.sleep(seconds)
    os.kill(process.pid, signal.SIGINT)
    code, _, err = end(process)
    after = contents(folder)
    if code == 0 or after != before:
        assert onnx.load_from_string(after["out/model.onnx"] or b"").graph.node
        assert set(after) == set(before)
        assert not any(after[f"out/{name}"] == old for name, old in EARLIER.items() if name != "notes.txt")
    else:
        assert code in (130, -signal.SIGINT)  # before the first line of ours Python ends by the signal itself
        assert err.endswith("interrupted\n") or code < 0 or "Traceback" not in err
    assert contents(folder.parent / "tmp") == {}


@pytest.mark.parametrize("seconds", [0.5, 1.5, 2.5])
def test_at_any_moment(folder: Path, seconds: float) -> None:
    interrupt_after(folder, seconds)


@pytest.mark.slow
@pytest.mark.parametrize("step", range(80))
def test_at_many_moments(folder: Path, step: int) -> None:
    interrupt_after(folder, step * 0.05)


def many_convs(path: Path) -> Path:
    """A network that takes an engine builder a while: every Conv is of other sizes."""
    random = np.random.default_rng(0)
    channels = [8 + 8 * int(c) for c in random.permutation(40)]
    nodes, weights = [], []
    for number, (taken, made) in enumerate(zip([3, *channels], channels, strict=False)):
        weights.append(
            numpy_helper.from_array(random.standard_normal((made, taken, 3, 3)).astype(np.float32), f"w{number}")
        )
        nodes.append(helper.make_node("Conv", [f"v{number}", f"w{number}"], [f"c{number}"], pads=[1] * 4))
        nodes.append(helper.make_node("Sigmoid", [f"c{number}"], [f"v{number + 1}"]))
    x = helper.make_tensor_value_info("v0", TensorProto.FLOAT, [1, 3, 33, 31])
    y = helper.make_tensor_value_info(f"v{len(channels)}", TensorProto.FLOAT, [1, channels[-1], 33, 31])
    graph = helper.make_graph(nodes, "convs", [x], [y], weights)
    onnx.save(helper.make_model(graph, ir_version=8, opset_imports=[helper.make_opsetid("", 17)]), path)
    return path


def builder_of(process: subprocess.Popen[str]) -> int | None:
    """The process in which an engine is built, once it has written something big into its memory: it is building."""
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
    for child in children.read_text().split() if children.exists() else ():
        try:
            words = Path(f"/proc/{child}/cmdline").read_bytes()
            pages = int(Path(f"/proc/{child}/statm").read_text().split()[1])
        except OSError:
            continue
        if b"tensorrt_child" in words and pages > 50_000:
            return int(child)
    return None


@pytest.mark.skipif(find_spec("tensorrt_rtx") is None, reason="the engine builder is not installed")
@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="child processes are looked up in /proc")
def test_while_an_engine_is_built(folder: Path) -> None:
    many_convs(folder / "model.onnx")
    before = contents(folder)
    process = start(folder, "-o", "out", "--target", "tensorrt-rtx", "--check", "none")
    wait_for("the build", lambda: builder_of(process) is not None, process)
    builder = builder_of(process)
    os.killpg(process.pid, signal.SIGINT)  # as a terminal does: to the whole group
    assert end(process) == (130, "", "interrupted\n")
    assert contents(folder) == before
    assert contents(folder.parent / "tmp") == {}
    assert not Path(f"/proc/{builder}").exists()
