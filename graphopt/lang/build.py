"""From lark's parse tree to the syntax tree: files and rules."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from graphopt.lang import tree as t
from graphopt.lang.build_declarations import build_axes, build_prune
from graphopt.lang.build_patterns import build_match, build_targets
from graphopt.lang.diagnostics import Diagnostic, RuleError
from graphopt.lang.expand import expand, variadic_names
from graphopt.lang.expressions import build_expression
from graphopt.lang.source import Source
from graphopt.lang.syntax import Branch, Reader, branches, integer_of, line_text, number_of, text_of, tokens, words


def build_file(source: Source, pieces: Iterable[tuple[Branch, Reader]]) -> tuple[t.RuleFile, list[Diagnostic]]:
    """The syntax tree of parsed statements, and what is wrong with their form.

    Statements before a rule (opset, phase) hold for all rules after them.
    """
    assembled = _File()
    errors: list[Diagnostic] = []
    for piece, reader in pieces:
        try:
            assembled.add(piece, reader)
        except RuleError as error:
            errors.extend(error.diagnostics)
    return assembled.finish(source), errors


class _File:
    def __init__(self) -> None:
        self.phase = "simplify"
        self.opset: t.OpsetRange | None = None
        self.statements: list[t.Statement] = []

    def add(self, piece: Branch, reader: Reader) -> None:
        kind = str(piece.data)
        if kind == "rule":
            self.statements.append(_rule(piece, reader, self.phase, self.opset))
        elif kind == "axes":
            self.statements.append(build_axes(piece, reader, self.opset))
        elif kind == "prune":
            self.statements.append(build_prune(piece, reader))
        elif kind == "use":
            self.statements.append(t.Use(text_of(words(piece, "STRING")[0], reader), reader.span(piece)))
        else:
            if kind == "opset":
                self.opset = _opset(piece, reader)
            else:
                self.phase = str(words(piece, "NAME")[0])
            self.statements.append(_line(kind, piece, reader))

    def finish(self, source: Source) -> t.RuleFile:
        return t.RuleFile(
            source,
            tuple(s for s in self.statements if isinstance(s, t.Use)),
            tuple(s for s in self.statements if isinstance(s, t.Rule)),
            tuple(s for s in self.statements if isinstance(s, t.Axes)),
            tuple(s for s in self.statements if isinstance(s, t.Prune)),
            tuple(self.statements),
        )


def _line(kind: str, tree: Branch, reader: Reader) -> t.Line:
    return t.Line(kind, line_text(tree), reader.span(tree))


def _opset(tree: Branch, reader: Reader) -> t.OpsetRange:
    numbers = [integer_of(w, reader) for w in words(tree, "INT")]
    signs = words(tree, "COMPARE")
    if not signs:
        return t.OpsetRange(numbers[0], numbers[1], reader.span(tree))
    low: int | None = None
    high: int | None = None
    for sign, version in zip(signs, numbers, strict=True):
        if sign == "!=":
            reader.refuse("an opset range has no holes", sign, "write two rules, or a condition on opset in where:")
        if sign in (">=", ">", "=="):
            low = max(version + (sign == ">"), low or 0)
        if sign in ("<=", "<", "=="):
            bound = version - (sign == "<")
            high = bound if high is None else min(bound, high)
    return t.OpsetRange(low, high, reader.span(tree))


def _rule(tree: Branch, reader: Reader, phase: str, opset: t.OpsetRange | None) -> t.Rule:
    name = words(tree, "NAME")[0]
    fields: dict[str, Any] = {
        "phase": phase,
        "doc": "",
        "generics": (),
        "equal": "real",
        "error": None,
        "order": "shrink",
        "priority": 0,
        "opset": opset,
        "parts": (),
        **{key: () for key, _ in _SECTIONS.values()},
    }
    for child in branches(tree):
        _fill(fields, child, reader)
    lists = variadic_names(fields["matches"])
    fields["rewrites"] = tuple(expand(rewrite, lists) for rewrite in fields["rewrites"])
    return t.Rule(name=str(name), name_span=reader.span(name), span=reader.span(tree), **fields)


def _fill(fields: dict[str, Any], child: Branch, reader: Reader) -> None:
    kind = str(child.data)
    if kind == "generics":
        fields["generics"] = tuple(_generic(g, reader) for g in branches(child))
        return
    if kind == "section":
        section = _section(child, reader)
        key, _ = _SECTIONS[section.kind]
        fields[key] = (*fields[key], *section.items)
        fields["parts"] = (*fields["parts"], section)
        return
    fields["parts"] = (*fields["parts"], _line(kind, child, reader))
    if kind == "doc":
        fields["doc"] = text_of(words(child, "STRING")[0], reader)
    elif kind == "equal":
        fields["equal"] = str(words(child, "NAME")[0])
        number = [w for w in tokens(child) if w.type in ("NUMBER", "MINUS")]
        fields["error"] = number_of(number, reader) if number else None
    elif kind == "order":
        fields["order"] = str(words(child, "NAME")[0])
    elif kind == "priority":
        fields["priority"] = int(number_of(words(child, "MINUS", "INT"), reader))
    else:
        fields["opset"] = _opset(child, reader)


def _generic(tree: Branch, reader: Reader) -> t.Generic:
    name, *options = words(tree, "NAME", "CAPITAL", "DOMAIN_OPERATOR")
    return t.Generic(str(name), tuple(str(o) for o in options), reader.span(tree))


def _section(tree: Branch, reader: Reader) -> t.Section:
    kind = str(tokens(tree)[0])
    _, build = _SECTIONS[kind]
    items = tuple(build(c, reader) for c in branches(tree))
    return t.Section(kind, items, reader.span(tree))


def _condition(tree: Branch, reader: Reader) -> t.Expression:
    return build_expression(branches(tree)[0], reader)


def _let(tree: Branch, reader: Reader) -> t.Let:
    (value,) = branches(tree)
    return t.Let(str(tokens(tree)[0]), build_expression(value, reader), reader.span(tree))


def _rewrite(tree: Branch, reader: Reader) -> t.Rewrite:
    targets, value = branches(tree)
    return t.Rewrite(build_targets(targets), build_expression(value, reader), reader.span(tree))


_SECTIONS: dict[str, tuple[str, Any]] = {
    "match": ("matches", build_match),
    "where": ("where", _condition),
    "when": ("when", _condition),
    "let": ("lets", _let),
    "rewrite": ("rewrites", _rewrite),
}
