"""The findings as Markdown, and as JSON."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from .ratios import Ratio
from .reasons import fewer_nodes, larger, metadata, out_of_competition
from .rows import Figure, Result, Row
from .summary import COLUMNS, SETTINGS, noise_on, summary
from .tools import PEERS

BEGIN, END = "<!-- optimize: tables from here -->", "<!-- optimize: tables to here -->"

NOT_TIMED = "Latency was not measured."

WATCHED = ("BatchNormalization", "Cast", "Transpose", "Reshape")


def to_json(rows: Sequence[Row]) -> dict[str, Any]:
    counts = {title: {c: dataclasses.asdict(n) for c, n in by.items()} for title, by in summary(rows).items()}
    noise = {setting: noise_on(rows, setting) for setting in SETTINGS}
    return {"summary": counts, "noise": noise, "models": [row.to_json() for row in rows]}


def has_marks(path: Path) -> bool:
    """Whether a document says where the tables go."""
    text = path.read_text("utf-8") if path.is_file() else ""
    return 0 <= text.find(BEGIN) < text.find(END)


def write_into(path: Path, text: str) -> None:
    """Put the text between the marks of a document that has them."""
    before, begin, rest = path.read_text("utf-8").partition(BEGIN)
    _, end, after = rest.partition(END)
    path.write_text(f"{before}{begin}\n\n{text.strip()}\n\n{end}{after}", "utf-8")


def document(rows: Sequence[Row], versions: Mapping[str, str]) -> str:
    """All tables, under headings of the third level."""
    named = ", ".join(f"{tool} {version}" for tool, version in versions.items() if tool in PEERS)
    noise = {s: noise_on(rows, s) for s in SETTINGS}
    return "\n\n".join(
        (
            f"{len(rows)} models; {named}. {_noise_line(noise) if any(row.seconds for row in rows) else NOT_TIMED}",
            "### Summary",
            _summary(rows),
            "### Nodes",
            _table(_node_head(), (_node_row(row) for row in rows)),
            "### Bytes, numbers, latency, time, memory",
            _table(_figure_head(), (_figure_row(row, noise) for row in rows)),
            *_list("### Where a peer leaves fewer nodes", fewer_nodes(rows)),
            *_list("### Where a peer's file is smaller", larger(rows)),
            *_list("### Results that do not compete", out_of_competition(rows)),
        )
    )


def _noise_line(noise: Mapping[str, float]) -> str:
    bands = " and ".join(f"{band:.1%} with its optimizations {setting}" for setting, band in noise.items())
    return f"Noise: in ONNX Runtime the original is within {bands} of itself on 95 of 100 models."


def _list(title: str, lines: Sequence[str]) -> tuple[str, ...]:
    return (title, "\n".join(f"- {line}" for line in lines)) if lines else ()


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [head, ["---", *["---:"] * (len(head) - 1)], *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _summary(rows: Sequence[Row]) -> str:
    body = [[title, *(str(by[c]) for c in COLUMNS)] for title, by in summary(rows).items()]
    compete = {tool: sum(1 for row in rows if tool in row.fair) for tool in PEERS}
    return _table(
        ["graphopt as good or better", *COLUMNS], [["results that compete", "", "", *map(str, compete.values())], *body]
    )


# --- nodes ---


def _node_head() -> list[str]:
    watched = "BN, Cast, Transpose, Reshape"
    return ["model", "original", "graphopt", *PEERS, f"{watched} of ours", "of the best peer"]


def _node_row(row: Row) -> list[str]:
    best = row.best("nodes")
    ahead = best is not None and row.fair[best].nodes < row.ours.nodes
    ours = _nodes(row.ours) + (" (!)" if ahead else "")
    peers = [_nodes(row.results[tool]) for tool in PEERS]
    return [
        row.model,
        str(row.nodes),
        ours,
        *peers,
        _watched(row.ours),
        "" if best is None else _watched(row.fair[best]),
    ]


def _nodes(result: Result) -> str:
    if not result.nodes:
        return result.wrong if result.wrong.startswith(">") else "fails"
    return f"{result.nodes} (wrong)" if result.wrong else str(result.nodes)


def _watched(result: Result) -> str:
    return ", ".join(str(result.operators.get(name, 0)) for name in WATCHED)


# --- the other figures ---


def _figure_head() -> list[str]:
    return [
        "model", "bytes", "metadata", "bytes : smallest", "real: off by", "best peer", "made: off by", "best peer",
        "on : original", "on : quickest", "off : original", "off : quickest", "CPU s", "CPU : least", "wall : least",
        "MiB", "MiB : least",
    ]  # fmt: skip


def _figure_row(row: Row, noise: Mapping[str, float]) -> list[str]:
    ours = row.ours
    if ours.wrong:
        return [row.model, f"does not compete: {ours.wrong[:80]}", *[""] * (len(_figure_head()) - 2)]
    cells = [row.model, f"{ours.size:,}", f"{metadata(ours):,}", _by_best(row, "size")]
    for kind in ("real", "made"):
        best = row.best(kind)
        cells += [
            _off(getattr(ours, kind).get("max_rel")),
            "" if best is None else _off(getattr(row.fair[best], kind).get("max_rel")),
        ]
    for setting in SETTINGS:
        quickest = row.against_quickest(setting)
        cells += [
            _latency(row.against_original(setting), noise[setting]),
            _latency(quickest and quickest[1], noise[setting]),
        ]
    return [
        *cells, f"{ours.cpu:.2f}", _by_best(row, "cpu"), _by_best(row, "wall"), f"{ours.mebibytes:.0f}",
        _by_best(row, "mebibytes"),
    ]  # fmt: skip


def _by_best(row: Row, figure: str) -> str:
    best = row.best(figure)
    return "" if best is None else f"{getattr(row.ours, figure) / getattr(row.fair[best], figure):.2f}"


def _off(figure: Figure) -> str:
    return "" if figure is None else "0" if figure == 0 else f"{figure:.0e}"


def _latency(ratio: Ratio | None, noise: float) -> str:
    if ratio is None:
        return ""
    return f"{ratio.middle:.2f}" + (" (!)" if ratio.is_worse(noise) else "")
