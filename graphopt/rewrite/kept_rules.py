"""The rules that ship, as trees that were read and checked once: to do it anew takes longer than a small model does.

What is kept is a file in the user's cache, named by a digest of all that the trees follow from: the text of the rules,
the code that reads and checks them (by size and time, as Python itself knows its compiled modules), and the versions
of Python, lark and onnx. After any change the name is another one, so that nothing kept is ever out of date.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import pickle  # noqa: TID251 - read by an Unpickler that makes trees and nothing else, whatever the file says
import sys
import time
from collections.abc import Iterable, Iterator
from importlib import import_module
from importlib.metadata import version
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any

from graphopt.caches import cache_root
from graphopt.errors import GraphoptError
from graphopt.graph.files import whole_file
from graphopt.lang import tree as t

MODULES = frozenset({"graphopt.lang.tree", "graphopt.lang.source"})
"""All that trees are made of. A kept file that names anything else is not read."""

CODE = ("graph", "lang", "targets")
"""The folders whose content decides what a rule means and whether it is right."""

UNUSED = 30 * 86_400.0
"""Seconds after which what other versions kept goes."""

DIGEST = 32
"""Bytes of the digest in front of the data."""


def key_of(rules: Traversable) -> str | None:
    """What the trees of a folder of rules are kept under; None where code or rules are no plain files."""
    code = Path(__file__).parents[1]
    if not isinstance(rules, Path) or not code.is_dir():
        return None
    digest = hashlib.sha256()
    for part in (sys.version, version("lark"), version("onnx")):
        digest.update(part.encode() + b"\0")
    for path in _below(code / folder for folder in CODE):
        found = path.stat()
        digest.update(f"{path} {found.st_size} {found.st_mtime_ns}\0".encode())
    for path in _below([rules]):
        digest.update(f"{path} {path.stat().st_size}\0".encode() + path.read_bytes())
    return digest.hexdigest()


def _below(folders: Iterable[Path]) -> Iterator[Path]:
    for folder in folders:
        yield from (p for p in sorted(folder.rglob("*")) if p.is_file() and p.suffix != ".pyc")


def find(key: str) -> list[t.RuleFile] | None:
    """The trees that were kept under a key; None where there are none, or they are damaged."""
    try:
        kept = (_folder() / key).read_bytes()
        if hashlib.sha256(kept[DIGEST:]).digest() != kept[:DIGEST]:
            return None
        return _Trees(io.BytesIO(kept[DIGEST:])).load()
    except (OSError, RuntimeError, pickle.UnpicklingError):
        return None


def keep(key: str, files: list[t.RuleFile]) -> None:
    """Keep trees that have no errors. Where the cache cannot be written, they are read anew the next time."""
    data = pickle.dumps(files, protocol=5)
    with contextlib.suppress(OSError, RuntimeError, GraphoptError):
        folder = _folder()
        folder.mkdir(parents=True, exist_ok=True)
        for other in folder.iterdir():
            if time.time() - other.stat().st_mtime > UNUSED:
                other.unlink()
        with whole_file(folder / key) as stream:
            stream.write(hashlib.sha256(data).digest() + data)


def _folder() -> Path:
    return cache_root() / "rules"


class _Trees(pickle.Unpickler):
    """Makes trees and nothing else, whatever the file says."""

    def find_class(self, module_name: str, global_name: str) -> Any:
        found = getattr(import_module(module_name), global_name, None) if module_name in MODULES else None
        if not (isinstance(found, type) and found.__module__ in MODULES):
            raise pickle.UnpicklingError(f"{module_name}.{global_name} is no part of a tree")
        return found
