"""What is in the corpus: the wheels and members that manifest.toml pins."""

from __future__ import annotations

import difflib
import tomllib
from dataclasses import dataclass
from functools import cache
from pathlib import Path, PurePosixPath
from typing import Any


class CorpusError(Exception):
    """Something that the user can mend: the text says what was wrong and what to do."""


@dataclass(frozen=True)
class Member:
    """One file inside a wheel; `size` in bytes."""

    name: str
    path: PurePosixPath
    size: int
    sha256: str
    package: str
    version: str
    licence: str

    @property
    def is_model(self) -> bool:
        return self.path.suffix == ".onnx"


@cache
def members() -> dict[str, Member]:
    """Every member by its name, in the manifest's order."""
    return parse(Path(__file__).with_name("manifest.toml").read_text("utf-8"))


def parse(text: str) -> dict[str, Member]:
    """The members that a manifest pins, by name."""
    found: dict[str, Member] = {}
    for package, wheel in tomllib.loads(text).items():
        for entry in wheel["members"]:
            member = _member(package, wheel, entry)
            if member.name in found:
                raise CorpusError(f"manifest.toml names {member.name!r} twice")
            found[member.name] = member
    return found


def models() -> list[str]:
    """The names of the models, in the manifest's order."""
    return [member.name for member in members().values() if member.is_model]


def member(name: str) -> Member:
    """The member of that name; an unknown one is a CorpusError with a suggestion."""
    try:
        return members()[name]
    except KeyError:
        close = difflib.get_close_matches(name, members(), n=1)
        hint = f"did you mean {close[0]!r}?" if close else "`python -m tests.corpus list` names what there is"
        raise CorpusError(f"the corpus has no {name!r}\n  help: {hint}") from None


def _member(package: str, wheel: dict[str, Any], entry: dict[str, Any]) -> Member:
    path = PurePosixPath(entry["path"])
    if path.is_absolute() or ".." in path.parts:
        raise CorpusError(f"manifest.toml: {path} would leave the corpus folder")
    return Member(
        name=entry["name"],
        path=path,
        size=entry["size"],
        sha256=entry["sha256"],
        package=package,
        version=wheel["version"],
        licence=wheel["licence"],
    )
