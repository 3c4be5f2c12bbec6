"""Axis facts: those that ship hold, and those that are wrong are found."""

from __future__ import annotations

import json
from dataclasses import replace
from functools import cache
from pathlib import Path

import pytest

from graphopt.cli import run
from graphopt.lang import tree as t
from graphopt.lang.parse import parse
from graphopt.rewrite.library import shipped_files
from graphopt.verify.axis_cuts import Situation, closure, links
from graphopt.verify.axis_facts import FactVerdict, unverified, verify_axes
from graphopt.verify.kept_facts import KeptFacts


@cache
def shipped() -> dict[str, t.Axes]:
    """Declarations by operator and first opset."""
    found: dict[str, t.Axes] = {}
    for file in shipped_files():
        for axes in file.axes:
            found[f"{axes.operator} {axes.opset.low if axes.opset else 7}"] = axes
    return found


@pytest.mark.parametrize("name", sorted(shipped()))
def test_shipped_facts_hold(name: str) -> None:
    problems = [v for v in verify_axes(shipped()[name], cuts=20) if v.kind != "holds"]
    assert problems == []


def verify(text: str, cuts: int = 25) -> list[FactVerdict]:
    (axes,) = parse(text, "mine.rules").axes
    return verify_axes(axes, cuts=cuts)


WRONG = {
    "a Conv with groups cannot lose one channel": "axes Conv(x, w, b?) -> y: y[1] ~ w[0] ~ b[0]",
    "the input channels of a Conv with groups": "opset >= 7\naxes Conv(x, w, b?) -> y: x[1] ~ w[1]",
    "a forgotten bias": "axes Conv(x, w, b?) -> y: y[1] ~ w[0] when group == 1",
    "groups that do not shrink": """axes Conv(x, w, b?) -> y:
        x[1] ~ w[0] ~ b[0] ~ y[1] when depthwise and w.shape[0] == x.shape[1]""",
    "the wrong axis of a weight": "axes ConvTranspose(x, w, b?) -> y: y[1] ~ w[0] ~ b[0] when group == 1",
    "the axis of a Softmax": "opset >= 13\naxes Softmax(x) -> y: y[i] ~ x[i]",
    "the wrong axis of a MatMul": "axes MatMul(a, b) -> y: y[-1] ~ b[-2] when b.rank > 1",
    "a Gemm that is transposed": "opset >= 11\naxes Gemm(a, b, c?) -> y: y[1] ~ b[1] ~ c[-1] unless broadcast",
    "a Flatten the wrong way": "axes Flatten(x) -> y: y[1] = fold(x[2], x[1]) when axis == 1 and x.rank == 3",
    "a Concat that is a tie": "axes Concat(*x) -> y: y[axis] ~ x[axis]",
    "a Transpose that moves nothing": "axes Transpose(x) -> y: y[i] ~ x[i]",
    "a sum that is not stretched": "axes Add(a, b) -> y: y[i] ~ a[i]",
    "a mean over what is cut": "opset 7..17\naxes ReduceMean(x) -> y: y[0] ~ x[0] unless broadcast",
}


@pytest.mark.parametrize("text", WRONG.values(), ids=WRONG.keys())
def test_wrong_facts_are_found(text: str) -> None:
    (verdict,) = verify(text)
    assert verdict.kind == "wrong", verdict


def test_what_is_summed_over_is_made_zero_first() -> None:
    (verdict,) = verify("axes MatMul(a, b) -> y: a[-1] ~ b[-2] when b.rank > 1")
    assert verdict.kind == "holds"


def test_a_fact_that_never_holds_is_not_exercised() -> None:
    (verdict,) = verify("axes Relu(x) -> y: y[0] ~ x[0] when x.rank > 20", cuts=20)
    assert (verdict.kind, verdict.cuts, verdict.note) == ("not exercised", 0, "only 0 cuts could be made")


def test_a_verdict_tells_the_fact_and_its_place() -> None:
    (verdict,) = verify("opset >= 13\naxes Relu(x) -> y:\n    y[i]  ~ x[i]")
    assert (verdict.operator, verdict.text, verdict.place) == ("Relu", "y[i] ~ x[i]", "mine.rules:3")
    assert verdict.to_json()["verdict"] == "holds"


def test_the_same_seed_gives_the_same_verdicts() -> None:
    (axes,) = parse("axes Concat(*x) -> y: y[axis] = cat(x[axis])", "mine.rules").axes
    assert verify_axes(axes, cuts=20, seed=3) == verify_axes(axes, cuts=20, seed=3)


