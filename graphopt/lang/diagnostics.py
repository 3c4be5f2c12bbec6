"""Errors in rule files: a stable code, a place, a sentence, a second place where two conflict, and a way out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from graphopt.errors import GraphoptError
from graphopt.lang.source import Span


@dataclass(frozen=True)
class Diagnostic:
    """One error. `other` is a second place with a word on what stands there."""

    code: str
    message: str
    span: Span
    help: str | None = None
    other: tuple[Span, str] | None = None

    def __str__(self) -> str:
        parts = [f"{self.span.place}: error {self.code}: {self.message}", self.span.excerpt()]
        if self.other is not None:
            span, note = self.other
            parts += [f"{span.place}: {note}", span.excerpt()]
        if self.help:
            parts.append(f"help: {self.help}")
        return "\n".join(parts)


class RuleError(GraphoptError):
    """A rule file with errors: all that were found, in the order of their places."""

    def __init__(self, diagnostics: Sequence[Diagnostic]) -> None:
        self.diagnostics = tuple(sorted(diagnostics, key=lambda d: (d.span.source.name, d.span.start, d.code)))
        super().__init__("\n\n".join(str(d) for d in self.diagnostics))


class Diagnostics:
    """Collects errors while checking goes on."""

    def __init__(self) -> None:
        self.found: list[Diagnostic] = []
        self._told: set[tuple[str, str, str, int]] = set()

    def add(
        self, code: str, message: str, span: Span, help: str | None = None, other: tuple[Span, str] | None = None
    ) -> None:
        """Note an error; one that is there already, at the same place, is not told twice."""
        error = Diagnostic(code, message, span, help, other)
        key = (code, message, span.source.name, span.start)
        if key not in self._told:
            self._told.add(key)
            self.found.append(error)

    def raise_if_any(self) -> None:
        if self.found:
            raise RuleError(self.found)
