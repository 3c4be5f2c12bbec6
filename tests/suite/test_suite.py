"""A small suite from beginning to end: what holds, what got worse, what breaks, and what CI is told."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest

from graphopt.errors import UsageError
from graphopt.suite import runner
from graphopt.suite.cache import ResultCache
from graphopt.suite.cases import Case, cases_of
from graphopt.suite.definition import load_suite
from graphopt.suite.lock import changes, lock_path, read_lock
from graphopt.suite.quality import label_figures, top1_agreement
from graphopt.suite.run import CaseResult
from graphopt.suite.runner import run_suite
from tests.pipeline.command import here, save

MODEL = """<ir_version: 8, opset_import: ["" : 17]>
main (float[n,4] x) => (float[n,4] y) { i = Identity(x)  a = Relu(i)  y = Abs(a) }"""

SUITE = """
[[entry]]
name = "small"
models = ["models/*.onnx", "made.py:two"]
shapes = [{x = "1x4"}, {x = "3x4"}]
expect = {max-nodes = 2, min-cosine = 0.999}
"""

MADE = """
import onnx.parser
def two():
    text = '<ir_version: 8, opset_import: ["" : 17]> g (float[n,4] x) => (float[n,4] y) {y = Neg(x)}'
    return onnx.parser.parse_model(text)
def total(original, compiled):
    return sum(abs(a["y"] - b["y"]).sum() for a, b in zip(original, compiled))
"""

WRONG = """
opset >= 7
phase fold

