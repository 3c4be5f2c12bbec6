"""`graphopt rules verify` from the outside: what it prints, what it keeps, and how it ends."""

from __future__ import annotations

import json
import shlex
from pathlib import Path
from typing import Any

import onnx
import pytest

from graphopt.cli import run as main

HEAD = "opset >= 13\n\n"

RIGHT = (
    HEAD
    + """rule negated_twice<T: float32>:
    "-(-x) = x"
    equal exact
    match:
        y = Neg(Neg(x: T[...]))
    rewrite:
        y = x
"""
)

WRONG = (
    HEAD
    + """rule absolute<T: float32>:
    "|x| = x"
    match:
        y = Abs(x: T[...])
    rewrite:
        y = x
"""
)

NEVER = (
    HEAD
    + """rule never<T: float32>:
    "A rank that is another one."
    match:
        y = Abs(x: T[_, _])
    where:
        x.rank == 3
    rewrite:
        y = x
"""
)


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "cache"
    monkeypatch.setenv("GRAPHOPT_CACHE", str(folder))
    return folder


def verify(path: Path, text: str, *arguments: str) -> int:
    path.write_text(text)
    return main(["rules", "verify", str(path), "--instances", "8", "--jobs", "1", *arguments])


def printed(capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    return json.loads(capsys.readouterr().out)


def test_a_right_rule_is_kept(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "my.rules"
    assert verify(path, RIGHT, "--json") == 0
    (first,) = printed(capsys)["rules"]
    assert (first["verdict"], first["cached"], first["instances"]) == ("holds", False, 8)
    assert verify(path, f"# moved down\n{RIGHT}", "--json") == 0
    (again,) = printed(capsys)["rules"]
    assert {**again, "place": first["place"]} == {**first, "cached": True}
    assert again["place"] == f"negated_twice@{path}:4"


def test_a_wrong_rule_has_a_counterexample_that_can_be_seen_again(
    tmp_path: Path, cache: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "my.rules"
    assert verify(path, WRONG) == 1
    out, err = capsys.readouterr()
    assert err == "error: absolute (wrong)\n  help: docs/proof.md tells what each verdict means, and what to do\n"
    (folder,) = (cache / "verdicts").glob("*/wrong")
    assert f"    again: graphopt rules verify {path} --reproduce {folder}\n" in out
    assert [n.op_type for n in onnx.ModelProto.FromString((folder / "before.onnx").read_bytes()).graph.node] == ["Abs"]
    assert main(["rules", "verify", str(path), "--reproduce", str(folder)]) == 1
    assert capsys.readouterr().err.startswith("error: wrong: in float64 it is another number\n")
    mended = WRONG.replace("y = x\n", "y = Max(x, Neg(x))\n")
    path.write_text(mended.replace("    match:", "    order lower\n    match:"))
    assert main(["rules", "verify", str(path), "--reproduce", str(folder)]) == 0
    assert capsys.readouterr().out == "right now; then: in float64 it is another number\n"


def test_the_document_tells_how_to_see_it_again(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "my own.rules"
    assert verify(path, WRONG, "--json") == 1
    found = printed(capsys)["rules"][0]["counterexample"]
    assert (Path(found["folder"]) / "before.onnx").is_file()
    command = shlex.split(found["again"])
    assert command[:4] == ["graphopt", "rules", "verify", str(path)]
    assert main([*command[1:], "--json"]) == 1
    assert printed(capsys)["now"] == {"output": found["output"], "note": found["note"]}


def test_a_rule_that_never_fires_is_not_exercised(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert verify(tmp_path / "my.rules", NEVER, "--json", "--no-conditions") == 1
    (rule,) = printed(capsys)["rules"]
    assert (rule["verdict"], rule["instances"], rule["conditions"]) == ("not exercised", 0, [])


def test_what_is_no_rule_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["rules", "verify", "conv_bn_flod"]) == 2
    assert capsys.readouterr().err == (
        "error: there is no rule 'conv_bn_flod', and no such file\n  help: did you mean 'conv_bn_fold'?\n"
    )
