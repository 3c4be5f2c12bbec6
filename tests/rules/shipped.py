"""The shipped rules and the cases of their files."""

from __future__ import annotations

from pathlib import Path

from graphopt.rewrite.library import load_rules
from graphopt.testing.cases import read_cases, variants_of

FOLDER = Path(__file__).parent
RULES = {rule.name: rule for rule in load_rules()}
FILES = sorted(FOLDER.glob("*.txt"))
CASES = [case for path in FILES for case in read_cases(path)]
VARIANTS = [variant for case in CASES for variant in variants_of(case)]

ONE_EACH = [variants_of(case)[0] for case in CASES]
"""Each case at its first opset and dtype."""
