"""Mutants themselves: that they are what they say, and that a sample of them meets the fate that it should."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from graphopt.lang import tree as t
from graphopt.lang.parse import parse
from graphopt.processes import Lost
from tests.mutants.__main__ import Session, rate, report, reviewed, shipped_mutants
from tests.mutants.kept import KeptTrials
from tests.mutants.mutant import Mutant
from tests.mutants.operators import OPERATORS, mutants_of
from tests.mutants.trial import Trial, put_on_trial

RULE = """opset 9..13
rule folded<T: float32|float64>:
    "A product, and a sum that broadcasts."
    match:
        y = MatMul(a: T[m, _], const b: T[_, n])
        z = Add(y, const c?)
    let:
        d = (c ?? zeros([n])) * 2 - 1
        e = b.transpose(reverse([0, 1])[1:])
    where:
        c.rank < 2 and c.size == n
        0.5 <= 1.5
    rewrite:
        z = Gemm(a, e, d, alpha=1.0)
"""


@pytest.fixture
def rule() -> t.Rule:
    return parse(RULE, "mine.rules").rules[0]


def ids(rule: t.Rule, operator: str) -> list[str]:
    start = f"folded: {operator}: "
    return [m.id.removeprefix(start) for m in mutants_of(rule) if m.operator == operator]


@pytest.mark.parametrize(
    ("operator", "wanted"),
    [
        ("drop condition", ["c.rank < 2 and c.size == n -> true", "0.5 <= 1.5 -> true"]),
        ("drop alternative", ["c.rank < 2 and c.size == n -> c.rank < 2", "c.rank < 2 and c.size == n -> c.size == n"]),
        ("change default", ["c ?? zeros([n]) -> zeros([n])", "c ?? zeros([n]) -> (c ?? ones([n]))"]),
        ("change order", ["reverse([0, 1]) -> [0, 1]"]),
        ("drop function", ["b.transpose(reverse([0, 1])[1:]) -> b"]),
        ("forget attribute", [", alpha=1.0 -> nothing"]),
        ("forget input", [", d -> nothing"]),
        ("widen dtype", ["nothing -> |int32", "nothing -> |int64"]),
        ("widen rank", ["T[m, _] -> T[...]", "m -> _", "T[_, n] -> T[...]", "n -> _"]),
        ("widen opset", ["opset 9..13 -> opset 8..13", "opset 9..13 -> opset 7..13", "opset 9..13 -> opset 9..14"]),
    ],
)
def test_operators_change_what_they_say(rule: t.Rule, operator: str, wanted: list[str]) -> None:
    assert ids(rule, operator) == wanted


def test_operands_are_swapped_and_signs_changed(rule: t.Rule) -> None:
    assert "a, e -> e, a" in ids(rule, "swap operands")
    assert "e, d -> d, e" in ids(rule, "swap operands")
    assert "(c ?? zeros([n])) * 2 - 1 -> (((c ?? zeros([n])) * 2) + (1))" in ids(rule, "change sign")
    assert "c.rank < 2 -> ((c.rank) <= (2))" in ids(rule, "change sign")


def test_whole_numbers_move_by_one_and_others_by_a_hundredth(rule: t.Rule) -> None:
    found = ids(rule, "change constant")
    assert {"2 -> 3", "2 -> 1", "0 -> (-1)", "0.5 -> 0.505"} <= set(found)


def test_what_only_profit_depends_on_is_left_alone() -> None:
    text = RULE.replace("    where:", "        f = e.rank + 1\n        g = f * 3\n    when:\n        g > 5\n    where:")
    file = parse(text, "mine.rules")
    assert [m.id for m in mutants_of(file.rules[0])] == [m.id for m in mutants_of(parse(RULE, "mine.rules").rules[0])]


def test_a_mutant_is_the_file_with_one_change(rule: t.Rule) -> None:
    (mutant,) = [m for m in mutants_of(rule) if m.operator == "forget attribute"]
    assert mutant.text == RULE.replace(", alpha=1.0", "")


def test_a_mutant_stands_alone_in_its_file(rule: t.Rule) -> None:
    text = f"# a comment\n{RULE}\n# another\nopset >= 9\nrule last:\n    order once\n"
    (mutant,) = [m for m in mutants_of(parse(text, "mine.rules").rules[0]) if m.operator == "forget attribute"]
    alone = f"\n{RULE}\n\nopset >= 9\n\n\n"
    assert mutant.alone == alone.replace(", alpha=1.0", "")


def test_operands_that_commute_are_not_swapped() -> None:
    text = RULE.replace("Gemm(a, e, d, alpha=1.0)", "Add(MatMul(a, e), d)")
    swapped = [m.edit.old for m in mutants_of(parse(text, "mine.rules").rules[0]) if m.operator == "swap operands"]
    assert "a, e" in swapped
    assert "MatMul(a, e), d" not in swapped


def test_a_kill_is_kept_and_a_survivor_is_tried_again_by_another_verifier(
    rule: t.Rule, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    killed, survivor, other = mutants_of(rule)[:3]
    kept = KeptTrials(tmp_path, 60, 0)
    for trial in (Trial(killed, "killed", "wrong", 0.5), Trial(survivor, "survives", "", 2.0)):
        kept.put(trial)
        assert kept.find(trial.mutant) == (trial, trial.fate)
    assert kept.find(other) == (None, None)
    assert KeptTrials(tmp_path, 61, 0).find(killed) == (None, None)
    monkeypatch.setattr("tests.mutants.kept.sources_digest", lambda: "others")
    assert kept.find(killed) == (Trial(killed, "killed", "wrong", 0.5), "killed")
    assert kept.find(survivor) == (None, "survives")


def test_what_is_done_before_an_interruption_is_kept(
    rule: t.Rule, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = mutants_of(rule)[:2]

    def interrupted(tasks: Sequence[Mutant], *_: object, **__: object) -> Iterator[tuple[Mutant, Trial]]:
        yield tasks[0], Trial(tasks[0], "killed", "wrong")
        raise KeyboardInterrupt

    monkeypatch.setattr("tests.mutants.__main__.in_processes", interrupted)
    session = Session(KeptTrials(tmp_path, 60, 0), [])
    for _ in range(2):
        with pytest.raises(KeyboardInterrupt):
            session.run([first, second], jobs=1, again=False)
    assert [t.mutant.id for t in session.done] == [first.id, first.id, second.id]


def test_a_process_that_dies_kills_no_mutant(rule: t.Rule, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mutant = mutants_of(rule)[0]

    def dying(*_: object, **__: object) -> list[tuple[Mutant, Lost]]:
        return [(mutant, Lost("it died", "", 1.0))]

    monkeypatch.setattr("tests.mutants.__main__.in_processes", dying)
    session = Session(KeptTrials(tmp_path, 60, 0), [])
    session.run([mutant], jobs=1, again=False)
    assert session.done == [Trial(mutant, "survives", "it died", 1.0)]
    assert session.kept.find(mutant) == (None, None)


def test_every_operator_makes_something_of_shipped_rules() -> None:
    made = list(shipped_mutants())
    assert {m.operator for m in made} == set(OPERATORS)
    assert len({m.id for m in made}) == len(made)
    assert len(made) > 300


def test_reviewed_mutants_are_there() -> None:
    assert set(reviewed()) <= {m.id for m in shipped_mutants()}


SAMPLE = {
    "matmul_bn_fold: drop operand: beta - mean * k -> (beta)": "killed",
    "matmul_add_to_gemm: drop condition: broadcasts_to(c.shape, [m, n]) -> true": "killed",
    "transpose_transpose: change order: first[second] -> second[first]": "killed",
    "dropout_inference: drop condition: training == none or not all(training) -> true": "killed",
    "conv_bn_fold: forget input: , b2 -> nothing": "killed",
    "matmul_bn_fold: widen rank: T[_, _] -> T[...]": "killed",
}


@pytest.mark.parametrize("name", SAMPLE)
def test_a_sample_meets_its_fate(name: str) -> None:
    (mutant,) = [m for m in shipped_mutants() if m.id == name]
    assert put_on_trial(mutant, instances=60, seed=0).fate == SAMPLE[name]


def test_a_narrower_rule_is_told_from_a_wrong_one() -> None:
    (mutant,) = [m for m in shipped_mutants(["conv_bn_fold"]) if m.id.endswith("change constant: -1 -> (-2)")]
    assert put_on_trial(mutant, instances=20, seed=0).fate == "narrower"


def test_a_mutant_that_the_check_refuses_is_rejected(rule: t.Rule) -> None:
    mutant = next(m for m in mutants_of(rule) if m.id.endswith("n -> _"))
    trial = put_on_trial(mutant, instances=1, seed=0)
    assert (trial.fate, trial.note) == ("rejected", "GR020 n is not bound")


def test_the_report_counts_and_names_survivors(rule: t.Rule) -> None:
    mutants: list[Mutant] = mutants_of(rule)
    trials = [Trial(mutants[0], "killed", ""), Trial(mutants[1], "survives", ""), Trial(mutants[2], "narrower", "")]
    lines = report(trials, {mutants[1].id: "it is as right"})
    assert rate(trials) == 0.5
    assert lines[-1] == f"survives: {mutants[1].id}\n  it is as right"
    assert "| all | 3 | 0 | 1 | 1 | 1 |" in lines
    assert "killed: 50.0% of those that are neither rejected nor narrower" in lines
    assert "        100.0% of these without those that are known to be equivalent" in lines
