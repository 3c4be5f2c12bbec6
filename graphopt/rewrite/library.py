"""Rule files: those that ship, those of installed packages, and those that a user names."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from importlib import resources
from importlib.metadata import entry_points
from pathlib import Path
from typing import TYPE_CHECKING

from graphopt.errors import GraphoptError, UsageError, did_you_mean
from graphopt.lang import tree
from graphopt.lang.target import TargetFacts
from graphopt.rewrite import kept_rules

if TYPE_CHECKING:
    from graphopt.lang.files import RuleFiles

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
    alone = not extra and not entry_points(group=ENTRY_POINTS)
    rules = _shipped_rules() if alone else load_files(extra).rules
    names = {rule.name for rule in rules}
    for name in skip:
        if name not in names:
            raise UsageError(f"there is no rule {name!r} to skip", help=did_you_mean(name, names))
    return tuple(rule for rule in rules if rule.name not in skip)


def _shipped_rules() -> list[tree.Rule]:
    """The rules that come with graphopt, checked: now, or when they were read the last time."""
    key = kept_rules.key_of(resources.files("graphopt.rules"))
    files = kept_rules.find(key) if key is not None else None
    if files is None:
        files = load_files().files
        if key is not None:
            kept_rules.keep(key, files)
    return [rule for file in files for rule in file.rules]


def load_files(extra: Sequence[Path] = ()) -> RuleFiles:
    """All rule files of a run, checked together: `axes` and `prune` declarations are in them as well.

    Raises:
        RuleError: the errors of all files.
        UsageError: a file cannot be read.
    """
    files = installed_files()
    for path in extra:
        files.add_path(path)
    files.check(known_targets)
    return files


def installed_files() -> RuleFiles:
    """The rule files that come with graphopt and with installed packages, not checked yet."""
    from graphopt.lang.files import RuleFiles

    files = RuleFiles()
    files.add_package(resources.files("graphopt.rules"), shipped=True)
    for entry in sorted(entry_points(group=ENTRY_POINTS), key=lambda e: e.name):
        try:
            folder = resources.files(entry.value)
        except GraphoptError:
            raise
        except Exception as error:  # importing it registers its functions: foreign code, which may raise anything
            raise UsageError(
                f"the rules {entry.name} of an installed package cannot be read: {error}",
                help=f"install the package {entry.value} anew, or remove it",
            ) from None
        files.add_package(folder, f"{entry.name}/")
    return files


def shipped_files() -> list[tree.RuleFile]:
    """The rule files that come with graphopt."""
    from graphopt.lang.files import RuleFiles

    files = RuleFiles()
    files.add_package(resources.files("graphopt.rules"), shipped=True)
    return files.files


def common_target(names: Sequence[str]) -> TargetFacts | None:
    """What rules may rely on where a model is compiled for several targets; None where nothing is known of one, or
    where they want their codes at different places."""
    facts = {target.name: target for target in known_targets()}
    found = [facts.get(name) for name in dict.fromkeys(names)]
    if not found:
        return None
    first, *others = found
    for other in others:
        if first is None or other is None or first.placement != other.placement:
            return None
        if first.activations is not other.activations:
            return None
        first = TargetFacts(
            f"{first.name}, {other.name}",
            first.lacks | other.lacks,
            first.has & other.has,
            first.dtypes & other.dtypes,
            first.placement,
            first.quantizes & other.quantizes,
            first.activations,
            first.refuses | other.refuses,
        )
    return first


@cache
def known_targets() -> tuple[TargetFacts, ...]:
    """What rules may ask of the targets of our own backends."""
    from graphopt.graph.dtypes import DType
    from graphopt.targets import load, names

    found: list[TargetFacts] = []
    for name in names():
        target = load(name)
        dtypes = frozenset(DType[d] for d in target.weight_dtypes) or frozenset(DType)
        found.append(
            TargetFacts(
                name,
                frozenset(target.lacks_operators),
                dtypes=dtypes,
                placement=target.placement,
                quantizes=frozenset(target.quantizes),
                activations=DType[target.activations],
                refuses=frozenset(target.refuses),
            )
        )
    return tuple(found)
