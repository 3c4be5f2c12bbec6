"""`graphopt export` as users run it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import onnx
import pytest

from graphopt.cli import run

ROOT = Path(__file__).parents[2]

NET = """
import os, sys, time
import torch
from torch import nn

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.conv = nn.Conv2d(3, 4, 3)
        self.norm = nn.BatchNorm2d(4)

    def forward(self, x):
        print("forward runs")
        return torch.relu(self.norm(self.conv(x)))

def make():
    print("factory runs", flush=True)
    os.system("echo child of the factory")
    return Net(), torch.ones(1, 3, 8, 8)

class Slow(nn.Module):
    calls = 0
    def forward(self, x):
        Slow.calls += 1
        if Slow.calls > 1:  # the first is the run on the example, the second the export
            open("exporting", "w").close()
            time.sleep(60)
        return x + 1

def slow():
    return Slow(), torch.ones(2)
"""


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "project"
    folder.mkdir()
    (folder / "some_net.py").write_text(NET)
    monkeypatch.chdir(folder)
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.delitem(sys.modules, "some_net", raising=False)
    monkeypatch.setenv("GRAPHOPT_CACHE", str(tmp_path / "cache"))
    return folder


def child(*arguments: str, before: str = "", seed: int = 0) -> subprocess.Popen[str]:
    code = f"import sys\n{before}\nfrom graphopt.cli import main\nmain()"
    return subprocess.Popen(
        [sys.executable, "-P", "-c", code, *arguments],
        env={**os.environ, "PYTHONPATH": str(ROOT), "PYTHONHASHSEED": str(seed)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_processes_write_the_same_bytes_and_one_document(project: Path) -> None:
    """Two at once, into one cache, each with another seed for its hashes; a third takes what they kept."""
    dynamic = ("--dynamic", "x=0:batch")
    running = [child("export", "some_net:make", "-o", f"{n}.onnx", *dynamic, "--json", seed=n) for n in (1, 2)]
    ended = [process.communicate(timeout=120) for process in running]
    assert [process.returncode for process in running] == [0, 0]
    first, second = (json.loads(out) for out, _ in ended)
    assert all(err == "factory runs\nchild of the factory\n" for _, err in ended)
    assert (project / "1.onnx").read_bytes() == (project / "2.onnx").read_bytes()
    assert first["schema"] == "graphopt.export/1"
    assert (first["key"], first["sha256"]) == (second["key"], second["sha256"])
    assert first["inputs"] == ["x: float32[batch,3,8,8]"]
    third = child("export", "some_net:make", "-o", "3.onnx", *dynamic, "--json", seed=3)
    found = json.loads(third.communicate(timeout=120)[0])
    assert found == {**first, "path": "3.onnx", "cached": True, "cache_note": None}
    assert (project / "3.onnx").read_bytes() == (project / "1.onnx").read_bytes()


def test_what_is_shown_to_people(project: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert run(["export", "some_net:make", "-o", "m.onnx", "--exporter", "legacy"]) == 0
    out, err = capfd.readouterr()
    lines = [line.rstrip() for line in out.splitlines()]
    assert lines[:4] == [
        f"m.onnx: made by torch's legacy exporter, opset {onnx.load('m.onnx').opset_import[0].version}",
        "  input  x: float32[1,3,8,8]",
        "  output output: float32[1,4,6,6]",
        "beside the module, on 1 inputs",
    ]
    assert err == "factory runs\nchild of the factory\n"
    assert run(["export", "some_net:make", "-o", "m.onnx", "--exporter", "legacy"]) == 0
    assert "m.onnx: taken from the cache, made by torch's legacy exporter" in capfd.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["some_net:mak"], "some_net has no 'mak'\n  help: did you mean 'make'?"),
        (
            ["some_net:make", "-o", "."],
            "cannot write .: it is a folder\n  help: name the file to write, such as model.onnx",
        ),
        (
            ["some_net:make", "--exporter", "fx"],
            "there is no exporter 'fx'\n  help: choose auto, dynamo, legacy",
        ),
        (
            ["some_net:make", "--dynamic", "x"],
            "--dynamic 'x' names no input\n  help: write NAME=AXIS:SIZE, such as x=0:batch or x=0:batch,2:height",
        ),
        (
            ["some_net:make", "--opset", "99"],
            f"opset 99 cannot be exported\n  help: choose one from 7 to {onnx.defs.onnx_opset_version()}",
        ),
    ],
)
def test_bad_usage_ends_with_2(
    project: Path, capfd: pytest.CaptureFixture[str], arguments: list[str], text: str
) -> None:
    output = [] if "-o" in arguments else ["-o", "m.onnx"]
    assert run(["export", *arguments, *output]) == 2
    out, err = capfd.readouterr()
    assert out == ""
    assert err.removeprefix("factory runs\nchild of the factory\n") == f"error: {text}\n"
    assert sorted(p.name for p in project.iterdir() if p.is_file()) == ["some_net.py"]


@pytest.mark.parametrize(
    ("before", "text"),
    [
        (
            "sys.modules['torch'] = None",
            "error: exporting needs torch, which is not installed\n  help: pip install 'graphopt[torch]'\n",
        ),
        (
            "sys.path.insert(0, 'broken')",
            "error: torch is installed, and cannot be loaded: libtorch.so is missing\n  help: install it again\n",
        ),
    ],
)
def test_without_torch_it_ends_with_3(project: Path, before: str, text: str) -> None:
    (project / "broken").mkdir()
    (project / "broken" / "torch.py").write_text("raise ImportError('libtorch.so is missing')")
    process = child("export", "some_net:make", "-o", "m.onnx", before=before)
    assert process.communicate(timeout=60) == ("", text)
    assert process.returncode == 3


def test_without_onnxscript_the_legacy_exporter_takes_over(project: Path) -> None:
    process = child("export", "some_net:make", "-o", "m.onnx", "--json", before="sys.modules['onnxscript'] = None")
    found = json.loads(process.communicate(timeout=60)[0])
    assert (found["exporter"], process.returncode) == ("legacy", 0)
    assert found["fallback"] == "it needs onnxscript, which is not installed: pip install 'graphopt[torch]'"


def test_an_interrupt_leaves_the_previous_file_and_nothing_else(project: Path) -> None:
    (project / "m.onnx").write_bytes(b"before")
    process = child("export", "some_net:slow", "-o", "m.onnx")
    deadline = time.monotonic() + 60
    while not (project / "exporting").exists() and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    assert process.communicate(timeout=60) == ("", "interrupted\n")
    assert process.returncode == 130
    assert (project / "m.onnx").read_bytes() == b"before"
    assert {p.name for p in project.iterdir()} - {"__pycache__"} == {"exporting", "m.onnx", "some_net.py"}
