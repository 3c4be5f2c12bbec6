"""A rule that is wrong on purpose: the one firing that breaks a model is found, undone, or let through."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path

import onnx
import pytest

import graphopt
from graphopt.errors import ParityError
from graphopt.graph.load import load
from graphopt.graph.save import to_bytes
from graphopt.pipeline.bisect_request import Request, bisect
from graphopt.pipeline.passes import Context
from graphopt.pipeline.recipe import Recipe
from graphopt.pipeline.replay import Replay
from graphopt.pipeline.rollback import without
from graphopt.rewrite.library import load_rules
from tests.pipeline.command import contents, here, save
from tests.traps.compiling import operators

WRONG = """
opset >= 7
phase fold

rule abs_is_nothing:
    "Abs is its input, as if nothing were below zero."
    equal exact
    match:
        y = Abs(x)
    rewrite:
        y = x
"""

MODEL = """<ir_version: 8, opset_import: ["" : 17]>
main (float[n,3] x, float[n,3] z) => (float[n,3] y, float[n,3] q) {
    i = Identity(x)
    s = Sigmoid(i)
    t = Abs(s)
    a = Abs(i)
    u = Exp(t)
    y = Mul(u, a)
    r = Relu(z)
    q = Abs(r)
}"""
"""Three Abs, of which only the second one matters."""

FIXED = {"recipe": "default", "allow_unproved": True}


@pytest.fixture
def source(tmp_path: Path) -> Path:
    (tmp_path / "wrong.rules").write_text(WRONG)
    return save(MODEL, tmp_path / "model.onnx")


def rules_of(source: Path) -> Path:
    return source.parent / "wrong.rules"


def test_a_replay_gives_every_graph_on_the_way_once_more(source: Path) -> None:
    context = Context(load_rules([rules_of(source)]))
    replay = Replay(partial(load, source), context, Recipe.load("default"))
    events = replay.events()
    assert [str(event).split("@")[0] for event in events] == ["identity_removal", *["abs_is_nothing"] * 3]
    assert [event.number for event in events] == [1, 2, 3, 4]
    assert [len(list(replay.until(n).all_nodes())) for n in range(5)] == [8, 7, 6, 5, 4]
    assert [to_bytes(replay.until(n)) for n in range(5)] == [to_bytes(replay.until(n)) for n in range(5)]


def test_a_replay_sees_what_passes_in_python_do(tmp_path: Path) -> None:
    text = """<ir_version: 8, opset_import: ["" : 17]>
    main (float[2] x) => (float[2] y) <float[2] w = {1, 2}> { n = Neg(w)  a = Add(x, n)  y = Relu(a) }"""
    replay = Replay(partial(load, save(text, tmp_path / "model.onnx")), Context(), Recipe.load("default"))
    assert [str(event) for event in replay.events()] == ["fold-constants"]
    assert [n.op_type for n in replay.until(1).all_nodes()] == ["Add", "Relu"]


def test_stop_names_the_firing(source: Path) -> None:
    before = contents(source.parent)
    with pytest.raises(ParityError) as error:
        graphopt.compile(source, source.parent / "out", rules=[rules_of(source)], **FIXED)
    lines = str(error.value).splitlines()
    assert lines[0] == "the model after the pass apply-rules is not equal to the original within the contract exact"
    assert lines[2:5] == [
        f"  what breaks it is the firing 3 of the rule abs_is_nothing@{rules_of(source)}:5 "
        "(change 3 of 4, pass apply-rules)",
        "    took out: Abs(a)",
        "    put in: nothing",
    ]
    assert lines[5].startswith("    first value that moved: 'y' by ")
    assert lines[6].startswith("    output 'y' moved by ")
    assert lines[7].startswith("    wrong, and not rounding: in float64 it is another number: ")
    assert lines[-1] == (
        "  help: nothing was written; --on-parity-failure rollback undoes this one change, "
        "--skip abs_is_nothing leaves the rule out"
    )
    assert contents(source.parent) == before


@pytest.mark.parametrize("check", ["each", "end"])
def test_rollback_undoes_this_firing_alone(source: Path, check: str) -> None:
    out = source.parent / "out"
    result = graphopt.compile(source, out, rules=[rules_of(source)], on_parity_failure="rollback", check=check, **FIXED)
    assert result.ok
    assert operators(onnx.load(out / "model.onnx")) == ["Sigmoid", "Abs", "Exp", "Mul", "Relu"]
    (undone,) = [note for note in result.notes if note.startswith("undone: ")]
    assert undone.splitlines()[2] == "    took out: Abs(a)"
    journal = [json.loads(line) for line in (out / "journal.jsonl").read_text().splitlines()]
    assert [entry["removed"] for entry in journal] == [["Identity(i)"], ["Abs(t)"], ["Abs(q)"]]


def test_rollback_leaves_a_rule_out_that_goes_on_being_wrong(tmp_path: Path) -> None:
    (tmp_path / "wrong.rules").write_text(WRONG)
    lines = " ".join(f"n{i} = Neg(x{i})  y{i} = Abs(n{i})" for i in range(7))
    inputs, outputs = (", ".join(f"float[3] {name}{i}" for i in range(7)) for name in "xy")
    text = f'<ir_version: 8, opset_import: ["" : 17]> main ({inputs}) => ({outputs}) {{ {lines} }}'
    source = save(text, tmp_path / "model.onnx")
    result = graphopt.compile(
        source, tmp_path / "out", rules=[tmp_path / "wrong.rules"], on_parity_failure="rollback", **FIXED
    )
    assert result.ok
    assert sorted(operators(onnx.load(tmp_path / "out" / "model.onnx"))) == ["Abs"] * 7 + ["Neg"] * 7
    assert sum(note.startswith("undone: ") for note in result.notes) == 5
    assert [n for n in result.notes if "left out" in n] == [
        f"abs_is_nothing@{tmp_path}/wrong.rules:5 is left out: 4 of its firings were undone already"
    ]


def test_a_warning_lets_it_through(source: Path) -> None:
    out = source.parent / "out"
    result = graphopt.compile(source, out, rules=[rules_of(source)], on_parity_failure="warn", **FIXED)
    assert not result.ok
    assert operators(onnx.load(out / "model.onnx")) == ["Sigmoid", "Exp", "Mul", "Relu"]
    (note,) = [n for n in result.notes if n.startswith("the model after the pass apply-rules is not equal")]
    assert "    took out: Abs(a)" in note.splitlines()


def test_a_pass_in_python_is_undone(tmp_path: Path) -> None:
    @graphopt.register
    class Wrong(graphopt.Pass):
        name = "wrong-for-bisect"

        def apply(self, model: graphopt.Model, context: graphopt.Context) -> graphopt.PassResult:
            found = [n for n in model.all_nodes() if n.op_type == "Abs"]
            for node in found:
                node.op_type = "Neg"
            return graphopt.PassResult(bool(found))

    source = save(MODEL, tmp_path / "model.onnx")
    shipped = Recipe.load("default")
    recipe = Recipe("two", "", (*shipped.passes, Wrong()), 2)
    result = graphopt.compile(source, tmp_path / "out", recipe=recipe, on_parity_failure="rollback")
    assert result.ok
    assert operators(onnx.load(tmp_path / "out" / "model.onnx")).count("Abs") == 3
    assert [n.splitlines()[0] for n in result.notes] == ["undone: wrong-for-bisect"]
    with pytest.raises(ParityError, match="what breaks it is the pass wrong-for-bisect"):
        graphopt.compile(source, tmp_path / "other", recipe=recipe)


def test_a_pass_is_left_out_of_recipes_that_go_before() -> None:
    default = Recipe.load("default")
    step = default.passes[0]
    found = without(Recipe("later", "", (step, default.passes[1]), before=default), step)
    assert [step in stage.passes for stage in found.stages] == [False, False]
    assert [len(stage.passes) for stage in found.stages] == [len(default.passes) - 1, 1]


def test_rounding_is_called_rounding(tmp_path: Path) -> None:
    """A contract that a rule does not keep by a bit: the sum of the same three numbers in another order."""
    (tmp_path / "order.rules").write_text("""
