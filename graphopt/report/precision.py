"""What a compile to codes or short types tells on the terminal: what was tried, what layers cost, what stays float."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from rich.console import Console

from graphopt.pipeline.result import PassRecord
from graphopt.report.tables import table

FIGURES = ("SQNR", "cosine", "agreement")


def show_precision(records: Iterable[PassRecord], console: Console) -> None:
    """Print the details of the passes refine-weights, lower-precision and compare-outputs, as far as they ran."""
    for record in records:
        details = record.details
        if record.name == "refine-weights":
            tried = ((_chosen(entry, details), *_figures(entry)) for entry in details.get("candidates", ()))
            table(console, "Tried, on samples kept apart", ("", *FIGURES), tried, numbers=(1, 2, 3))
            _show_fallback(details.get("fallback"), console)
        elif record.name == "lower-precision":
            rows = ((entry["node"], entry["reason"]) for entry in details.get("float32", ()))
            table(console, "Left in float32", ("node", "reason"), rows)
        elif record.name == "compare-outputs" and "left out" not in details:
            table(console, "Outputs, by samples of the data", FIGURES, [_figures(details)], numbers=(0, 1, 2))


def _chosen(entry: Mapping[str, Any], details: Mapping[str, Any]) -> str:
    return f"{entry['name']} (taken)" if entry["name"] == details.get("chosen") else entry["name"]


def _show_fallback(fallback: Mapping[str, Any] | None, console: Console) -> None:
    if fallback is None:
        return
    steps = sorted(fallback["steps"], key=lambda step: step["float"])
    table(
        console,
        "What leaving the most sensitive layers in float buys",
        ("layers", *FIGURES, "goal"),
        ((str(s["float"]), *_figures(s), "met" if s["met"] else "missed") for s in steps),
        numbers=(0, 1, 2, 3),
    )
    table(
        console,
        "Sensitivity: signal over noise at the outputs, with one layer alone in codes",
        ("layer", "SQNR", ""),
        _ranking(fallback),
        numbers=(1,),
    )


def _ranking(fallback: Mapping[str, Any]) -> Iterator[tuple[str, str, str]]:
    kept = set(fallback["float"])
    for entry in fallback["ranking"]:
        noise = entry["noise"]
        decibels = f"{-10 * math.log10(noise):.1f} dB" if noise else ""
        yield entry["layer"], decibels, "float" if entry["layer"] in kept else ""


def _figures(found: Mapping[str, Any]) -> tuple[str, str, str]:
    """Signal over noise, cosine and agreement; empty where nothing differs."""
    sqnr = f"{found['sqnr']:.1f} dB" if "sqnr" in found else ""
    cosine, agreement = (f"{found[name]:.5f}" if name in found else "" for name in ("cosine", "agreement"))
    return sqnr, cosine, agreement
