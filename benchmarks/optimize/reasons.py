"""Why a peer is ahead or does not compete, row by row: what can be told from the files, and what somebody found out."""

from __future__ import annotations

import re
import tomllib
from collections import Counter
from collections.abc import Iterator, Sequence
from fnmatch import fnmatch
from pathlib import Path

from .rows import Result, Row
from .tools import ANY_SIZE, PEERS

REASONS = Path(__file__).with_name("reasons.toml")


def fewer_nodes(rows: Sequence[Row]) -> list[str]:
    """The rows on which a peer leaves fewer nodes than we do."""
    return list(_fewer(rows))


def _fewer(rows: Sequence[Row]) -> Iterator[str]:
    for row in rows:
        best = row.best("nodes")
        if row.ours.wrong or best is None or row.fair[best].nodes >= row.ours.nodes:
            continue
        peer = row.fair[best]
        any_size = row.results.get(ANY_SIZE)
        parts = [
            f"{best} leaves {peer.nodes}, graphopt {row.ours.nodes} (more: {_more(row.ours, peer)})",
            f"its file has {_factor(peer.size / row.size)} the bytes of the original, ours {_ratio(row)}",
            f"with `--fold-budget` raised graphopt leaves {any_size.nodes}" if any_size and not any_size.wrong else "",
            _written("nodes", row),
        ]
        yield f"{row.model}: {'; '.join(filter(None, parts))}."


def _written(figure: str, row: Row) -> str:
    """What somebody has found out about a figure of this model."""
    known: dict[str, dict[str, str]] = tomllib.loads(REASONS.read_text("utf-8"))
    return next((text for pattern, text in known.get(figure, {}).items() if fnmatch(row.model, pattern)), "")


def _ratio(row: Row) -> str:
    return _factor(row.ours.size / row.size)


def _factor(ratio: float) -> str:
    return f"{ratio:.2f} times" if ratio < 10 else f"{ratio:.0f} times"


def _more(ours: Result, peer: Result) -> str:
    more = Counter(ours.operators) - Counter(peer.operators)
    return ", ".join(f"{count} {name}" for name, count in more.most_common(6))


def out_of_competition(rows: Sequence[Row]) -> list[str]:
    """By peer and reason, the models on which its result does not count."""
    found: dict[tuple[str, str], list[str]] = {}
    for row in rows:
        for tool in ("graphopt", *PEERS):
            if (result := row.results.get(tool)) and result.wrong:
                found.setdefault((tool, _short(result.wrong)), []).append(row.model)
    return [f"{tool}, {why}: {', '.join(models)}." for (tool, why), models in sorted(found.items())]


def _short(why: str) -> str:
    """A reason without what differs from model to model, so that models with the same one stand together."""
    text = re.sub(r"Load model from \S+ failed:", "", why.split(" (at:")[0].split(" (tolerance:")[0])
    return " ".join(re.sub(r"\S*/\S*/\S*", "…", text).replace("|", "/").split())[:130].strip()


def larger(rows: Sequence[Row]) -> list[str]:
    """The rows on which a peer's file is smaller, and of what ours has more."""
    found: list[str] = []
    for row in rows:
        best = row.best("size")
        if row.ours.wrong or best is None or row.fair[best].size >= row.ours.size:
            continue
        peer = row.fair[best]
        kinds = Counter(_kinds(row.ours))
        kinds.subtract(_kinds(peer))
        parts = [f"{size:,} {kind}" for kind, size in kinds.most_common(4) if size > 0]
        over = row.ours.size - peer.size
        reason = _written("bytes", row)
        line = f"{row.model}: {over:,} bytes more than {best}, of {', '.join(parts)}"
        found.append(f"{line}; {reason}." if reason else f"{line}.")
    return found


def _kinds(result: Result) -> dict[str, int]:
    """Bytes by kind, metadata in one, and what is no kind of its own: nodes and names."""
    found: Counter[str] = Counter()
    for kind, size in result.bytes.items():
        found["metadata" if kind.startswith("metadata") else kind] += size
    found["nodes and names"] = result.size - found.total()
    return dict(found)


def metadata(result: Result) -> int:
    """Bytes of metadata and documentation."""
    return sum(n for kind, n in result.bytes.items() if kind.startswith("metadata") or kind == "documentation")
