"""Reading rule files together, with those that they use; all their errors are told at once."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from importlib.resources.abc import Traversable
from pathlib import Path

from graphopt.errors import UsageError, did_you_mean
from graphopt.lang import tree as t
from graphopt.lang.check import find_errors
from graphopt.lang.diagnostics import Diagnostic, RuleError
from graphopt.lang.parse import parse_leniently
from graphopt.lang.target import TargetFacts

SUFFIX = ".rules"


class RuleFiles:
    """Rule files as they are read, each once, those that a file uses before itself.

    Errors name files by their paths, below `root` if there is one.
    """

    def __init__(self, root: Path | None = None) -> None:
        self.files: list[t.RuleFile] = []
        self._root = root
        self._errors: list[Diagnostic] = []
        self._seen: dict[Path, t.RuleFile] = {}

    def add_package(self, folder: Traversable, prefix: str = "", *, shipped: bool = False) -> None:
        """All files of a package's folder and those below it; what they use is among them. `shipped`: they come with
        graphopt."""
        for item in sorted(folder.iterdir(), key=lambda i: i.name):
            if item.is_dir():
                self.add_package(item, f"{prefix}{item.name}/", shipped=shipped)
            elif item.name.endswith(SUFFIX):
                read = self._read(item.read_text(encoding="utf-8"), f"{prefix}{item.name}")
                file = replace(read, is_shipped=shipped)
                self.files.append(file)
                if isinstance(item, Path):
                    self._seen[item.resolve()] = file

    def add_path(self, path: Path) -> list[t.RuleFile]:
        """The rule file at a path, or all of a folder and those below it; those that are there already as well.

        Raises:
            UsageError: there is nothing to read.
        """
        paths = rule_paths(path)
        for file in paths:
            if file.resolve() not in self._seen:
                self._add_file(file, path if path.is_dir() else path.parent)
        return [self._seen[file.resolve()] for file in paths]

    def add_text(self, text: str, name: str) -> t.RuleFile:
        """Rules that are in no file, and so use none. Errors name them by `name`."""
        file = self._read(text, name)
        for use in file.uses:
            self._refuse(use, "rules that are in no file use none", "write them into a file")
        self.files.append(file)
        return file

    def find_errors(self, targets: Callable[[], Sequence[TargetFacts]] = tuple) -> list[Diagnostic]:
        """Everything that is wrong with the files, in themselves and together; `targets` gives those that
        legalizing rules can be for, and is asked only where there are such rules."""
        is_asked = any(rule.phase == "legalize" for file in self.files for rule in file.rules)
        return [*self._errors, *find_errors(self.files, targets() if is_asked else ())]

    def check(self, targets: Callable[[], Sequence[TargetFacts]] = tuple) -> None:
        """
        Raises:
            RuleError: something is wrong with the files.
        """
        errors = self.find_errors(targets)
        if errors:
            raise RuleError(errors)

    @property
    def rules(self) -> list[t.Rule]:
        """All rules, those of others before those that come with graphopt: the order in which they are tried, where
        neither priority nor size tells."""
        return [rule for file in sorted(self.files, key=lambda f: f.is_shipped) for rule in file.rules]

    def _add_file(self, path: Path, folder: Path) -> None:
        file = self._read(read_text(path), self._name(path))
        self._seen[path.resolve()] = file
        for use in file.uses:
            self._add_used(use, path, folder)
        self.files.append(file)

    def _read(self, text: str, name: str) -> t.RuleFile:
        file, errors = parse_leniently(text, name)
        self._errors.extend(errors)
        return file

    def _name(self, path: Path) -> str:
        is_below = self._root is not None and path.is_relative_to(self._root)
        return path.relative_to(self._root).as_posix() if self._root is not None and is_below else str(path)

    def _add_used(self, use: t.Use, path: Path, folder: Path) -> None:
        """A file that another one uses: it must lie in the folder that was asked for, or below it, so that a rule
        file that came from elsewhere cannot reach out."""
        target = path.parent / use.path
        try:
            resolved, exists = target.resolve(), target.is_file()
        except (OSError, ValueError):
            self._refuse(use, f"{use.path[:80]!r} is no name of a file", None)
            return
        if not resolved.is_relative_to(folder.resolve()):
            self._refuse(
                use, f"{use.path!r} lies outside of the folder {self._name(folder)}", "copy the file into the folder"
            )
        elif not use.path.endswith(SUFFIX):
            self._refuse(use, f"{use.path!r} is no rule file", f"the name of a rule file ends in {SUFFIX}")
        elif not exists:
            near = sorted(str(f.relative_to(path.parent)) for f in path.parent.rglob(f"*{SUFFIX}"))
            self._refuse(use, f"there is no file {use.path!r}", did_you_mean(use.path, near))
        elif resolved not in self._seen:
            self._add_file(target, folder)

    def _refuse(self, use: t.Use, message: str, help: str | None) -> None:
        self._errors.append(Diagnostic("GR008", message, use.span, help))


def rule_paths(path: Path) -> list[Path]:
    """The file at a path, or all rule files of a folder and those below it.

    Raises:
        UsageError: the folder has none.
    """
    if not path.is_dir():
        return [path]
    found = sorted(path.rglob(f"*{SUFFIX}"))
    if not found:
        raise UsageError(f"the folder {path} holds no {SUFFIX} files")
    return found


def read_text(path: Path) -> str:
    """The text of a rule file; a mark of its encoding at the start does not count.

    Raises:
        UsageError: it cannot be read, or is no text.
    """
    try:
        return path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not text"
        raise UsageError(f"cannot read the rule file {path}: {reason}") from None
