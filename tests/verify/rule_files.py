"""Rules of the test folders, each checked by itself: what other rules of its file match is no matter here."""

from __future__ import annotations

import re
from pathlib import Path

from graphopt.lang import tree as t
from graphopt.lang.check import find_errors
from graphopt.lang.parse import parse_leniently

FOLDER = Path(__file__).parent


def rules_in(folder: str) -> dict[str, t.Rule]:
    """The rules of a folder beside this file, by name."""
    found: dict[str, t.Rule] = {}
    for path in sorted((FOLDER / folder).glob("*.rules")):
        header, *texts = re.split(r"^(?=rule )", path.read_text("utf-8"), flags=re.MULTILINE)
        for text in texts:
            rule = one_rule(header + text, path.name)
            assert rule.name not in found
            found[rule.name] = rule
    return found


def one_rule(text: str, name: str = "test.rules") -> t.Rule:
    """The one rule of a text."""
    file, errors = parse_leniently(text, name)
    problems = [*errors, *find_errors([file], ())]
    assert not problems, "\n\n".join(map(str, problems))
    (rule,) = file.rules
    return rule
