"""One changed rule."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from graphopt.lang import tree as t
from graphopt.lang.check import find_errors
from graphopt.lang.parse import parse_leniently
from graphopt.lang.source import Span

RULE = re.compile(r"rule (\w+)")

ALLOWED = frozenset({"GR021"})
"""What the check may say of a mutant that is still worth verifying: that a name is not read any more."""


@dataclass(frozen=True)
class Edit:
    """A stretch of the file and what stands there instead."""

    span: Span
    text: str

    @property
    def old(self) -> str:
        return " ".join(self.span.source.text[self.span.start : self.span.end].split())


@dataclass(frozen=True)
class Mutant:
    """A rule with one edit. `id` is the same as long as the rule says the same at that place."""

    rule: t.Rule
    operator: str
    edit: Edit
    number: int = 1

    @property
    def id(self) -> str:
        new = " ".join(self.edit.text.split()) or "nothing"
        again = f" #{self.number}" if self.number > 1 else ""
        return f"{self.rule.name}: {self.operator}: {self.edit.old or 'nothing'} -> {new}{again}"

    @property
    def text(self) -> str:
        """The whole file."""
        whole, span = self.edit.span.source.text, self.edit.span
        return whole[: span.start] + self.edit.text + whole[span.end :]

    @property
    def alone(self) -> str:
        """The same without comments and other rules, each line where it was: what those say is no matter to it."""
        owner = ""
        kept: list[str] = []
        for line in self.text.splitlines():
            if line[:1].strip():  # rules begin at the left margin, and so does what stands between them
                begins = RULE.match(line)
                owner = begins[1] if begins else ""
            kept.append(line if owner in ("", self.rule.name) and not line.startswith("#") else "")
        return "\n".join(kept) + "\n"

    def build(self) -> tuple[t.Rule | None, str]:
        """The changed rule, or None and the first thing that the check has against it."""
        file, errors = parse_leniently(self.alone, self.edit.span.source.name)
        found = errors or find_errors([file])
        serious = [e for e in found if e.code not in ALLOWED]
        if serious:
            return None, f"{serious[0].code} {serious[0].message}"
        return next(r for r in file.rules if r.name == self.rule.name), ""


def numbered(mutants: Iterable[Mutant]) -> list[Mutant]:
    """Mutants of one rule, those that read alike told apart by their number, and none twice."""
    seen: dict[str, int] = {}
    texts: set[str] = set()
    found: list[Mutant] = []
    for mutant in mutants:
        if mutant.text in texts or mutant.text == mutant.edit.span.source.text:
            continue
        texts.add(mutant.text)
        seen[mutant.id] = seen.get(mutant.id, 0) + 1
        found.append(Mutant(mutant.rule, mutant.operator, mutant.edit, seen[mutant.id]))
    return found
