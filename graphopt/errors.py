"""Every error that a user can cause: what was wrong, where, and what to do.

Anything else that escapes is a bug, and shows as a traceback on purpose.
"""

from __future__ import annotations

from collections.abc import Iterable

EXIT_GOOD = 0
EXIT_PARITY = 1
EXIT_INPUT = 2
EXIT_BACKEND = 3
EXIT_INTERRUPTED = 130


class GraphoptError(Exception):
    """Base of all errors that are the user's to mend; `exit_code` is what the process ends with."""

    exit_code = EXIT_INPUT

    def __init__(self, message: str, *, where: str | None = None, help: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.where = where
        self.help = help

    def __str__(self) -> str:
        lines = [self.message]
        if self.where:
            lines.append(f"  at: {self.where}")
        if self.help:
            lines.append(f"  help: {self.help}")
        return "\n".join(lines)


class UsageError(GraphoptError):
    """An option or argument that cannot be meant as written."""


class ModelError(GraphoptError):
    """A model file that cannot be read, or contradicts itself or the ONNX standard."""


class DataError(GraphoptError):
    """Sample data that cannot be read, or does not fit the model's inputs."""


class RecipeError(GraphoptError):
    """A recipe with an unknown key, pass, rule or value."""


class OutputError(GraphoptError):
    """A result that could not be written."""


class RewriteError(GraphoptError):
    """Rules that do not end, or a rule or pass that broke the graph."""


class NothingChanged(RewriteError):
    """A rule that fired, and left everything as it was."""


class RuleProofError(GraphoptError):
    """A rule that is not proved."""


class RuleVerdictError(GraphoptError):
    """A rule that is wrong, or that could not be exercised."""

    exit_code = EXIT_PARITY


class ExportError(GraphoptError):
    """A torch module that could not be exported."""


class ParityError(GraphoptError):
    """Outputs differ by more than the tolerance."""

    exit_code = EXIT_PARITY


class BackendError(GraphoptError):
    """A backend that is missing, or that refused the model."""

    exit_code = EXIT_BACKEND


def did_you_mean(word: str, known: Iterable[str]) -> str | None:
    """A help line that suggests the known word most like this one; None where none is like it."""
    from difflib import get_close_matches

    near = get_close_matches(word, list(known), 1)
    return f"did you mean {near[0]!r}?" if near else None
