from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def _run(*arguments: str) -> tuple[int, str]:
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.optimize", *arguments], cwd=ROOT, capture_output=True, text=True
    )
    return done.returncode, done.stderr


def test_a_model_that_is_not_there_is_named(tmp_path: Path) -> None:
    assert _run(str(tmp_path / "no.onnx")) == (2, f"error: {tmp_path / 'no.onnx'} is no file\n")


def test_a_folder_without_models_is_named(tmp_path: Path) -> None:
    assert _run(str(tmp_path)) == (2, f"error: there are no models in {tmp_path}\n")


def test_two_models_of_one_name_are_told_apart_by_nobody(tmp_path: Path) -> None:
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "toy.onnx").write_bytes(b"")
    assert _run(str(tmp_path / "a"), str(tmp_path / "b")) == (2, "error: two models are called toy\n")


def test_a_document_without_marks_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "doc.md"
    path.write_text("text\n")
    code, said = _run("--into", str(path))
    assert code == 2
    assert said == (
        f"error: {path} has no lines '<!-- optimize: tables from here -->' and '<!-- optimize: tables to here -->'"
        " for the tables to go between\n"
    )
    assert path.read_text() == "text\n"
