"""What the builder's messages mean: the table in messages.toml, and plain text for those that are not in it."""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

_NOISE = re.compile(r"catchCudaError|cudaError 35")
_API_ERROR = re.compile(r"Error Code \d+: [\w ]+? \((.*)\)\s*$", re.DOTALL)
_SOURCE_PLACE = re.compile(r"\s+In [^/]* at /[^\s)]+|^\[\S+\]\s+", re.DOTALL)
_ASSERTION = re.compile(r"^Assertion failed: (.*?)(?:: ([A-Z].*))?$", re.DOTALL)
_QUOTED = re.compile(r'&& "(.+)"\.?$', re.DOTALL)


@dataclass(frozen=True)
class Meaning:
    """A message in plain words.

    Attributes:
        reason: what is wrong.
        help: what to do.
        about_sizes: whether other shapes for the dynamic inputs might cure it.
        operators: the only ones that it can be about, for messages that name no node.
    """

    reason: str
    help: str | None = None
    about_sizes: bool = False
    operators: tuple[str, ...] = ()


@dataclass(frozen=True)
class Entry:
    """One row of the table: what to look for, and what it means; reason and help may use groups as \\1."""

    pattern: str
    reason: str
    help: str | None = None
    about_sizes: bool = False
    operators: tuple[str, ...] = ()


@cache
def table() -> tuple[Entry, ...]:
    """All rows, in the order in which they are tried."""
    text = files("graphopt.backends").joinpath("messages.toml").read_text("utf-8")
    rows: list[dict[str, Any]] = tomllib.loads(text)["message"]
    return tuple(Entry(operators=tuple(row.pop("operators", ())), **row) for row in rows)


def meaning(message: str) -> Meaning:
    """What a message of the parser or the builder means. One that is not in the table is only freed of noise."""
    text = "\n".join(line for line in message.splitlines() if not _NOISE.search(line)).strip()
    for entry in table():
        found = re.search(entry.pattern, text, re.DOTALL)
        if found:
            reason = _bare(found.expand(entry.reason))
            help = found.expand(entry.help) if entry.help else None
            return Meaning(reason, help, entry.about_sizes, entry.operators)
    return Meaning(plain_text(text))


def plain_text(message: str) -> str:
    """A message without the library's own source places, error numbers and C++ conditions."""
    text = _SOURCE_PLACE.sub("", message)
    found = _API_ERROR.search(text)
    text = found[1] if found else text
    quoted = _QUOTED.search(text)
    if quoted:
        return _bare(quoted[1])
    assertion = _ASSERTION.match(text)
    if assertion:
        text = assertion[2] or assertion[1]
    return _bare(text)


def _bare(text: str) -> str:
    return " ".join(text.split()).rstrip(".")
