"""Samples from a Python file."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

from graphopt.data.sources import open_source
from graphopt.errors import DataError
from graphopt.graph.dtypes import DType
from graphopt.graph.interface import Interface, TensorSpec

ONE = Interface((TensorSpec("x", DType.float32, (2,)),), ())

GOOD = """
import numpy as np
from neighbour import VALUE
print("loading")
def load_data():
    for i in range(3):
        from neighbour import VALUE as again
        print("sample", i)
        yield {"x": np.full(2, i * again, np.float32)}
def other():
    return [{"x": np.zeros(2, np.float32)}]
"""


def script(folder: Path, text: str) -> Path:
    path = folder / "samples.py"
    path.write_text(text)
    return path


def refusal(spec: str | Path) -> str:
    with pytest.raises(DataError) as caught:
        list(open_source(spec, ONE))
    return str(caught.value)


def test_a_generator_that_imports_its_neighbour(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "neighbour.py").write_text("VALUE = 2")
    source = open_source(script(tmp_path, GOOD), ONE)
    before = list(sys.path)
    try:
        samples = list(source)
    finally:
        sys.modules.pop("neighbour", None)
    assert [np.asarray(s.arrays["x"]).tolist() for s in samples] == [[0, 0], [2, 2], [4, 4]]
    assert samples[2].name == f"{tmp_path / 'samples.py'}:load_data[2]"
    assert sys.path == before
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err == "loading\nsample 0\nsample 1\nsample 2\n"


def test_another_function_and_a_list(tmp_path: Path) -> None:
    (tmp_path / "neighbour.py").write_text("VALUE = 2")
    path = script(tmp_path, GOOD)
    try:
        assert len(list(open_source(f"{path}:other", ONE))) == 1
    finally:
        sys.modules.pop("neighbour", None)


def test_it_is_called_anew_for_each_iteration(tmp_path: Path) -> None:
    source = open_source(script(tmp_path, "import numpy\ndef load_data():\n  yield {'x': numpy.zeros(2, 'f')}"), ONE)
    assert [len(list(source)), len(list(source))] == [1, 1]


def test_a_missing_function(tmp_path: Path) -> None:
    path = script(tmp_path, "")
    assert refusal(path) == (
        f"{path} defines no function 'load_data'\n"
        "  help: define `def load_data():` that yields a dict of arrays by input name for each sample, "
        "or name another function with FILE.py:FUNCTION"
    )


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "def load_data(:",
            "the data script failed: SyntaxError: invalid syntax (samples.py, line 1)\n  at: samples.py:1",
        ),
        (
            "import nothing_of_that_name",
            "the data script failed: ModuleNotFoundError: No module named 'nothing_of_that_name'\n  at: samples.py:1",
        ),
        ("def load_data():\n    yield {}[1]", "the data script failed: KeyError: 1\n  at: samples.py:2"),
        ("def load_data():\n    raise SystemExit(3)", "the data script failed: SystemExit: 3\n  at: samples.py:2"),
    ],
)
def test_faults_of_the_script_are_told_with_their_line(tmp_path: Path, text: str, message: str) -> None:
    assert refusal(script(tmp_path, text)) == message


def test_what_is_no_series_of_dicts(tmp_path: Path) -> None:
    path = script(tmp_path, "def load_data():\n    return 3")
    assert refusal(path) == (
        f"the function gives int, not a series of dicts\n  at: {path}:load_data\n"
        "  help: yield one dict of arrays by input name for each sample"
    )
    path = script(tmp_path, "def load_data():\n    return {}")
    assert refusal(path).startswith("the function gives dict, not a series of dicts\n")
    path = script(tmp_path, "def load_data():\n    yield [1]")
    assert refusal(path) == f"the function gives list, not a dict of arrays by input name\n  at: {path}:load_data[0]"


def test_samples_are_checked(tmp_path: Path) -> None:
    path = script(tmp_path, "def load_data():\n    yield {'x': [1.0, 2.0]}")
    assert refusal(path) == (
        f"input 'x' is float64, and the model takes float32\n  at: {path}:load_data[0]\n"
        "  help: convert it where it is made, for instance with .astype('float32'), if that is what is meant"
    )
