"""The wheel has all in it: installed in an environment of its own, away from the tree, it compiles a model."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import sysconfig
import venv
import zipfile
from pathlib import Path

import numpy as np
import onnx
import onnx.parser
import onnxruntime
import pytest

ROOT = Path(__file__).parents[2]
SOURCES = ("graphopt", "passes", "rules")
SHIPPED = (".py", ".lark", ".toml", ".json", ".rules", ".typed")

MODEL = """
<ir_version: 8, opset_import: ["" : 17]>
conv_bn (float[1, 3, 8, 8] x) => (float[1, 4, 6, 6] y) {
    conv = Conv (x, w)
    y = BatchNormalization (conv, scale, bias, mean, variance)
}
"""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built from a copy: setuptools leaves its scratch folders beside the sources."""
    copy, built = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("built")
    for name in SOURCES:
        shutil.copytree(ROOT / name, copy / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "LICENSE", "README.md"):
        shutil.copy(ROOT / name, copy)
    run(sys.executable, "-m", "pip", "wheel", "--no-deps", "--no-build-isolation", "--wheel-dir", str(built), str(copy))
    (found,) = built.glob("*.whl")
    return found


@pytest.fixture(scope="module")
def environment(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An environment with nothing but the wheel; its dependencies are lent from the one that runs this test.

    A path that a .pth file adds has its own .pth files ignored, so an editable install of the tree is not lent with it.
    """
    folder = tmp_path_factory.mktemp("environment") / "venv"
    venv.create(folder, symlinks=True)
    run(sys.executable, "-m", "pip", "--python", str(folder), "install", "--no-deps", "--no-index", str(wheel))
    (site_packages(folder) / "lent.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return folder


def site_packages(folder: Path) -> Path:
    (found,) = folder.glob("lib/python*/site-packages")
    return found


def run(*command: str, cwd: Path | None = None) -> str:
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_every_source_is_in_the_wheel(wheel: Path) -> None:
    inside = {name for name in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in name}
    sources = {
        str(path.relative_to(ROOT)) if name == "graphopt" else f"graphopt/{path.relative_to(ROOT)}"
        for name in SOURCES
        for path in (ROOT / name).rglob("*")
        if path.suffix in SHIPPED
    }
    assert sources - inside == set(), "is the folder in pyproject.toml's [tool.setuptools] packages?"
    assert inside - sources == set()


def test_rules_and_passes_come_from_the_wheel(environment: Path, tmp_path: Path) -> None:
    program = (
        "import graphopt.passes, graphopt.rules, importlib.resources\n"
        "print(graphopt.passes.__file__)\n"
        "for path in sorted(importlib.resources.files('graphopt.rules').rglob('*.rules')): print(path)\n"
    )
    passes, *rules = run(str(environment / "bin" / "python"), "-c", program, cwd=tmp_path).splitlines()
    installed = site_packages(environment) / "graphopt"
    assert passes == str(installed / "passes" / "__init__.py")
    assert rules == sorted(str(installed / path.relative_to(ROOT)) for path in (ROOT / "rules").rglob("*.rules"))
    assert rules != []


def test_the_command_folds_a_batch_normalization(environment: Path, tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    model = onnx.parser.parse_model(MODEL)
    shapes = {"w": (4, 3, 3, 3), "scale": (4,), "bias": (4,), "mean": (4,), "variance": (4,)}
    for name, shape in shapes.items():
        array = random.uniform(0.5, 1.5, shape).astype(np.float32)
        model.graph.initializer.append(onnx.numpy_helper.from_array(array, name))
    onnx.save(model, tmp_path / "model.onnx")

    run(str(environment / "bin" / "graphopt"), "compile", "model.onnx", "-o", "out", cwd=tmp_path)

    folded = onnx.load(tmp_path / "out" / "model.onnx")
    assert [node.op_type for node in folded.graph.node] == ["Conv"]
    journal = [json.loads(line) for line in (tmp_path / "out" / "journal.jsonl").read_text("utf-8").splitlines()]
    assert [entry["rule"].split("@")[0] for entry in journal] == ["conv_bn_fold"]
    x = random.standard_normal((1, 3, 8, 8)).astype(np.float32)
    before, after = (
        onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"]).run(None, {"x": x})[0]
        for path in (tmp_path / "model.onnx", tmp_path / "out" / "model.onnx")
    )
    # Sums of 27 products of about 1, rounded in another order: 27 * 2**-24 of their magnitudes (at most about 40) is
    # 6.4e-5; measured 4e-6.
    np.testing.assert_allclose(after, before, rtol=0, atol=6.4e-5)