rule relu_is_nothing:
    "Relu is its input."
    equal exact
    match:
        y = Relu(x)
    rewrite:
        y = x
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("GRAPHOPT_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(runner, "in_processes", here_and_now)
    (tmp_path / "models").mkdir()
    save(MODEL, tmp_path / "models" / "first.onnx")
    (tmp_path / "made.py").write_text(MADE)
    (tmp_path / "suite.toml").write_text(SUITE)
    (tmp_path / "wrong.rules").write_text(WRONG)
    return tmp_path


def here_and_now(items: Iterable[Case], work: Any, **options: Any) -> Iterator[tuple[Case, CaseResult]]:
    """In this process, for the sake of time; processes are tested by themselves."""
    assert options["jobs"] >= 1
    for item in items:
        yield item, work(item, lambda _: None)


def suite(folder: Path, text: str) -> Path:
    path = folder / "suite.toml"
    path.write_text(text)
    return path


NAMES = [f"small/{model}/default/onnxruntime/shapes{n}" for model in ("first", "two") for n in (0, 1)]


def test_cases_are_every_combination(folder: Path) -> None:
    path = folder / "suite.toml"
    assert [c.name for c in cases_of(load_suite(path), folder)] == NAMES
    assert [c.name for c in cases_of(load_suite(path), folder, "*/two/*1")] == [NAMES[3]]
    assert [c.name for c in cases_of(load_suite(path), folder, "first")] == NAMES[:2]


def test_a_suite_on_the_command_line(folder: Path) -> None:
    """It is written down with --update, holds, is taken from the cache, and fails when the model got larger."""
    arguments = ["parity", "run", "suite.toml"]
    ended = here(*arguments, "--update", folder=folder)
    assert (ended.code, ended.err) == (0, "")
    locked = json.loads((folder / "suite.lock").read_text())
    assert sorted(locked["cases"]) == NAMES
    assert locked["cases"][NAMES[0]]["nodes"] == 2
    ended = here(*arguments, "--json", "--junit", "junit.xml", folder=folder)
    document = json.loads(ended.out)
    assert (ended.code, document["ok"], document["worse"], document["new"]) == (0, True, [], [])
    assert all(case["cached"] for case in document["cases"])
    tree = ElementTree.parse(folder / "junit.xml").getroot()
    assert (tree.get("tests"), tree.get("failures"), tree.get("errors")) == ("4", "0", "0")
    before = (folder / "suite.lock").read_bytes()
    save(MODEL.replace("Abs(a)", "Neg(b)").replace("y =", "b = Exp(a)  y ="), folder / "models" / "first.onnx")
    ended = here(*arguments, "--reproductions", "left", "--filter", "first", folder=folder)
    assert ended.code == 1
    assert f"{NAMES[0]}: nodes is 3, at most 2 is expected" in ended.out.splitlines()
    assert f"worse: {NAMES[0]}: nodes 2 -> 3" in ended.out.splitlines()
    assert ended.err.startswith("error: 2 of 2 cases fail, ")
    left = folder / "left" / "small_first_default_onnxruntime_shapes0"
    assert sorted(p.name for p in left.iterdir()) == ["command.txt", "inputs", "model.onnx"]
    assert (left / "command.txt").read_text().startswith("graphopt compile model.onnx -o out --target onnxruntime ")
    assert (folder / "suite.lock").read_bytes() == before


def test_a_wrong_rule_is_named(folder: Path) -> None:
    path = suite(folder, SUITE.replace("shapes =", 'rules = ["wrong.rules"]\nshapes ='))
    found = run_suite(path, pattern="first/default/onnxruntime/shapes0", cache=None, reproductions=folder / "left")
    (result,) = found.results
    assert not found.ok
    assert result.problems[0].startswith("output 'y': ")
    assert any("the rule relu_is_nothing@" in problem for problem in result.problems)
    command = (found.reproductions[result.name] / "command.txt").read_text()
    assert "--rules" in command


def test_figures_of_the_user_and_labels(folder: Path) -> None:
    np.save(folder / "x.npy", np.eye(4, dtype=np.float32))
    np.save(folder / "labels.npy", np.array([0, 1, 2, 0]))
    text = """
[[entry]]
name = "one"
models = ["models/first.onnx"]
data = ["x.npy"]
expect = {min-top1-agreement = 1.0}
metrics = [{name = "total", use = "made.py:total", max = 0.0}]
labels = {file = "labels.npy", min-top1 = 0.7, min-f1 = 0.9, max-drop = 0.0}
"""
    (result,) = run_suite(suite(folder, text)).results
    assert result.error is None
    # the fourth row is of class 0 and is taken for class 3: F1 of the classes is 2/3, 1, 1, 0
    assert result.figures["top1"] == result.figures["top1-original"] == 0.75
    assert result.figures["f1"] == pytest.approx(8 / 3 / 4)
    assert (result.figures["total"], result.figures["top1-agreement"]) == (0.0, 1.0)
    assert result.problems == ("f1 is 0.666667, at least 0.9 is expected",)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "[[entry]]\nname = 'a'\nmodels = ['m']\nshape = []",
            "a suite has no key 'shape' here\n  at: {path}, entry.0\n  help: did you mean 'shapes'?",
        ),
        ("entry = 3", "entry: Input should be a valid list\n  at: {path}"),
        (
            "[[entry]]\nname = 'a'\nmodels = ['m']\nexpect = {max-nods = 1}",
            "a suite has no key 'max-nods' here\n  at: {path}, entry.0.expect\n  help: did you mean 'max-nodes'?",
        ),
        (
            "[[entry]]\nname = 'a'\nmodels = ['m']\ncontract = 'nearly'",
            "nearly is no contract\n  at: {path}, entry a\n  help: write exact, real, approx(ERROR) or quant",
        ),
        ("[[entry]]\nname = 'a'\nmodels = ['models/none*']", "models/none* finds no model\n  at: entry a"),
        ("[", "the suite is not TOML: Invalid initial character for a key part (at end of document)\n  at: {path}"),
    ],
)
def test_what_a_suite_cannot_say(folder: Path, text: str, message: str) -> None:
    path = suite(folder, text)
    with pytest.raises(UsageError) as error:
        cases_of(load_suite(path), folder)
    assert str(error.value) == message.format(path=path)


