"""`graphopt rules coverage`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from graphopt.errors import GraphoptError
    from graphopt.lang.source import Span
    from graphopt.pipeline.coverage import Coverage, RuleCoverage
    from graphopt.rewrite.watch import Tally

LONGEST = 48
"""Characters of a condition that are shown."""

COLUMNS = ("rule", "tried", "matched", "fired", "models", "declined", "unknown")


def coverage(
    models: Annotated[list[Path], typer.Argument(metavar="MODEL...", help="ONNX models.", show_default=False)],
    recipe: Annotated[str, typer.Option(help="Name of a recipe, or a TOML file.")] = "default",
    rules: Annotated[
        list[Path] | None, typer.Option(help="A rule file of yours, or a folder. May be repeated.")
    ] = None,
    skip: Annotated[list[str] | None, typer.Option(help="A rule to leave out. May be repeated.")] = None,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON document, and nothing else.")] = False,
) -> None:
    """Count, over models, how often each rule was tried, matched and fired, and which condition stopped it.

    Models are rewritten in memory, as a compile would, and not compared; nothing is written.
    """
    from graphopt.cli.console import emit, progress
    from graphopt.pipeline.coverage import cover
    from graphopt.pipeline.recipe import Recipe
    from graphopt.rewrite.library import load_rules

    skipped = skip or []
    known = load_rules(rules or [], skipped)
    found = cover(models, known, Recipe.load(recipe), skipped=skipped, progress=progress())
    if json:
        emit(_document(found))
    elif found.models:
        _show(found)
    if found.failures:
        raise _failure(found, len(models))


def _failure(found: Coverage, asked: int) -> GraphoptError:
    from graphopt.errors import ModelError

    if asked == 1:
        return found.failures[0][1]
    left_out = len(found.failures)
    whys = "".join(f"\n{path}: {error}" for path, error in found.failures).replace("\n", "\n  ")
    return ModelError(f"{left_out} of {asked} models {'is' if left_out == 1 else 'are'} left out{whys}")


# --- for people ---


def _show(found: Coverage) -> None:
    from graphopt.cli.console import console
    from graphopt.report.tables import table

    out = console()
    fired = [c for c in found.rules if c.tally.fired]
    idle = [c for c in found.rules if not c.tally.fired and c.is_used]
    unused = [(c.rule.place, c.rule.phase) for c in found.rules if not c.is_used]
    noun = "model" if len(found.models) == 1 else "models"
    out.print(f"{len(found.models)} {noun}: {len(fired)} of {len(found.rules)} rules fired\n")
    numbers = range(1, len(COLUMNS))
    table(out, "Fired", COLUMNS, [row for c in fired for row in _rows(c)], numbers=numbers, limit=None)
    table(out, "Never fired", COLUMNS, [row for c in idle for row in _rows(c)], numbers=numbers, limit=None)
    table(
        out,
        "Not used: no pass of the recipe has their phase, or no model their opset",
        ("rule", "phase"),
        unused,
        limit=None,
    )


def _rows(covered: RuleCoverage) -> list[tuple[str, ...]]:
    """The figures of a rule, and below them one line for each condition that stopped it."""
    tally = covered.tally
    counts = (tally.fired, covered.models, tally.declined.total(), tally.unknown.total())
    first = (covered.rule.place, str(tally.tried), str(tally.matched), *(str(c) if c else "" for c in counts))
    below = [
        (f"  {_line(span)}  {_text(span)}", "", "", "", "", str(declined or ""), str(unknown or ""))
        for span, declined, unknown in _conditions(tally)
    ]
    return [first, *below]


def _conditions(tally: Tally) -> list[tuple[Span, int, int]]:
    """Where attempts stopped that had matched, in the order of the file: how many declined, how many did not know."""
    spans = sorted({*tally.declined, *tally.unknown}, key=lambda span: (span.start, span.end))
    return [(span, tally.declined[span], tally.unknown[span]) for span in spans]


def _line(span: Span) -> str:
    line, column = span.source.position(span.start)
    return f"{line}:{column}"


def _text(span: Span) -> str:
    text = " ".join(span.source.text[span.start : span.end].split())
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 3]}..."


# --- for programs ---


def _document(found: Coverage) -> dict[str, Any]:
    return {
        "schema": "graphopt.rules.coverage/1",
        "models": [str(path) for path in found.models],
        "rules": [_rule(covered) for covered in found.rules],
        "failures": [
            {"model": str(path), "message": error.message, "where": error.where, "help": error.help}
            for path, error in found.failures
        ],
    }


def _rule(covered: RuleCoverage) -> dict[str, Any]:
    tally = covered.tally
    return {
        "rule": covered.rule.place,
        "name": covered.rule.name,
        "phase": covered.rule.phase,
        "used": covered.is_used,
        "tried": tally.tried,
        "matched": tally.matched,
        "fired": tally.fired,
        "models": covered.models,
        "declined": tally.declined.total(),
        "unknown": tally.unknown.total(),
        "conditions": [
            {"place": span.place, "text": _text(span), "declined": declined, "unknown": unknown}
            for span, declined, unknown in _conditions(tally)
        ],
    }
