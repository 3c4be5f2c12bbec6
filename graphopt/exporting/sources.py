"""The user's source files that some code can reach through imports."""

from __future__ import annotations

import ast
import hashlib
import importlib.machinery
import sys
from collections.abc import Iterator
from pathlib import Path

from graphopt.exporting.user_code import is_user_file


class Sources:
    """Files by the name of their module, with all that they import, wherever in the file the import stands.

    Installed packages are left out: their versions stand for them.
    """

    def __init__(self) -> None:
        self.files: dict[str, Path] = {}

    def add(self, module: str) -> None:
        """Take in a module, if it is the user's, and what it imports."""
        waiting = [module]
        while waiting:
            name = waiting.pop()
            path = _file_of(name)
            if name in self.files or path is None or not is_user_file(str(path)):
                continue
            self.files[name] = path
            waiting += _imports(path, name)

    def digests(self) -> Iterator[tuple[str, bytes]]:
        """Name and sha256 of each file, in order."""
        for name in sorted(self.files):
            yield name, hashlib.sha256(self.files[name].read_bytes()).digest()


def _file_of(name: str) -> Path | None:
    """The source file of a module, which is not imported for it."""
    if name in sys.modules:
        found = getattr(sys.modules[name], "__file__", None)
        return Path(found) if found else None
    folders: list[str] | None = None
    spec = None
    parts = name.split(".")
    for count in range(1, len(parts) + 1):
        spec = importlib.machinery.PathFinder.find_spec(".".join(parts[:count]), folders)
        if spec is None:
            return None
        folders = list(spec.submodule_search_locations or [])
    return Path(spec.origin) if spec is not None and spec.origin else None


def _imports(path: Path, name: str) -> Iterator[str]:
    """The modules that a file may import, and the packages that they lie in. A name that is no module does no harm."""
    if path.suffix != ".py":
        return
    package = name if path.name == "__init__.py" else name.rpartition(".")[0]
    try:
        tree = ast.parse(path.read_bytes())
    except SyntaxError:
        return
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield from _with_packages(alias.name)
        elif isinstance(node, ast.ImportFrom):
            parents = package.split(".")[: len(package.split(".")) - node.level + 1] if node.level else []
            base = ".".join([*parents, *([node.module] if node.module else [])])
            yield from _with_packages(base)
            yield from (f"{base}.{alias.name}" for alias in node.names if alias.name != "*")


def _with_packages(name: str) -> Iterator[str]:
    parts = name.split(".")
    for count in range(1, len(parts) + 1):
        yield ".".join(parts[:count])