def test_what_changed(folder: Path) -> None:
    def result(name: str, **figures: float) -> CaseResult:
        return CaseResult(name, {key.replace("_", "-"): value for key, value in figures.items()})

    locked = {
        "a": {"nodes": 5.0, "max-rel": 1e-7, "sqnr": 120.0},
        "b": {"nodes": 5.0, "cosine": 1.0},
        "gone": {"nodes": 1.0},
    }
    results = [
        result("b", nodes=4, cosine=0.99),
        result("a", nodes=5, max_rel=1.5e-7, sqnr=119.0),
        result("c", nodes=1),
    ]
    found = changes(results, locked, whole=True)
    assert found.worse == ("b: cosine 1 -> 0.99",)
    assert found.better == ("b: nodes 5 -> 4",)
    assert (found.new, found.gone) == (("c: nodes 1",), ("gone",))
    assert changes([result("a", nodes=5, max_rel=3e-7, sqnr=100.0)], locked, whole=False).worse == (
        "a: max-rel 1e-07 -> 3e-07",
        "a: sqnr 120 -> 100",
    )


def test_the_pytest_plugin(folder: Path) -> None:
    """In processes, as it is meant."""
    here("parity", "run", "suite.toml", "--update", folder=folder)
    locked = json.loads((folder / "suite.lock").read_text())
    locked["cases"][NAMES[1]]["nodes"] = 1
    (folder / "suite.lock").write_text(json.dumps(locked))
    ended = plugin(folder, "-k", "first")
    assert ended.returncode == 1
    assert "1 failed, 1 passed" in ended.stdout
    assert f"{NAMES[1]}: nodes 1 -> 2" in ended.stdout
    kept = folder / "build" / "graphopt-suite" / NAMES[1].replace("/", "_")
    assert f"to reproduce: {kept}\n" in ended.stdout
    assert (kept / "model.onnx").is_file()


def test_the_pytest_plugin_and_a_suite_that_is_none(tmp_path: Path) -> None:
    (tmp_path / "suite.toml").write_text("[[entries]]\n")
    ended = plugin(tmp_path)
    assert ended.returncode == 2
    assert f"entry: Field required\n  at: {tmp_path / 'suite.toml'}\n" in ended.stdout


def plugin(folder: Path, *more: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--graphopt-suite", "suite.toml", *more]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)


def test_a_run_that_was_interrupted_goes_on(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each finished case is in the cache before the next one is."""

    def interrupted(*given: Any, **more: Any) -> Any:
        for index, pair in enumerate(here_and_now(*given, **more)):
            if index == 2:
                raise KeyboardInterrupt
            yield pair

    monkeypatch.setattr(runner, "in_processes", interrupted)
    with pytest.raises(KeyboardInterrupt):
        run_suite(folder / "suite.toml", cache=ResultCache())
    monkeypatch.setattr(runner, "in_processes", here_and_now)
    found = run_suite(folder / "suite.toml", cache=ResultCache())
    assert [result.cached for result in found.results] == [True, True, False, False]
    assert read_lock(lock_path(folder / "suite.toml")) == {}


def test_figures_of_classifiers() -> None:
    scores = np.array([[3, 1, 0, 0, 0, 0.5], [0, 1, 2, 3, 4, 5], [1, 2, 0, 0, 0, 0]], np.float32)
    found = label_figures(scores, np.array([0, 0, 1]))
    assert (found["top1"], found["top5"]) == (2 / 3, 2 / 3)
    # class 0: 1 of 1 said, 1 of 2 there; class 1: 1 of 1, 1 of 1; class 5: 0 of 1, 0 of 0
    assert found["precision"] == pytest.approx(2 / 3)
    assert found["recall"] == pytest.approx(1.5 / 3)
    assert found["f1"] == pytest.approx((2 / 3 + 1 + 0) / 3)
    assert top1_agreement(scores, scores[::-1]) == 1 / 3
