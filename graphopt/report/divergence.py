"""The values inside two models, as a table on the terminal."""

from __future__ import annotations

import math
from collections.abc import Sequence

from rich.console import Console

from graphopt.parity.layers import Layer
from graphopt.pipeline.bisect_layers import Divergence
from graphopt.report.tables import SHOWN, table
from graphopt.report.text import printable

BAR = 12
SMALLEST = 2.0**-24
"""Where the bar begins: a roundoff of float32. It ends at 1, and is logarithmic."""


def show_divergence(found: Divergence, console: Console) -> None:
    """Print the values around the first one that departs, and what became of it."""
    layers = found.layers.layers
    first = found.layers.first
    for failure in found.layers.failures:
        console.print(printable(failure))
    departing = sum(layer.departs for layer in layers)
    console.print(f"Values inside, on {printable(found.sample)}: {len(layers)} in both models, {departing} depart")
    table(
        console,
        "",
        ("value", "node", "max rel", "SQNR", "", "rules"),
        [_row(layer) for layer in _around(layers, first)],
        numbers=(2, 3),
        limit=None,
    )
    if first is not None:
        text = found.explanation.text if found.explanation is not None else "why is not known"
        console.print(printable(f"The first value that departs is {first.name!r}, of the node {first.node}. {text}"))


def _around(layers: Sequence[Layer], first: Layer | None) -> Sequence[Layer]:
    """A few values before the first one that departs, and those that follow."""
    start = max(0, layers.index(first) - 3) if first is not None else 0
    return layers[start : start + SHOWN]


def _row(layer: Layer) -> tuple[str, ...]:
    node = f"{layer.op_type} {layer.node}"
    rules = ", ".join(rule.split("@")[0] for rule in layer.rules)
    if layer.figures is None:
        return (layer.name, node, "", "", "not compared", rules)
    figures = layer.figures.figures
    if figures.structure is not None:
        return (layer.name, node, "", "", figures.structure, rules)
    error = layer.figures.max_rel
    sqnr = "" if math.isinf(figures.sqnr_db) else f"{figures.sqnr_db:.1f} dB"
    mark = "departs " if layer.departs else ""
    return (layer.name, node, f"{error:.3g}", sqnr, mark + _bar(error), rules)


def _bar(error: float) -> str:
    if math.isnan(error) or error <= SMALLEST:
        return ""
    share = min(1.0, 1 - math.log(error) / math.log(SMALLEST)) if math.isfinite(error) else 1.0
    return "#" * max(1, round(BAR * share))
