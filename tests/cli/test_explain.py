"""`graphopt explain`: where a rule fires, and elsewhere how far it came, what stood there and what stopped it."""

from __future__ import annotations

import json
from pathlib import Path

import onnx.parser
import pytest

from graphopt.cli import run

RULES = """opset 13..17

rule mean_of_one<T: float16|float32>:
    "A mean over axes of size one is its input."
    equal exact
    match:
        y = ReduceMean(x: T[...], axes=a)
    where:
        T == float32
        len(a) == 1 and (x.shape[a[0]] == 1 or prod(x.shape[1:]) == 0)
    rewrite:
        y = x

rule far_sum:
    "Two sums are one."
    match:
        y = Add(Add(x, const a), const b)
    rewrite:
        y = Add(x, a + b)
"""

MODEL = """<ir_version: 8, opset_import: ["" : 17]>
g (float[N,4,1] x, float[N,4] v, float[2,M] w, float16[2,1] h)
    => (float[N,4,1] y, float[N,1] u, float[2,1] t, float16[2,1] g, float[2,M] s)
<float big = {3e38}>
{
    a = ReduceMean <axes = [-1]> (x)
    y = Relu (a)
    u = ReduceMean <axes = [-1]> (v)
    t = ReduceMean <axes = [-1]> (w)
    g = ReduceMean <axes = [-1]> (h)
    r = Add (w, big)
    s = Add (r, big)
}"""


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("mine.rules").write_text(RULES, "utf-8")
    Path("model.onnx").write_bytes(onnx.parser.parse_model(MODEL).SerializeToString())


def explain(*arguments: str) -> int:
    return run(["explain", "model.onnx", "--rules", "mine.rules", *arguments])


def test_where_it_fires(capsys: pytest.CaptureFixture[str]):
    assert explain("--rule", "mean_of_one", "--node", "a") == 0
    assert capsys.readouterr() == ("mean_of_one@mine.rules:3\nfires at 1 of 1 candidates: ReduceMean(a)\n", "")


def test_a_condition_that_is_false(capsys: pytest.CaptureFixture[str]):
    assert explain("--rule", "mean_of_one", "--node", "ReduceMean(u)") == 0
    assert (
        capsys.readouterr().out
        == """mean_of_one@mine.rules:3
fires at none of 1 candidates

At ReduceMean(u):
  matched: ReduceMean(u)
  y = u: float32[N,1]
  a = [-1]
  x = v: float32[N,4]
  T = float32
  len(a) = 1
  x.shape[a[0]] = 4
  prod(x.shape[1:]) = 4
a condition is false: mine.rules:10:9: this does not hold
  10 |         len(a) == 1 and (x.shape[a[0]] == 1 or prod(x.shape[1:]) == 0)
     |         ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
"""
    )


def test_a_condition_that_is_not_known(capsys: pytest.CaptureFixture[str]):
    assert explain("--rule", "mean_of_one", "--node", "t") == 0
    assert (
        capsys.readouterr().out
        == """mean_of_one@mine.rules:3
fires at none of 1 candidates

At ReduceMean(t):
  matched: ReduceMean(t)
  y = t: float32[2,1]
  a = [-1]
  x = w: float32[2,M]
  T = float32
  len(a) = 1
  x.shape[a[0]] = M
  prod(x.shape[1:]) = M
not established: mine.rules:10:9: whether this holds is not known
  10 |         len(a) == 1 and (x.shape[a[0]] == 1 or prod(x.shape[1:]) == 0)
     |         ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
"""
    )


def test_a_rewrite_that_declines(capsys: pytest.CaptureFixture[str]):
    assert explain("--rule", "far_sum", "--node", "s") == 0
    assert (
        capsys.readouterr().out
        == """far_sum@mine.rules:14
fires at none of 1 candidates

At Add(s):
  matched: Add(s), Add(r)
  y = s: float32[2,M]
  x = w: float32[2,M]
  a = big: float32[]
  b = big: float32[]
the rewrite declines: mine.rules:19:9: a constant overflows float32
  19 |         y = Add(x, a + b)
     |         ^^^^^^^^^^^^^^^^^
"""
    )


def test_a_graph_that_differs(capsys: pytest.CaptureFixture[str]):
    assert explain("--rule", "far_sum", "--node", "r") == 0
    assert (
        capsys.readouterr().out
        == """far_sum@mine.rules:14
fires at none of 1 candidates

At Add(r):
  y = r: float32[2,M]
the graph differs: mine.rules:17:17: no node makes w: float32[2,M]
  17 |         y = Add(Add(x, const a), const b)
     |                 ^^^^^^^^^^^^^^^
"""
    )


def test_of_all_places_the_one_where_it_came_farthest(capsys: pytest.CaptureFixture[str]):
    assert explain("--rule", "mean_of_one") == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[:4] == [
        "mean_of_one@mine.rules:3",
        "fires at 1 of 4 candidates: ReduceMean(a)",
        "",
        "Farthest without success, at ReduceMean(u):",
    ]


def test_the_graph_that_a_recipe_leaves(capsys: pytest.CaptureFixture[str]):
    assert explain("--rule", "mean_of_one", "--recipe", "default") == 0
    assert capsys.readouterr().out.splitlines()[1] == "fires at none of 3 candidates"


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (("--rule", "cast_identity"), "the root of the rule is a Cast; the model has none"),
        (("--rule", "mean_of_one", "--node", "y"), "the root of the rule is a ReduceMean; Relu(y) is a Relu"),
    ],
)
def test_nothing_to_try(arguments: tuple[str, ...], reason: str, capsys: pytest.CaptureFixture[str]):
    assert explain(*arguments) == 0
    assert capsys.readouterr().out.splitlines()[1] == f"does not apply: {reason}"


def test_as_json(capsys: pytest.CaptureFixture[str]):
    assert explain("--rule", "mean_of_one", "--json") == 0
    document = json.loads(capsys.readouterr().out)
    assert document["schema"] == "graphopt.explain/1"
    assert (document["candidates"], document["fires"], document["reason"]) == (4, ["ReduceMean(a)"], None)
    assert [(stop["node"], stop["kind"], stop["place"]) for stop in document["stops"]] == [
        ("ReduceMean(u)", "false", "mine.rules:10:9"),
        ("ReduceMean(t)", "unknown", "mine.rules:10:9"),
        ("ReduceMean(g)", "false", "mine.rules:9:9"),
    ]
    assert document["stops"][0]["values"] == {"len(a)": "1", "x.shape[a[0]]": "4", "prod(x.shape[1:])": "4"}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--rule", "mean_of_on"], "error: there is no rule 'mean_of_on'\n  help: did you mean 'mean_of_one'?\n"),
        (
            ["--rule", "mean_of_one", "--node", "ReduceMean(q)"],
            "error: there is no node 'ReduceMean(q)'\n  help: did you mean 'ReduceMean(u)'?\n",
        ),
        (
            ["--rule", "mean_of_one", "--rules", "no.rules"],
            "error: cannot read the rule file no.rules: No such file or directory\n",
        ),
        ([], "error: Missing option '--rule'.\n  help: see `graphopt explain --help`\n"),
    ],
)
def test_bad_input(arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]):
    assert explain(*arguments) == 2
    assert capsys.readouterr() == ("", message)
