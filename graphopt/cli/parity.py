"""`graphopt parity run`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from graphopt.cli.group import group
from graphopt.suite import REPRODUCTIONS

if TYPE_CHECKING:
    from graphopt.suite.runner import SuiteResult


def parity_app() -> typer.Typer:
    """The verbs under `graphopt parity`."""
    return group("Keep compiled models as right and as small as they were.", {"run": run})


def run(
    suite: Annotated[Path, typer.Argument(metavar="SUITE.toml", help="The suite.", show_default=False)],
    jobs: Annotated[int, typer.Option(min=1, help="Processes.")] = 1,
    filter: Annotated[str | None, typer.Option(help="Only cases whose name holds this, or fits it as a glob.")] = None,
    update: Annotated[bool, typer.Option("--update", help="Write the lock file beside the suite.")] = False,
    cache: Annotated[
        bool, typer.Option("--cache/--no-cache", help="Skip what ran before with the same content.")
    ] = True,
    reproductions: Annotated[
        Path, typer.Option(help="Where models, inputs and commands of what failed are written.")
    ] = REPRODUCTIONS,
    junit: Annotated[Path | None, typer.Option(help="Write JUnit's XML to this file.")] = None,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON document, and nothing else.")] = False,
) -> None:
    """Compile every case of a suite, and hold it to what is expected and to the lock file. Exits with 1 if it fails."""
    from graphopt.cli.console import console, emit, progress
    from graphopt.errors import ParityError
    from graphopt.report.tables import table
    from graphopt.suite.cache import ResultCache
    from graphopt.suite.junit import junit as to_junit
    from graphopt.suite.runner import run_suite

    found = run_suite(
        suite,
        jobs=jobs,
        pattern=filter,
        update=update,
        cache=ResultCache() if cache else None,
        reproductions=reproductions,
        progress=progress(),
    )
    if junit is not None:
        _write(junit, to_junit(suite.stem, found.results, found.changes))
    if json:
        emit(_document(suite, found))
    else:
        rows = [
            (r.name, _figure(r.figures, "nodes"), _figure(r.figures, "max-rel"), _state(r.ok)) for r in found.results
        ]
        table(console(), str(suite), ("case", "nodes", "max rel", ""), rows, numbers=(1, 2), limit=None)
        for line in _lines(found):
            console().print(line)
    if not found.ok:
        failed = sum(not result.ok for result in found.results)
        raise ParityError(
            f"{failed} of {len(found.results)} cases fail, {len(found.changes.worse)} figures got worse",
            help="reproductions lie in " + str(reproductions) if found.reproductions else None,
        )


def _state(ok: bool) -> str:
    return "ok" if ok else "FAILS"


def _figure(figures: dict[str, float], name: str) -> str:
    return f"{figures[name]:.4g}" if name in figures else ""


def _lines(found: SuiteResult) -> list[str]:
    from graphopt.report.text import printable

    lines: list[str] = []
    for result in found.results:
        problems = [result.error] if result.error is not None else list(result.problems)
        lines += [f"{result.name}: {problem}" for problem in problems]
    for title, some in (
        ("worse", found.changes.worse),
        ("better", found.changes.better),
        ("new", found.changes.new),
        ("gone", found.changes.gone),
    ):
        lines += [f"{title}: {line}" for line in some]
    cached = sum(result.cached for result in found.results)
    lines.append(f"{sum(r.ok for r in found.results)} of {len(found.results)} cases ok, {cached} as they were before")
    return [printable(line) for line in lines]


def _document(suite: Path, found: SuiteResult) -> dict[str, object]:
    return {
        "schema": "graphopt.suite/1",
        "suite": str(suite),
        "ok": found.ok,
        "cases": [result.to_json() for result in found.results],
        "worse": list(found.changes.worse),
        "better": list(found.changes.better),
        "new": list(found.changes.new),
        "gone": list(found.changes.gone),
        "reproductions": {name: str(path) for name, path in found.reproductions.items()},
    }


def _write(path: Path, content: bytes) -> None:
    from graphopt.errors import OutputError
    from graphopt.graph.files import whole_file

    try:
        with whole_file(path) as stream:
            stream.write(content)
    except OSError as error:
        raise OutputError(f"cannot write {path}: {error.strerror}") from None
