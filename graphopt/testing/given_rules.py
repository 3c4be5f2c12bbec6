"""The rules that a test is about, however it names them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from graphopt.errors import UsageError, did_you_mean
from graphopt.lang import tree
from graphopt.rewrite.library import installed_files, known_targets, load_rules

RuleSource = str | Path | tree.Rule | Sequence[str | Path | tree.Rule]
"""A text of several lines is rules, a text of one line the name of a rule that ships or is installed, a path a rule
file or a folder of them."""


def rules_of(given: RuleSource) -> list[tree.Rule]:
    """Rules, checked together with those that ship.

    Raises:
        RuleError: a text or file is wrong.
        UsageError: there is no such file, or no rule of this name.
    """
    several = not isinstance(given, str | Path | tree.Rule)
    return [rule for one in (given if several else (given,)) for rule in _rules(one)]


def _rules(given: str | Path | tree.Rule) -> Iterator[tree.Rule]:
    if isinstance(given, tree.Rule):
        yield given
    elif isinstance(given, str) and "\n" not in given:
        yield _named(given)
    else:
        files = installed_files()
        mine = files.add_path(given) if isinstance(given, Path) else [files.add_text(given, "<text>")]
        files.check(known_targets)
        yield from (rule for file in mine for rule in file.rules)


def _named(name: str) -> tree.Rule:
    known = {rule.name: rule for rule in load_rules()}
    if name not in known:
        raise UsageError(f"there is no rule {name!r}", help=did_you_mean(name, known))
    return known[name]