def test_the_command_verifies_axes_of_files(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "mine.rules"
    file.write_text("opset >= 13\naxes Hardmax(x) -> y: y[i] ~ x[i]\n", "utf-8")
    assert run(["rules", "verify", str(file), "--json"]) == 1
    document = json.loads(capsys.readouterr().out)
    (fact,) = document["axes"]
    assert (fact["operator"], fact["fact"], fact["verdict"]) == ("Hardmax", "y[i] ~ x[i]", "wrong")
    file.write_text("opset >= 13\naxes Hardmax(x) -> y: y[0] ~ x[0] unless axis == 0 or axis + x.rank == 0\n", "utf-8")
    assert run(["rules", "verify", str(file)]) == 0
    assert capsys.readouterr().out == "0 rules: nothing verified; 1 axis facts: 1 holds\n"


# --- what goes together ---


def cuts_of(
    text: str, shapes: dict[str, list[tuple[int, ...]]], start: tuple[str, int, int], cut: set[int], **how: int
) -> object:
    (axes,) = parse(text, "mine.rules").axes
    situation = Situation(shapes, how, 17)
    found = closure(list(links(axes, situation)), start, frozenset(cut), situation)
    return {place: sorted(slices) for place, slices in found.items()}


def test_a_fold_cuts_runs() -> None:
    text = "axes Flatten(x) -> y: y[1] = fold(x[1], x[2:])"
    shapes = {"x": [(2, 3, 2, 2)], "y": [(2, 12)]}
    wanted = {("x", 0, 1): [1], ("y", 0, 1): [4, 5, 6, 7]}
    assert cuts_of(text, shapes, ("x", 0, 1), {1}) == wanted
    assert cuts_of(text, shapes, ("y", 0, 1), {6}) == wanted


def test_a_cat_cuts_the_part_that_a_slice_lies_in() -> None:
    text = "axes Concat(*x) -> y: y[axis] = cat(x[axis])"
    shapes = {"x": [(2, 3), (2, 1), (2, 4)], "y": [(2, 8)]}
    assert cuts_of(text, shapes, ("y", 0, 1), {2, 5}, axis=1) == {
        ("x", 0, 1): [2],
        ("x", 2, 1): [1],
        ("y", 0, 1): [2, 5],
    }
    assert cuts_of(text, shapes, ("x", 1, 1), {0}, axis=-1) == {("x", 1, 1): [0], ("y", 0, 1): [3]}


def test_axes_are_aligned_from_the_end_where_tensors_broadcast() -> None:
    text = "axes Add(a, b) -> y: y[i] ~ a[i] ~ b[i] unless broadcast"
    shapes = {"a": [(2, 3, 4)], "b": [(3, 1)], "y": [(2, 3, 4)]}
    assert cuts_of(text, shapes, ("y", 0, 1), {2}) == {("y", 0, 1): [2], ("a", 0, 1): [2], ("b", 0, 0): [2]}
    assert cuts_of(text, shapes, ("y", 0, 2), {0}) == {("y", 0, 2): [0], ("a", 0, 2): [0]}


def test_facts_meet() -> None:
    text = "axes Conv(x, w, b?) -> y:\n    y[1] ~ w[0] when group == 1\n    w[0] ~ b[0]"
    shapes = {"x": [(1, 2, 4)], "w": [(3, 2, 1)], "b": [(3,)], "y": [(1, 3, 4)]}
    assert cuts_of(text, shapes, ("b", 0, 0), {1}, group=1) == {("y", 0, 1): [1], ("w", 0, 0): [1], ("b", 0, 0): [1]}
    assert cuts_of(text, shapes, ("b", 0, 0), {1}, group=2) == {("w", 0, 0): [1], ("b", 0, 0): [1]}


def test_an_absent_tensor_is_left_out() -> None:
    text = "axes Conv(x, w, b?) -> y: y[1] ~ w[0] ~ b[0]"
    shapes: dict[str, list[tuple[int, ...]]] = {"x": [(1, 2, 4)], "w": [(3, 2, 1)], "b": [], "y": [(1, 3, 4)]}
    assert cuts_of(text, shapes, ("w", 0, 0), {0}) == {("y", 0, 1): [0], ("w", 0, 0): [0]}


def test_verdicts_on_facts_are_kept_with_their_present_places(tmp_path: Path) -> None:
    text = "opset >= 13\naxes Softmax(x) -> y: y[i] ~ x[i]\n"
    (axes,) = parse(text, "mine.rules").axes
    (moved,) = parse(f"# moved down\n{text}", "other.rules").axes
    (changed,) = parse(text.replace("13", "14"), "mine.rules").axes
    kept = KeptFacts(tmp_path, seed=0)
    verdict = FactVerdict("Softmax", "y[i] ~ x[i]", "mine.rules:2", "wrong", 3, "an output differs")
    kept.put(axes, [verdict])
    assert kept.find(axes) == [verdict]
    assert kept.find(moved) == [replace(verdict, place="other.rules:3")]
    assert kept.find(changed) is None
    assert KeptFacts(tmp_path, seed=1).find(axes) is None


def test_what_a_lost_process_leaves_unknown_is_not_kept(tmp_path: Path) -> None:
    (axes,) = parse("axes Abs(x) -> y: y[i] ~ x[i]", "mine.rules").axes
    kept = KeptFacts(tmp_path, seed=0)
    kept.put(axes, unverified(axes, "the process that verified it died with -11", is_lost=True))
    assert kept.find(axes) is None
