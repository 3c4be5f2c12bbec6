"""graphopt calibrate."""

from __future__ import annotations

import json
import threading
from pathlib import Path

import numpy as np
import onnx
import onnx.parser
import pytest

from graphopt.calibration.statistics import Statistics
from graphopt.cli import run

MODEL = """<ir_version: 8, opset_import: ["" : 17]> g (float[n,2] x) => (float[n,2] y) {
    l = Log (x)
    y = Relu (l)
}"""


@pytest.fixture
def model(tmp_path: Path) -> Path:
    path = tmp_path / "model.onnx"
    path.write_bytes(onnx.parser.parse_model(MODEL).SerializeToString())
    return path


def samples(folder: Path, *rows: list[float]) -> Path:
    folder.mkdir()
    for number, row in enumerate(rows):
        np.save(folder / f"{number}.npy", np.array([row], np.float32))
    return folder


def text(capsys: pytest.CaptureFixture[str]) -> tuple[str, str]:
    shown = capsys.readouterr()
    return shown.out, shown.err


def test_the_document_and_the_file(model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data, stats = samples(tmp_path / "data", [1, np.e], [0.5, 4]), tmp_path / "a.stats"
    assert run(["calibrate", str(model), "--data", str(data), "-o", str(stats), "--json"]) == 0
    out, err = text(capsys)
    assert err == ""
    document = json.loads(out)
    assert (document["schema"], document["samples"], document["left_out"]) == ("graphopt.calibrate/1", 2, [])
    assert [t["name"] for t in document["tensors"]] == ["x", "l", "y"]
    x = document["tensors"][0]
    thresholds = x.pop("thresholds")
    assert x == {
        "name": "x",
        "count": 4,
        "zeros": 0,
        "minimum": 0.5,
        "maximum": 4.0,
        "not_finite": 0,
        "not_finite_in": None,
        "channels": {"axis": 1, "size": 2},
    }
    assert list(thresholds) == [
        *("mse", "percentile 99.9", "percentile 99.99", "percentile 99.999", "percentile 99.9999", "entropy", "max")
    ]
    assert thresholds["max"] == 4.0
    assert document["model"] == Statistics.load(stats).model


def test_the_table(model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data, stats = samples(tmp_path / "data", [1, 4]), tmp_path / "a.stats"
    assert run(["calibrate", str(model), "--data", str(data), "-o", str(stats)]) == 0
    whole = text(capsys)
    assert whole[1] == ""
    assert whole[0].startswith("1 sample, 3 tensors, graph ")
    rows = [line.split() for line in whole[0].splitlines()]
    assert ["y", "2", "50.0", "%", "0", "1.386", "1.386", "1.386", "2"] in rows
    assert run(["calibrate", str(stats), "--show"]) == 0
    assert text(capsys) == whole


def test_shards_merge_to_the_bytes_of_the_whole(model: Path, tmp_path: Path) -> None:
    rows = [[1.0, 4.0], [2.0, 3.0], [0.1, 7.0]]
    whole = samples(tmp_path / "whole", *rows)
    assert run(["calibrate", str(model), "--data", str(whole), "-o", str(tmp_path / "whole.stats")]) == 0
    parts: list[str] = []
    for number, part in enumerate((rows[1:], rows[:1])):
        data = samples(tmp_path / f"part{number}", *part)
        parts.append(str(tmp_path / f"{number}.stats"))
        assert run(["calibrate", str(model), "--data", str(data), "-o", parts[-1]]) == 0
    assert run(["calibrate", "--merge", *parts, "-o", str(tmp_path / "merged.stats")]) == 0
    assert (tmp_path / "merged.stats").read_bytes() == (tmp_path / "whole.stats").read_bytes()


def test_what_cannot_be_used_is_named(model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = samples(tmp_path / "data", [1, 4], [-1, 0])
    (data / "9.npy").write_bytes(b"garbled")
    arguments = ["calibrate", str(model), "--data", str(data), "-o", str(tmp_path / "a.stats")]
    assert run(arguments) == 0
    out, err = text(capsys)
    assert err == (
        "warning: 1 of 3 samples cannot be read, and were left out:\n"
        f"  {data / '9.npy'}: the file holds Python objects, which are never loaded, or is no numpy file\n"
        f"warning: tensor 'l' held NaN or infinity 2 times, first in {data / '1.npy'}: it has no range\n"
        f"warning: tensor 'y' held NaN or infinity 1 times, first in {data / '1.npy'}: it has no range\n"
    )
    assert ["l", "2", "50.0", "%", "0", "1.386", "none", "none", "2"] in [line.split() for line in out.splitlines()]
    assert run([*arguments, "--json"]) == 0
    (left_out,) = json.loads(text(capsys)[0])["left_out"]
    assert left_out["name"] == str(data / "9.npy")


def test_one_tensor_in_detail(model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data, stats = samples(tmp_path / "data", [1, 4], [0.3, 8]), tmp_path / "a.stats"
    assert run(["calibrate", str(model), "--data", str(data), "-o", str(stats)]) == 0
    text(capsys)
    assert run(["calibrate", str(stats), "--show", "--tensor", "x"]) == 0
    out, _ = text(capsys)
    assert out.startswith("x\n")
    rows = [line.split() for line in out.splitlines()]
    assert ["max", "8"] in [row[:2] for row in rows]
    assert [row[3] for row in rows if len(row) == 4 and row[0] in ("max", "mse")] == ["dB", "dB"]
    assert sum("█" in line for line in out.splitlines()) == 4
    assert "channels: 2, along axis 1" in out
    assert run(["calibrate", str(stats), "--show", "--tensor", "z"]) == 2
    assert text(capsys)[1] == "error: there are no statistics of a tensor 'z'\n"


def test_only_the_tensors_that_are_named_are_collected(model: Path, tmp_path: Path) -> None:
    data, stats = samples(tmp_path / "data", [1, 4]), tmp_path / "a.stats"
    assert run(["calibrate", str(model), "--data", str(data), "-o", str(stats), "--tensor", "y"]) == 0
    assert list(Statistics.load(stats)) == ["y"]


def test_no_more_samples_than_asked_for(model: Path, tmp_path: Path) -> None:
    data, stats = samples(tmp_path / "data", [1, 4], [1, 4], [1, 4]), tmp_path / "a.stats"
    assert run(["calibrate", str(model), "--data", str(data), "-o", str(stats), "--samples", "2"]) == 0
    assert Statistics.load(stats).samples == 2


def test_an_interrupted_run_leaves_nothing(model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    script, stats = tmp_path / "data.py", tmp_path / "a.stats"
    script.write_text(
        "import numpy as np\n"
        "def load_data():\n"
        "    yield {'x': np.ones((1, 2), np.float32)}\n"
        "    raise KeyboardInterrupt\n"
    )
    assert run(["calibrate", str(model), "--data", str(script), "-o", str(stats)]) == 130
    assert text(capsys) == ("", "interrupted\n")
    assert {p.name for p in tmp_path.iterdir()} - {"__pycache__"} == {"data.py", "model.onnx"}
    assert not [t for t in threading.enumerate() if t.name.startswith("ThreadPool")]


def test_the_page_stands_by_itself(tmp_path: Path) -> None:
    path, page = tmp_path / "model.onnx", tmp_path / "page.html"
    proto = onnx.parser.parse_model(MODEL)
    proto.graph.node[0].output[0] = proto.graph.node[1].input[0] = "<script>"
    path.write_bytes(proto.SerializeToString())
    data = samples(tmp_path / "data", [1, 4], [2, 9])
    arguments = ["calibrate", str(path), "--data", str(data), "-o", str(tmp_path / "a.stats"), "--plot", str(page)]
    assert run(arguments) == 0
    drawn = page.read_text("utf-8")
    assert drawn.count("<svg") == 3
    assert "<script" not in drawn
    assert "&lt;script&gt;" in drawn
    assert drawn.replace('"http://www.w3.org/2000/svg"', "").count("http") == 0
    first = page.read_bytes()
    assert run(arguments) == 0
    assert page.read_bytes() == first


def test_a_recipe_comes_first(tmp_path: Path) -> None:
    """Statistics of what a recipe leaves before it calibrates, which `compile --stats` then takes."""
    path, recipe = tmp_path / "model.onnx", tmp_path / "mine.toml"
    path.write_bytes(
        onnx.parser.parse_model(MODEL.replace("y = Relu (l)", "i = Identity (l) y = Relu (i)")).SerializeToString()
    )
    recipe.write_text('[[pass]]\nuse = "apply-rules"\nphases = ["simplify", "fold"]\n[[pass]]\nuse = "calibrate"\n')
    data, stats = samples(tmp_path / "data", [1, 4]), tmp_path / "a.stats"
    arguments = ["calibrate", str(path), "--data", str(data), "-o", str(stats), "--recipe", str(recipe)]
    assert run(arguments) == 0
    assert list(Statistics.load(stats)) == ["x", "l", "y"]
    output = tmp_path / "out"
    compiled = ["compile", str(path), "-o", str(output), "--recipe", str(recipe), "--stats", str(stats), "--json"]
    assert run(compiled) == 0
    report = json.loads((output / "report.json").read_text())
    assert report["passes"][-1]["details"]["statistics"] == "reused"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["m.onnx"], "there is nothing to calibrate on\n  help: give samples: --data SOURCE"),
        (["m.onnx", "--data", "d"], "calibrate writes a file of statistics\n  help: name it: -o STATS"),
        (["a", "b", "--data", "d"], "calibrate takes one model\n  help: --merge takes several files of statistics"),
        (["a", "b", "--merge"], "calibrate writes a file of statistics\n  help: name it: -o STATS"),
        (["a", "--merge", "--data", "d"], "--data is for a model, and --merge takes files of statistics"),
        (["a", "--show", "--samples", "3"], "--samples is for a model, and --show takes files of statistics"),
        (
            ["a", "b", "--show"],
            "--show takes one file of statistics, and writes none\n  help: --merge joins several",
        ),
        (
            ["a", "--show", "--merge"],
            "--merge and --show are two things to do\n  help: --merge shows what it has merged as well",
        ),
        (
            ["m.onnx", "--data", "d", "-o", "s", "--recipe", "default"],
            "the recipe default does not calibrate\n  help: leave --recipe out, or name another one",
        ),
    ],
)
def test_bad_usage(arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["calibrate", *arguments]) == 2
    assert text(capsys) == ("", f"error: {message}\n")


def test_files_of_different_models_do_not_merge(
    model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = samples(tmp_path / "data", [1, 4])
    other = tmp_path / "other.onnx"
    other.write_bytes(onnx.parser.parse_model(MODEL.replace("Relu", "Abs")).SerializeToString())
    files = [str(tmp_path / "a.stats"), str(tmp_path / "b.stats")]
    for path, stats in zip((model, other), files, strict=True):
        assert run(["calibrate", str(path), "--data", str(data), "-o", stats]) == 0
    text(capsys)
    assert run(["calibrate", "--merge", *files, "-o", str(tmp_path / "c.stats")]) == 2
    assert text(capsys)[1] == (
        f"error: these statistics are of different models\n  at: {files[0]} and {files[1]}\n"
        "  help: merge only what was collected on one and the same\n"
    )
    assert not (tmp_path / "c.stats").exists()
