"""Rules of the user: files, folders, rules left out, and one that is wrong on purpose."""

from __future__ import annotations

import json
from pathlib import Path

import onnx
import pytest

import graphopt
from graphopt.errors import RuleProofError, UsageError
from graphopt.rewrite.library import load_rules
from graphopt.verify.kept import KeptVerdicts, Settings
from graphopt.verify.verify import verify_rule
from tests.pipeline.command import EARLIER, contents, save, write
from tests.pipeline.command import graphopt as command
from tests.traps.compiling import operators

MODEL = """<ir_version: 8, opset_import: ["" : 17]>
main (float[n,3] x) => (float[n,3] y) {
    r = Relu(x)
    i = Identity(r)
    a = Abs(i)
    y = Neg(a)
}"""

ABS = """
opset >= 7
phase simplify

rule abs_of_relu:
    "What Relu made is no less than zero."
    equal exact
    priority 1
    match:
        a = Relu(x)
        y = Abs(a)
    rewrite:
        y = Relu(x)
"""

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

NEGATIVE = """<ir_version: 8, opset_import: ["" : 17]>
main (float[n,3] x) => (float[n,3] y) {
    i = Identity(x)
    a = Abs(i)
    y = Exp(a)
}"""


def compile(folder: Path, model: str = MODEL, **options: object) -> list[str]:
    """Operators of the compiled model."""
    source = save(model, folder / "source.onnx")
    graphopt.compile(source, folder / "out", **{"allow_unproved": True, **options})
    return operators(onnx.load(folder / "out" / "model.onnx"))


def test_a_rule_file(tmp_path: Path) -> None:
    (tmp_path / "abs.rules").write_text(ABS)
    assert compile(tmp_path) == ["Relu", "Abs", "Neg"]
    assert compile(tmp_path, rules=[tmp_path / "abs.rules"]) == ["Relu", "Neg"]
    lines = (tmp_path / "out" / "journal.jsonl").read_text().splitlines()
    assert [json.loads(line)["rule"] for line in lines] == [
        "identity_removal@simplify/identity.rules:6",
        f"abs_of_relu@{tmp_path}/abs.rules:5",
    ]


def test_a_rule_that_is_not_proved_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "wrong.rules"
    path.write_text(WRONG)
    with pytest.raises(RuleProofError) as error:
        compile(tmp_path, rules=[path], allow_unproved=False)
    assert str(error.value) == (
        f"not proved: abs_is_nothing@{path}:5\n"
        f"  help: prove with `graphopt rules verify {path}`, or take the risk with --allow-unproved"
    )


def test_a_rule_that_is_proved_is_used_and_told_of(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GRAPHOPT_CACHE", str(tmp_path / "cache"))
    path = tmp_path / "abs.rules"
    text = ABS.replace("equal exact", "equal real")  # the bits of -0.0 differ
    path.write_text(text)
    rule = next(r for r in load_rules([path]) if r.name == "abs_of_relu")
    verdict = verify_rule(rule, instances=10)
    KeptVerdicts(tmp_path / "cache").put(rule, Settings(10, 0, conditions=True), verdict)
    assert compile(tmp_path, rules=[path], allow_unproved=False) == ["Relu", "Neg"]
    report = json.loads((tmp_path / "out" / "report.json").read_text())
    assert report["proofs"] == {"identity_removal@simplify/identity.rules:6": "holds", rule.place: verdict.kind}
    path.write_text(text.replace("Abs(", "Neg("))  # another rule, whatever its name
    with pytest.raises(RuleProofError):
        compile(tmp_path, rules=[path], allow_unproved=False)


def test_a_folder_of_rule_files(tmp_path: Path) -> None:
    write(tmp_path / "rules", {"deep/er/abs.rules": ABS.encode(), "notes.txt": b"no rules"})
    assert compile(tmp_path, rules=[tmp_path / "rules"]) == ["Relu", "Neg"]


def test_a_folder_without_rule_files(tmp_path: Path) -> None:
    (tmp_path / "rules").mkdir()
    with pytest.raises(UsageError) as error:
        compile(tmp_path, rules=[tmp_path / "rules"])
    assert str(error.value) == f"the folder {tmp_path}/rules holds no .rules files"


def test_a_rule_file_that_is_no_text(tmp_path: Path) -> None:
    (tmp_path / "a.rules").write_bytes(b"\xff\xfe")
    with pytest.raises(UsageError) as error:
        compile(tmp_path, rules=[tmp_path / "a.rules"])
    assert str(error.value) == f"cannot read the rule file {tmp_path}/a.rules: it is not text"


def test_a_rule_that_is_left_out(tmp_path: Path) -> None:
    assert compile(tmp_path, skip=["identity_removal"]) == ["Relu", "Identity", "Abs", "Neg"]


def test_a_rule_of_ones_own_that_is_left_out(tmp_path: Path) -> None:
    (tmp_path / "abs.rules").write_text(ABS)
    assert compile(tmp_path, rules=[tmp_path / "abs.rules"], skip=["abs_of_relu"]) == ["Relu", "Abs", "Neg"]


def test_a_rule_that_cannot_be_left_out(tmp_path: Path) -> None:
    with pytest.raises(UsageError) as error:
        compile(tmp_path, skip=["identity_remval"])
    assert str(error.value) == "there is no rule 'identity_remval' to skip\n  help: did you mean 'identity_removal'?"


def test_a_wrong_rule_is_found_out(tmp_path: Path) -> None:
    """On the real command line: the pass is named, the exit code is that of parity, and nothing is written."""
    (tmp_path / "wrong.rules").write_text(WRONG)
    save(NEGATIVE, tmp_path / "model.onnx")
    write(tmp_path / "out", EARLIER)
    before = contents(tmp_path)
    ended = command("compile", "model.onnx", "-o", "out", "--rules", "wrong.rules", "--allow-unproved", folder=tmp_path)
    lines = ended.err.splitlines()
    assert (ended.code, ended.out) == (1, "")
    assert (
        lines[0] == "error: the model after the pass apply-rules is not equal to the original within the contract exact"
    )
    assert lines[1].startswith("  output 'y': ")
    assert lines[-1] == (
        "  help: nothing was written; --on-parity-failure rollback undoes this one change, "
        "--skip abs_is_nothing leaves the rule out"
    )
    assert contents(tmp_path) == before


def test_a_wrong_rule_is_found_out_at_the_end(tmp_path: Path) -> None:
    (tmp_path / "wrong.rules").write_text(WRONG)
    save(NEGATIVE, tmp_path / "model.onnx")
    arguments = ["compile", "model.onnx", "-o", "out", "--rules", "wrong.rules", "--check", "end", "--json"]
    arguments.append("--allow-unproved")
    ended = command(*arguments, folder=tmp_path)
    assert ended.code == 1
    error = json.loads(ended.out)["error"]
    assert (error["kind"], error["exit_code"]) == ("ParityError", 1)
    assert error["message"].startswith("the model as written is not equal to the original within the contract exact\n")
    assert not (tmp_path / "out").exists()