opset >= 7
phase fold

rule sum_in_another_order:
    "(x + y) + z is x + (y + z)."
    equal exact
    order once
    match:
        s = Add(x, y)
        r = Add(s, z)
    rewrite:
        r = Add(x, Add(y, z))
""")
    text = """<ir_version: 8, opset_import: ["" : 17]>
    main (float[64] x, float[64] y, float[64] z) => (float[64] r) { s = Add(x, y)  r = Add(s, z) }"""
    source = save(text, tmp_path / "model.onnx")
    with pytest.raises(ParityError) as error:
        graphopt.compile(source, tmp_path / "out", rules=[tmp_path / "order.rules"], **FIXED)
    assert str(error.value).splitlines()[-2].startswith("    rounding: in float64 ")


def test_two_recipes(source: Path) -> None:
    """What is wrong in both is no difference."""
    rules = load_rules([rules_of(source)])
    default = Recipe.load("default")
    found = bisect(Request(source, default, rules=rules))
    assert found is not None
    assert found.event.number == 3
    assert bisect(Request(source, default, rules=rules, against=default)) is None
    without_fold = Recipe("some", "", tuple(p for p in default.passes if getattr(p, "phases", ()) != ("fold",)))
    assert bisect(Request(source, without_fold, rules=rules)) is None
    other = bisect(Request(source, default, rules=rules, against=without_fold))
    assert other is not None
    assert other.event.number == 3


def test_the_verb(source: Path) -> None:
    folder = source.parent
    ended = here("bisect", "model.onnx", "--rules", "wrong.rules", folder=folder)
    assert ended.code == 1
    assert "  took out: Abs(a)" in ended.out.splitlines()
    assert ended.err == "error: model.onnx departs with abs_is_nothing@wrong.rules:5\n"
    ended = here("bisect", "model.onnx", "--pass", "fold-constants", "--pass", "apply-rules", folder=folder)
    assert (ended.code, ended.out) == (0, "model.onnx: no change of this recipe breaks it\n")
    ended = here("bisect", "model.onnx", "--rules", "wrong.rules", "--json", folder=folder)
    document = json.loads(ended.out)
    assert (ended.code, document["schema"]) == (1, "graphopt.bisect/1")
    assert document["culprit"]["firing"]["removed"] == ["Abs(a)"]
    assert document["culprit"]["explanation"]["kind"] == "wrong"
    ended = here("bisect", "model.onnx", "--rules", "wrong.rules", "--max-rel", "1000", folder=folder)
    assert ended.code == 0
