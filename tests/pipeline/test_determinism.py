"""The same model and recipe give the same bytes, whatever the process."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import onnx
import pytest

import graphopt
from tests.pipeline.command import environment
from tests.traps.odd_graphs import odd_graph

SEEDS = (12, 37, 58, 71)
"""Of models in which, between them, most rules fire and constants of every form are folded."""

COMPILE_ALL = """
import sys
from pathlib import Path
import graphopt
for path in sorted(Path("models").glob("*.onnx")):
    graphopt.compile(path, Path(sys.argv[1]) / path.stem, check=sys.argv[2])
"""

TIMES = {"microseconds", "seconds", "time"}


def without_times(document: Any) -> Any:
    if isinstance(document, dict):
        return {k: without_times(v) for k, v in document.items() if k not in TIMES and k != "output"}
    return [without_times(v) for v in document] if isinstance(document, list) else document


def results(folder: Path) -> dict[str, Any]:
    """Of every compiled model: its bytes, its journal and its report without times."""
    found: dict[str, Any] = {}
    for path in sorted(folder.rglob("*")):
        name = str(path.relative_to(folder))
        if path.suffix == ".jsonl":
            found[name] = [without_times(json.loads(line)) for line in path.read_text().splitlines()]
        elif path.suffix == ".json":
            found[name] = without_times(json.loads(path.read_text()))
        elif path.is_file():
            found[name] = path.read_bytes()
    return found


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("determinism")
    (place / "models").mkdir()
    for seed in SEEDS:
        onnx.save(odd_graph(seed), place / "models" / f"{seed}.onnx")
    return place


def compile_all(folder: Path, name: str, check: str, hash_seed: str) -> dict[str, Any]:
    subprocess.run(
        [sys.executable, "-c", COMPILE_ALL, name, check],
        cwd=folder,
        env=environment(PYTHONHASHSEED=hash_seed),
        check=True,
    )
    return results(folder / name)


def test_the_order_of_sets_and_dicts_matters_to_nothing(folder: Path) -> None:
    first, second, third = (compile_all(folder, f"seed{s}", "none", s) for s in ("0", "1", "4242"))
    assert first == second == third
    assert len(first) == len(SEEDS) * 4  # model, journal, report and sidecar
    assert all(isinstance(first[f"{seed}/model.onnx"], bytes) for seed in SEEDS)
    assert any(first[f"{seed}/journal.jsonl"] for seed in SEEDS)


def test_checking_changes_nothing_in_the_model(folder: Path) -> None:
    checked = compile_all(folder, "checked", "each", "0")
    unchecked = compile_all(folder, "unchecked", "none", "0")
    for seed in SEEDS:
        for file in ("model.onnx", "journal.jsonl"):
            assert checked[f"{seed}/{file}"] == unchecked[f"{seed}/{file}"]


def test_a_compiled_model_compiles_to_itself(folder: Path, tmp_path: Path) -> None:
    """Nothing is left to do, and nothing is undone."""
    for seed in SEEDS:
        graphopt.compile(folder / "models" / f"{seed}.onnx", tmp_path / "once", check="none")
        graphopt.compile(tmp_path / "once" / "model.onnx", tmp_path / "twice", check="none")
        assert (tmp_path / "once" / "model.onnx").read_bytes() == (tmp_path / "twice" / "model.onnx").read_bytes()
        assert (tmp_path / "twice" / "journal.jsonl").read_bytes() == b""
