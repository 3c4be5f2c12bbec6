"""Rule files that become tests by themselves.

Each file in pass/ is read and checked without an error, and can be compiled for every opset. Each file in fail/ begins
with a comment that holds the exact text of its errors. A file may consist of several, divided by lines `--- NAME`: they
are checked together, as the files of one run are.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from graphopt.graph.schemas import NEWEST_OPSET
from graphopt.lang import tree
from graphopt.lang.check import check, find_errors
from graphopt.lang.diagnostics import RuleError
from graphopt.lang.parse import parse
from graphopt.lang.target import TargetFacts
from graphopt.rewrite.rule import CompiledRule, applies_to, expand_operators, root_statements
from tests.lang.codes import CODES

FOLDER = Path(__file__).parent
PASS = sorted((FOLDER / "pass").glob("*.rules"))
FAIL = sorted((FOLDER / "fail").glob("*.rules"))
TARGETS = [TargetFacts("toy", lacks=frozenset({"HardSwish", "Gelu"}))]
"""What legalizing rules are for, in these tests."""

CODE = re.compile(r"error (GR\d{3}):")


def read(path: Path) -> list[tree.RuleFile]:
    """The rule files that one file of a test holds; what does not parse raises."""
    text = path.read_text(encoding="utf-8")
    _, *others = re.split(r"^--- (\S+)\n", text, flags=re.MULTILINE)
    if not others:
        return [parse(text, path.name)]
    return [parse(part, name) for name, part in zip(others[::2], others[1::2], strict=True)]


def expected_errors(path: Path) -> str:
    """The comment that the file begins with; lines of it end without blanks."""
    lines: list[str] = []
    for line in path.read_text(encoding="utf-8").splitlines():
        if not line.startswith("#"):
            break
        lines.append(line.removeprefix("#").removeprefix(" "))
    return "\n".join(lines)


def errors_of(path: Path) -> str:
    try:
        found = RuleError(find_errors(read(path), TARGETS))
    except RuleError as syntax_errors:
        found = syntax_errors
    return "\n".join(line.rstrip() for line in str(found).splitlines())


@pytest.mark.parametrize("path", PASS, ids=lambda p: p.stem)
def test_pass(path: Path):
    files = read(path)
    check(files)
    rules = [rule for file in files for rule in file.rules]
    compiled = [c for rule in rules for opset in range(7, NEWEST_OPSET[""] + 1) for c in compile_for(rule, opset)]
    assert {c.rule.name for c in compiled} == {rule.name for rule in rules}


def compile_for(rule: tree.Rule, opset: int) -> list[CompiledRule]:
    variants = [v for v in expand_operators(rule) if applies_to(v, {"": opset})]
    return [CompiledRule(v, {"": opset}, {}, first) for v in variants for first in range(len(root_statements(v)))]


@pytest.mark.parametrize("path", FAIL, ids=lambda p: p.stem)
def test_fail(path: Path):
    assert errors_of(path) == expected_errors(path)


def test_every_code_has_a_file_that_fails_with_it():
    shown = {code for path in FAIL for code in CODE.findall(expected_errors(path))}
    assert sorted(CODES - shown) == []


def test_the_codes_of_a_file_stand_in_its_name():
    """So that a code is found in the folder: GR020_unbound.rules fails with GR020, whatever else."""
    for path in FAIL:
        assert path.stem.split("_")[0] in CODE.findall(expected_errors(path)), path.name
