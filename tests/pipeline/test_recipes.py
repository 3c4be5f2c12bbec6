"""Recipes in TOML: what is said, and each way to say it wrong."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import ClassVar

import onnx
import pytest

import graphopt
from graphopt.errors import RecipeError
from graphopt.passes.apply_rules import ApplyRules
from graphopt.passes.eliminate_common_subexpressions import EliminateCommonSubexpressions
from graphopt.passes.fold_constants import FoldConstants
from graphopt.passes.inline_branches import InlineBranches
from graphopt.passes.inline_functions import InlineFunctions
from graphopt.passes.remove_dead_code import RemoveDeadCode
from graphopt.passes.unpack_sequences import UnpackSequences
from graphopt.pipeline.passes import Context, Pass, PassResult, register
from graphopt.pipeline.recipe import Recipe, parse_recipe, shipped_recipes
from tests.pipeline.command import SMALL, save
from tests.traps.compiling import operators


def test_the_default_recipe() -> None:
    recipe = Recipe.load("default")
    assert recipe.passes == (
        InlineFunctions(),
        FoldConstants(),
        UnpackSequences(),
        InlineBranches(),
        ApplyRules(("simplify",)),
        ApplyRules(("fold",)),
        ApplyRules(("fuse",)),
        EliminateCommonSubexpressions(),
        RemoveDeadCode(),
    )
    assert recipe.rounds == 8
    assert recipe.description


@pytest.mark.parametrize("name", shipped_recipes())
def test_every_recipe_that_ships_is_one(name: str) -> None:
    assert Recipe.load(name).name == name


def test_a_recipe_of_ones_own(tmp_path: Path) -> None:
    (tmp_path / "mine.toml").write_text("""
        description = "Rules alone."
        rounds = 2

        [[pass]]
        use = "apply-rules"
        phases = ["simplify"]
        rules = ["identity_removal"]
    """)
    recipe = Recipe.load(tmp_path / "mine.toml")
    assert recipe == Recipe("mine", "Rules alone.", (ApplyRules(("simplify",), ("identity_removal",)),), 2)
    source = save(SMALL, tmp_path / "source.onnx")
    result = graphopt.compile(source, tmp_path / "out", recipe=tmp_path / "mine.toml")
    assert [(p.name, p.modified) for p in result.passes] == [("apply-rules", True)]  # they ran till the end
    assert operators(onnx.load(tmp_path / "out" / "model.onnx")) == ["Mul", "Relu"]


@dataclasses.dataclass(frozen=True)
class Grow(Pass):
    """Write one more letter behind a node, up to two."""

    name: ClassVar[str] = "grow"

    def apply(self, model: graphopt.Model, context: Context) -> PassResult:
        metadata = next(iter(model.graph.nodes)).metadata
        grown = metadata.get("grown", "")
        if len(grown) < 2:
            metadata["grown"] = f"{grown}x"
        return PassResult(len(grown) < 2)


def test_rounds_end_when_one_changes_nothing_or_when_they_are_used_up(tmp_path: Path) -> None:
    source = save(SMALL, tmp_path / "source.onnx")
    for rounds, ran in ((1, 1), (2, 2), (9, 3)):
        recipe = Recipe("r", "", (Grow(),), rounds)
        assert len(graphopt.compile(source, tmp_path / "out", recipe=recipe).passes) == ran


def test_a_pass_that_went_to_its_end_runs_again_only_after_a_change(tmp_path: Path) -> None:
    source = save(SMALL, tmp_path / "source.onnx")
    for passes, ran in (
        ((RemoveDeadCode(), Grow()), ["remove-dead-code", "grow"] * 3),
        ((Grow(), RemoveDeadCode()), ["grow", "remove-dead-code"] * 2 + ["grow"]),
        ((RemoveDeadCode(),), ["remove-dead-code"]),
    ):
        result = graphopt.compile(source, tmp_path / "out", recipe=Recipe("r", "", passes, 9))
        assert [p.name for p in result.passes] == ran


PASS = '[[pass]]\nuse = "apply-rules"\n'

WRONG = {
    "no TOML": (
        "rounds == 2",
        "the recipe is not TOML: Invalid value (at line 1, column 9)\n  at: r.toml",
    ),
    "an unknown key": (
        f"round = 2\n{PASS}",
        "a recipe has no key 'round'\n  at: r.toml\n  help: did you mean 'rounds'?",
    ),
    "a key like none": (
        f"x = 2\n{PASS}",
        "a recipe has no key 'x'\n  at: r.toml\n  help: known: description, after, like, rounds, precision, pass",
    ),
    "no passes": (
        "rounds = 2",
        'the recipe lists no passes\n  at: r.toml\n  help: begin each with [[pass]] and use = "NAME"',
    ),
    "one table of a pass": (
        '[pass]\nuse = "apply-rules"',
        'the recipe lists no passes\n  at: r.toml\n  help: begin each with [[pass]] and use = "NAME"',
    ),
    "passes that are no tables": (
        'pass = ["apply-rules"]',
        'the recipe lists no passes\n  at: r.toml\n  help: begin each with [[pass]] and use = "NAME"',
    ),
    "rounds of text": (
        f'rounds = "2"\n{PASS}',
        "rounds is '2'\n  at: r.toml\n  help: rounds is a whole number from 1 to 100",
    ),
    "rounds that are a truth": (
        f"rounds = true\n{PASS}",
        "rounds is True\n  at: r.toml\n  help: rounds is a whole number from 1 to 100",
    ),
    "no rounds": (
        f"rounds = 0\n{PASS}",
        "rounds is 0\n  at: r.toml\n  help: rounds is a whole number from 1 to 100",
    ),
    "a description that is none": (
        f"description = 2\n{PASS}",
        "description is 2\n  at: r.toml\n  help: a description is a text",
    ),
    "a pass without a name": (
        '[[pass]]\nphases = ["fold"]',
        'a pass has no name\n  at: r.toml, pass 1\n  help: write use = "NAME"',
    ),
    "an unknown pass": (
        f'{PASS}[[pass]]\nuse = "fold-constant"',
        "there is no pass 'fold-constant'\n  at: r.toml, pass 2\n  help: did you mean 'fold-constants'?",
    ),
    "a pass like none": (
        '[[pass]]\nuse = "x"',
        "there is no pass 'x'\n  at: r.toml, pass 1\n  help: passes: apply-rules, calibrate, compare-outputs, "
        "convert-opset, eliminate-common-subexpressions, fold-constants, inline-bodies, inline-branches, "
        "inline-functions, lower-operators, lower-precision, refine-weights, remove-dead-code, unpack-sequences, "
        "widen-types",
    ),
    "an unknown option": (
        f'{PASS}phase = ["fold"]',
        "the pass apply-rules has no option 'phase'\n  at: r.toml, pass 1\n  help: did you mean 'phases'?",
    ),
    "an option of a pass that has none": (
        '[[pass]]\nuse = "remove-dead-code"\nhard = true',
        "the pass remove-dead-code has no option 'hard'\n  at: r.toml, pass 1\n  help: it has no options",
    ),
    "an option of another type": (
        f'{PASS}phases = "fold"',
        "the option phases of the pass apply-rules: Input should be a valid array\n  at: r.toml, pass 1",
    ),
    "an item of another type": (
        f'{PASS}phases = ["fold", 3]',
        "the option phases.1 of the pass apply-rules: Input should be a valid string\n  at: r.toml, pass 1",
    ),
}


@pytest.mark.parametrize("case", WRONG)
def test_a_recipe_that_is_wrong(case: str) -> None:
    text, message = WRONG[case]
    with pytest.raises(RecipeError) as error:
        parse_recipe(text, "r", "r.toml")
    assert str(error.value) == message


def test_a_recipe_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(RecipeError) as error:
        Recipe.load(tmp_path / "gone.toml")
    assert str(error.value) == f"there is no recipe file {tmp_path}/gone.toml"
    with pytest.raises(RecipeError) as error:
        Recipe.load("defualt")
    assert str(error.value) == (
        "there is no recipe 'defualt'\n  help: did you mean 'default'? A file's name ends in .toml"
    )


def test_a_recipe_that_is_no_text(tmp_path: Path) -> None:
    path = tmp_path / "r.toml"
    path.write_bytes(b"\xff\xfe")
    with pytest.raises(RecipeError) as error:
        Recipe.load(path)
    assert str(error.value) == (
        f"cannot read the recipe {path}: 'utf-8' codec can't decode byte 0xff in position 0: invalid start byte"
    )


NOT_THERE = {
    "phase": (
        ApplyRules(("simplfy",)),
        "there is no phase 'simplfy'\n  at: recipe custom, pass 1, apply-rules\n  help: did you mean 'simplify'?",
    ),
    "phase like none": (
        ApplyRules(("x",)),
        "there is no phase 'x'\n  at: recipe custom, pass 1, apply-rules\n"
        "  help: phases: simplify, fold, fuse, legalize, quantize, prune",
    ),
    "rule": (
        ApplyRules(("fold",), ("conv_bn_fuse",)),
        "there is no rule 'conv_bn_fuse'\n  at: recipe custom, pass 1, apply-rules\n"
        "  help: did you mean 'conv_bn_fold'?",
    ),
}


@pytest.mark.parametrize("case", NOT_THERE)
def test_what_a_pass_is_told_to_do_must_be_there(tmp_path: Path, case: str) -> None:
    step, message = NOT_THERE[case]
    source = save(SMALL, tmp_path / "source.onnx")
    with pytest.raises(RecipeError) as error:
        graphopt.compile(source, tmp_path / "out", recipe=[step])
    assert str(error.value) == message
    assert not (tmp_path / "out").exists()


def test_a_rule_that_is_skipped_is_there(tmp_path: Path) -> None:
    source = save(SMALL, tmp_path / "source.onnx")
    recipe = [ApplyRules(("simplify",), ("identity_removal",))]
    result = graphopt.compile(source, tmp_path / "out", recipe=recipe, skip=["identity_removal"])
    assert not result.passes[0].modified


@dataclasses.dataclass(frozen=True)
class Halve(Pass):
    """Takes options of every kind; does nothing."""

    name: ClassVar[str] = "halve"
    how_often: int = 1
    share: float = 0.5
    names: tuple[str, ...] = ()
    hard: bool = False
    where: Path = Path()

    def __post_init__(self) -> None:
        if self.how_often < 1:
            raise ValueError("halve something at least once")

    def apply(self, model: graphopt.Model, context: Context) -> PassResult:
        return PassResult(False)


@pytest.fixture
def halve() -> None:
    register(Halve)


@pytest.mark.usefixtures("halve")
def test_options_have_the_types_of_the_pass() -> None:
    text = '[[pass]]\nuse = "halve"\nhow-often = 3\nshare = 1\nnames = ["a"]\nhard = true\nwhere = "x/y"'
    assert parse_recipe(text, "r", "r.toml").passes == (Halve(3, 1.0, ("a",), True, Path("x/y")),)


OPTIONS = {
    'how-often = "3"': "the option how-often of the pass halve: Input should be a valid integer",
    "how-often = 3.5": "the option how-often of the pass halve: Input should be a valid integer",
    'hard = "yes"': "the option hard of the pass halve: Input should be a valid boolean",
    "share = false": "the option share of the pass halve: Input should be a valid number",
    "how-often = 0": "the pass halve: halve something at least once",
    "how_often = 3": "the pass halve has no option 'how_often'",
}


@pytest.mark.usefixtures("halve")
@pytest.mark.parametrize("option", OPTIONS)
def test_options_are_not_bent_into_shape(option: str) -> None:
    with pytest.raises(RecipeError) as error:
        parse_recipe(f'[[pass]]\nuse = "halve"\n{option}', "r", "r.toml")
    hint = "\n  help: did you mean 'how-often'?" if "_" in option else ""
    assert str(error.value) == f"{OPTIONS[option]}\n  at: r.toml, pass 1{hint}"
