"""Rule files that become tests by themselves.

Each file in pass/ is read and checked without an error, and can be compiled for every opset. Each file in fail/ begins
with a comment that holds the exact text of its errors. A file may consist of several, divided by lines `--- NAME`: they
are read from a folder, as the files of one run are.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from graphopt.graph.schemas import NEWEST_OPSET
from graphopt.lang import tree
from graphopt.lang.check import find_errors
from graphopt.lang.diagnostics import Diagnostic, RuleError
from graphopt.lang.files import RuleFiles
from graphopt.lang.parse import parse_leniently
from graphopt.lang.target import TargetFacts
from graphopt.rewrite.rule import CompiledRule, applies_to, expand_operators, root_statements
from tests.lang.codes import CODES

FOLDER = Path(__file__).parent
PASS = sorted((FOLDER / "pass").glob("*.rules"))
FAIL = sorted((FOLDER / "fail").glob("*.rules"))
TARGETS = [TargetFacts("toy", lacks=frozenset({"HardSwish", "Gelu"}))]
"""What legalizing rules are for, in these tests."""

CODE = re.compile(r"error (GR\d{3}):")


def read(path: Path, folder: Path) -> tuple[list[tree.RuleFile], list[Diagnostic]]:
    """The rule files that one file of a test holds, and everything that is wrong with them."""
    text = path.read_text(encoding="utf-8")
    _, *others = re.split(r"^--- (\S+)\n", text, flags=re.MULTILINE)
    if not others:
        file, errors = parse_leniently(text, path.name)
        return [file], [*errors, *find_errors([file], TARGETS)]
    for name, part in zip(others[::2], others[1::2], strict=True):
        (folder / name).write_text(part, encoding="utf-8")
    files = RuleFiles()
    files.add_path(folder)
    return files.files, files.find_errors(lambda: TARGETS)


def expected_errors(path: Path) -> str:
    """The comment that the file begins with; lines of it end without blanks."""
    lines: list[str] = []
    for line in path.read_text(encoding="utf-8").splitlines():
        if not line.startswith("#"):
            break
        lines.append(line.removeprefix("#").removeprefix(" "))
    return "\n".join(lines)


def errors_of(path: Path, folder: Path) -> str:
    """The text of the errors, places in the folder without it."""
    _, errors = read(path, folder)
    text = str(RuleError(errors)).replace(f"{folder}/", "").replace(str(folder), "FOLDER")
    return "\n".join(line.rstrip() for line in text.splitlines())


@pytest.mark.parametrize("path", PASS, ids=lambda p: p.stem)
def test_pass(path: Path, tmp_path: Path):
    files, errors = read(path, tmp_path)
    assert str(RuleError(errors)) == ""
    rules = [rule for file in files for rule in file.rules]
    compiled = [c for rule in rules for opset in range(7, NEWEST_OPSET[""] + 1) for c in compile_for(rule, opset)]
    assert {c.rule.name for c in compiled} == {rule.name for rule in rules}


def compile_for(rule: tree.Rule, opset: int) -> list[CompiledRule]:
    variants = [v for v in expand_operators(rule) if applies_to(v, {"": opset})]
    return [CompiledRule(v, {"": opset}, {}, first) for v in variants for first in range(len(root_statements(v)))]


@pytest.mark.parametrize("path", FAIL, ids=lambda p: p.stem)
def test_fail(path: Path, tmp_path: Path):
    assert errors_of(path, tmp_path) == expected_errors(path)


def test_every_code_has_a_file_that_fails_with_it():
    shown = {code for path in FAIL for code in CODE.findall(expected_errors(path))}
    assert sorted(CODES - shown) == []


def test_the_codes_of_a_file_stand_in_its_name():
    """So that a code is found in the folder: GR020_unbound.rules fails with GR020, whatever else."""
    for path in FAIL:
        assert path.stem.split("_")[0] in CODE.findall(expected_errors(path)), path.name
