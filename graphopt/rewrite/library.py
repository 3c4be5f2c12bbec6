"""Rule files: those that ship, those of installed packages, and those that a user names."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from importlib import resources
from importlib.metadata import entry_points
from importlib.resources.abc import Traversable
from pathlib import Path

from graphopt.errors import UsageError, did_you_mean
from graphopt.lang import tree
from graphopt.lang.check import check
from graphopt.lang.parse import parse

ENTRY_POINTS = "graphopt.rules"


def load_rules(extra: Sequence[Path] = (), skip: Sequence[str] = ()) -> tuple[tree.Rule, ...]:
    """Every rule of a run, checked together, in the order of files and places.

    Args:
        extra: rule files, or folders of them, of the user.
        skip: names of rules to leave out.

    Raises:
        RuleError: the errors of all files.
        UsageError: a file cannot be read, or a rule to skip does not exist.
    """
    files = [*shipped_files(), *_offered_files(), *(f for path in extra for f in user_files(path))]
    check(files)
    rules = [rule for file in files for rule in file.rules]
    names = {rule.name for rule in rules}
    for name in skip:
        if name not in names:
            raise UsageError(f"there is no rule {name!r} to skip", help=did_you_mean(name, names))
    return tuple(rule for rule in rules if rule.name not in skip)


def shipped_files() -> list[tree.RuleFile]:
    """The rule files that come with graphopt."""
    return list(_parse_all(resources.files("graphopt.rules"), ""))


def _offered_files() -> Iterator[tree.RuleFile]:
    for entry in sorted(entry_points(group=ENTRY_POINTS), key=lambda e: e.name):
        yield from _parse_all(resources.files(entry.value), f"{entry.name}/")


def _parse_all(folder: Traversable, prefix: str) -> Iterator[tree.RuleFile]:
    for item in sorted(folder.iterdir(), key=lambda i: i.name):
        if item.is_dir():
            yield from _parse_all(item, f"{prefix}{item.name}/")
        elif item.name.endswith(".rules"):
            yield parse(item.read_text(encoding="utf-8"), f"{prefix}{item.name}")


def user_files(path: Path) -> Iterator[tree.RuleFile]:
    """The rule file at a path, or all of a folder.

    Raises:
        UsageError: there is nothing to read.
        RuleError: a file is not of the language.
    """
    paths: Iterable[Path] = sorted(path.rglob("*.rules")) if path.is_dir() else [path]
    found = False
    for file in paths:
        found = True
        try:
            text = file.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            reason = error.strerror if isinstance(error, OSError) else "it is not text"
            raise UsageError(f"cannot read the rule file {file}: {reason}") from None
        yield parse(text, str(file))
    if not found:
        raise UsageError(f"the folder {path} holds no .rules files")
