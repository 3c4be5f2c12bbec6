"""What each error code means, with an example that has the error and one that has not."""

from __future__ import annotations

import tempfile
import tomllib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any

from graphopt.errors import UsageError, did_you_mean
from graphopt.lang.diagnostics import Diagnostic
from graphopt.lang.files import RuleFiles
from graphopt.lang.target import TargetFacts

EXAMPLE = "example.rules"

Targets = Callable[[], Sequence[TargetFacts]]


@dataclass(frozen=True)
class Code:
    """One code. `beside` are files, by name, that the examples use."""

    code: str
    title: str
    text: str
    bad: str
    good: str
    beside: Mapping[str, str]


@cache
def all_codes() -> dict[str, Code]:
    """Every code, in the order of their numbers."""
    text = resources.files("graphopt.lang").joinpath("codes.toml").read_text(encoding="utf-8")
    return {code: _read(code, entry) for code, entry in sorted(tomllib.loads(text).items())}


def _read(code: str, entry: dict[str, Any]) -> Code:
    beside = {name: text.lstrip("\n") for name, text in entry.get("beside", {}).items()}
    text, bad, good = (entry[key].lstrip("\n") for key in ("text", "bad", "good"))
    return Code(code, entry["title"], text.strip(), bad, good, beside)


def find_code(text: str) -> Code:
    """The code of this name, in whatever case.

    Raises:
        UsageError: there is none.
    """
    found = all_codes().get(text.upper())
    if found is None:
        help_line = did_you_mean(text.upper(), all_codes()) or f"codes: {', '.join(all_codes())}"
        raise UsageError(f"there is no error code {text!r}", help=help_line)
    return found


def errors_of_example(code: Code, text: str, targets: Targets) -> list[Diagnostic]:
    """What is wrong with an example of a code; the errors speak of a file example.rules."""
    with tempfile.TemporaryDirectory() as folder:
        for name, content in {EXAMPLE: text, **code.beside}.items():
            Path(folder, name).write_text(content, encoding="utf-8")
        files = RuleFiles(root=Path(folder))
        files.add_path(Path(folder, EXAMPLE))
        return sorted(files.find_errors(targets), key=lambda d: (d.span.source.name, d.span.start))


def as_markdown(targets: Targets) -> str:
    """All codes as a page: what docs/rule-errors.md holds."""
    return "\n".join([_INTRODUCTION, *(_section(code, targets) for code in all_codes().values())])


_INTRODUCTION = """\
# Errors in rule files

Whatever can be known of a rule before a model is there is checked when the rule is loaded. All errors of all files are
told at once, each with its place, a sentence, the line with carets, a second place where two conflict, and what to do
where that is known. The codes are stable. This page is what `graphopt rules explain --markdown` prints.
"""


def _section(code: Code, targets: Targets) -> str:
    errors = "\n\n".join(str(e) for e in errors_of_example(code, code.bad, targets))
    errors = "\n".join(line.rstrip() for line in errors.splitlines())
    blocks = [
        f"## {code.code}: {code.title}\n\n{code.text}\n",
        f"```rules wrong\n{code.bad}```\n",
        f"```text\n{errors}\n```\n",
        f"```rules right\n{code.good}```\n",
    ]
    blocks += [f"with `{name}`:\n\n```rules right\n{text}```\n" for name, text in code.beside.items()]
    return "\n".join(blocks)
