"""`graphopt rules`: the rule files by themselves, without a model."""

from __future__ import annotations

import io
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from graphopt.cli.coverage import coverage
from graphopt.cli.group import group
from graphopt.cli.rules_verify import verify

if TYPE_CHECKING:
    from graphopt.lang.diagnostics import Diagnostic
    from graphopt.lang.registry import Function
    from graphopt.lang.source import Span
    from graphopt.lang.tree import Rule, RuleFile

Json = Annotated[bool, typer.Option("--json", help="Print one JSON document, and nothing else.")]

STDIN = "-"


def list_rules(
    paths: Annotated[
        list[Path] | None, typer.Argument(metavar="[FILE|FOLDER]...", help="Rule files of yours, in place of ours.")
    ] = None,
    json: Json = False,
) -> None:
    """List rules by phase, with their contracts and sentences: those that come with graphopt, or those of files."""
    from graphopt.cli.console import console, emit
    from graphopt.lang.words import PHASES
    from graphopt.report.tables import table
    from graphopt.rewrite.library import load_files

    files = load_files(paths or [])
    given = [f for path in paths or [] for f in files.add_path(path)]
    rules = [rule for file in given or files.files for rule in file.rules]
    rules.sort(key=lambda rule: PHASES.index(rule.phase))
    if json:
        emit({"schema": "graphopt.rules.list/1", "rules": [_rule_json(rule) for rule in rules]})
        return
    rows = [(rule.name, rule.phase, _contract(rule), rule.doc) for rule in rules]
    table(console(), "", ("rule", "phase", "equal", "what it does"), rows, limit=None)


def _contract(rule: Rule) -> str:
    return rule.equal if rule.error is None else f"{rule.equal}({rule.error})"


def _rule_json(rule: Rule) -> dict[str, Any]:
    opset = rule.opset
    return {
        "name": rule.name,
        "phase": rule.phase,
        "equal": rule.equal,
        "error": rule.error,
        "order": rule.order,
        "priority": rule.priority,
        "opset": [opset.low, opset.high] if opset is not None else [None, None],
        "doc": rule.doc,
        "place": rule.name_span.line_place,
    }


# --- check ---


def check(
    paths: Annotated[
        list[Path] | None,
        typer.Argument(metavar="[FILE|FOLDER]...", help="What to check, in place of ours."),
    ] = None,
    json: Json = False,
) -> None:
    """Check rule files, together with the installed rules as a compile would see them. Exits with 2 on errors."""
    from graphopt.cli.console import emit
    from graphopt.errors import UsageError
    from graphopt.report.text import printable
    from graphopt.rewrite.library import installed_files, known_targets

    files = installed_files()
    ours = list(files.files)
    given = [f for path in paths or [] for f in files.add_path(path)] or ours
    errors = _concerning(given, ours, files.find_errors(known_targets))
    counts = f"{_count(len(given), 'file')}, {_count(sum(len(f.rules) for f in given), 'rule')}"
    if json:
        emit(_errors_json(given, errors))
    elif errors:
        print(printable("\n\n".join(str(error) for error in errors)))
    else:
        print(f"{counts}: no errors")
    if errors:
        codes = ", ".join(sorted({error.code for error in errors}))
        raise UsageError(
            f"{_count(len(errors), 'error')} in {counts}", help=f"`graphopt rules explain CODE` tells of {codes}"
        )


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def _concerning(given: list[RuleFile], ours: list[RuleFile], errors: list[Diagnostic]) -> list[Diagnostic]:
    """Errors in the files that were asked for and in those that they use, in their order; an error between two rules
    is told where one of them is."""
    others = {id(file.source) for file in ours} - {id(file.source) for file in given}
    told: list[Diagnostic] = []
    for error in errors:
        spans = [error.span, *([error.other[0]] if error.other is not None else [])]
        if any(id(span.source) not in others for span in spans):
            told.append(error)
    return sorted(told, key=lambda e: (e.span.source.name, e.span.start, e.code))


def _errors_json(files: list[RuleFile], errors: list[Diagnostic]) -> dict[str, Any]:
    return {
        "schema": "graphopt.rules.check/1",
        "files": len(files),
        "rules": sum(len(file.rules) for file in files),
        "errors": [
            {
                "code": error.code,
                "message": error.message,
                **_place(error.span),
                "help": error.help,
                "other": {**_place(error.other[0]), "note": error.other[1]} if error.other is not None else None,
            }
            for error in errors
        ],
    }


def _place(span: Span) -> dict[str, Any]:
    line, column = span.source.position(span.start)
    end_line, end_column = span.source.position(span.end)
    return {"file": span.source.name, "line": line, "column": column, "end_line": end_line, "end_column": end_column}


# --- fmt ---


def fmt(
    paths: Annotated[
        list[str], typer.Argument(metavar="FILE|FOLDER|-...", help="What to format; - reads stdin and writes stdout.")
    ],
    check: Annotated[bool, typer.Option("--check", help="Only tell what would change; exits with 2 then.")] = False,
) -> None:
    """Write rule files in the one look. All of them or, if one is not of the language, none."""
    from graphopt.errors import UsageError
    from graphopt.lang.files import read_text, rule_paths

    texts = {STDIN: _stdin()} if STDIN in paths else {}
    files = {str(f): f for path in paths if path != STDIN for f in rule_paths(Path(path))}
    texts.update((name, read_text(file)) for name, file in files.items())
    formatted = _formatted(texts)
    changed = [name for name, text in formatted.items() if text != texts[name]]
    for name in changed:
        if name != STDIN:
            print(name)
    if check:
        if changed:
            raise UsageError(
                f"{len(changed)} of {_count(len(texts), 'file')} would change", help="format with `graphopt rules fmt`"
            )
        return
    for name in changed:
        if name != STDIN:
            _replace(files[name], formatted[name])
    if STDIN in formatted:
        sys.stdout.write(formatted[STDIN])


def _formatted(texts: dict[str, str]) -> dict[str, str]:
    """All texts in the one look, or the errors of all of them."""
    from graphopt.lang.diagnostics import RuleError
    from graphopt.lang.format import format_text

    formatted: dict[str, str] = {}
    errors: list[Diagnostic] = []
    for name, text in texts.items():
        try:
            formatted[name] = format_text(text, name if name != STDIN else "<stdin>")
        except RuleError as error:
            errors += error.diagnostics
    if errors:
        raise RuleError(errors)
    return formatted


def _stdin() -> str:
    from graphopt.errors import UsageError

    try:
        return io.TextIOWrapper(io.BytesIO(sys.stdin.buffer.read()), encoding="utf-8-sig").read()
    except UnicodeDecodeError:
        raise UsageError("what comes from stdin is not text") from None


def _replace(path: Path, text: str) -> None:
    """Write a file that is there, whole, with the permissions that it has; of a link, the file that it leads to."""
    from graphopt.graph.files import whole_file

    target = path.resolve()
    mode = target.stat().st_mode & 0o777
    with whole_file(target) as stream:
        stream.write(text.encode())
    target.chmod(mode)


# --- explain and functions ---


def explain(
    code: Annotated[str | None, typer.Argument(metavar="CODE", help="Such as GR012.", show_default=False)] = None,
    markdown: Annotated[bool, typer.Option("--markdown", help="Print all codes as a page of Markdown.")] = False,
    json: Json = False,
) -> None:
    """Tell what an error code means, with an example that has the error and one that has not."""
    from graphopt.cli.console import emit
    from graphopt.errors import UsageError
    from graphopt.lang.codes import as_markdown, find_code
    from graphopt.rewrite.library import known_targets

    if markdown == (code is not None):
        raise UsageError(
            "explain takes a code, or --markdown for all of them",
            help="for example `graphopt rules explain GR012`; errors in rule files have their codes beside them",
        )
    if code is None:
        sys.stdout.write(as_markdown(known_targets))
        return
    found = find_code(code)
    if json:
        names = ("code", "title", "text", "bad", "good")
        fields = {name: getattr(found, name) for name in names}
        emit({"schema": "graphopt.rules.explain/1", **fields, "beside": dict(found.beside)})
        return
    print(f"{found.code}: {found.title}\n\n{found.text}\n")
    _show_rules("Wrong:", found.bad)
    _show_rules("Right:", found.good)
    for name, text in found.beside.items():
        _show_rules(f"with {name}:", text)


def _show_rules(title: str, text: str) -> None:
    """A piece of the language, indented, and in colours where the terminal has them."""
    from rich.syntax import Syntax

    from graphopt.cli.console import console
    from graphopt.lang.highlight import RulesLexer

    print(f"{title}\n")
    indented = "".join(f"    {line}" if line.strip() else line for line in text.splitlines(keepends=True))
    if sys.stdout.isatty():
        console().print(Syntax(indented, RulesLexer(), theme="ansi_dark", background_color="default"))
    else:
        print(indented)


def functions(json: Json = False) -> None:
    """List the functions that rules can call: those of the language, and those that installed packages add."""
    from graphopt.cli.console import console, emit
    from graphopt.lang.functions import FUNCTIONS
    from graphopt.report.tables import table
    from graphopt.rewrite.library import installed_files

    installed_files()  # importing the packages that bring rules registers their functions
    found = sorted(FUNCTIONS.values(), key=lambda f: f.name)
    if json:
        emit({"schema": "graphopt.rules.functions/1", "functions": [_function_json(f) for f in found]})
        return
    rows = [("\n".join(str(s) for s in f.signatures), f.doc, _added_by(f) or "") for f in found]
    table(console(), "", ("function", "what it gives", "from"), rows, limit=None)


def _function_json(function: Function) -> dict[str, Any]:
    signatures = [str(s) for s in function.signatures]
    return {"name": function.name, "signatures": signatures, "doc": function.doc, "from": _added_by(function)}


def _added_by(function: Function) -> str | None:
    """The module that added a function to the language; None for those that it has by itself."""
    return None if function.origin.startswith("graphopt.lang.") else function.origin


def rules_app() -> typer.Typer:
    """The verbs below `graphopt rules`."""
    verbs = {verb.__name__: verb for verb in (check, verify, fmt, explain, functions, coverage)}
    return group(
        "List, check, verify, format and explain rules, and count what they do.", {"list": list_rules, **verbs}
    )
