"""A page of histograms that stands by itself: HTML with drawings in SVG, no script, nothing fetched."""

from __future__ import annotations

from html import escape
from math import log1p
from typing import Any

from graphopt.calibration.statistics import Statistics, TensorStatistics
from graphopt.report.calibration import bars, thresholds

WIDTH, HEIGHT, MARGIN = 360, 120, 22
"""Pixels of a drawing; the margin below it holds the numbers."""

MOST = 120
"""Bars of a drawing."""

COLORS = {"percentile 99.99": "#c62828", "entropy": "#2e7d32", "mse": "#ef6c00"}
"""Of the lines that mark thresholds."""

_STYLE = """\
body { font: 14px system-ui, sans-serif; margin: 2em; background: #fff; color: #222 }
main { display: flex; flex-wrap: wrap; gap: 1.5em }
figure { margin: 0 }
figcaption { max-width: 360px; overflow-wrap: anywhere }
text { font: 11px system-ui, sans-serif; fill: #555 }
"""


def histogram_page(statistics: Statistics, title: str) -> str:
    """The page: each tensor with its histogram, counts drawn by their logarithm, and the thresholds of three methods
    as lines on both sides of zero."""
    legend = ", ".join(f'<span style="color:{color}">{name}</span>' for name, color in COLORS.items())
    figures = "\n".join(_figure(tensor) for tensor in statistics.values())
    return f"""\
<!DOCTYPE html>
<html lang="en">
<meta charset="utf-8">
<title>{escape(title)}</title>
<style>
{_STYLE}</style>
<h1>{escape(title)}</h1>
<p>{statistics.samples} samples, {len(statistics)} tensors. Heights are logarithms of counts. Thresholds: {legend}.</p>
<main>
{figures}
</main>
</html>
"""


def _figure(tensor: TensorStatistics) -> str:
    said = f"{tensor.count:,} values, {100 * tensor.zeros / max(tensor.count, 1):.1f} % zeros"
    if tensor.not_finite:
        said += f", {tensor.not_finite:,} NaN or infinite"
    caption = f"<figcaption><b>{escape(tensor.name)}</b><br>{said}</figcaption>"
    return f"<figure>{_drawing(tensor)}{caption}</figure>"


def _drawing(tensor: TensorStatistics) -> str:
    edges, counts = bars(tensor, MOST)
    if not len(counts):
        return ""
    low, high = float(edges[0]), float(edges[-1])
    drawn = [_path(counts), *_lines(tensor, low, high)]
    drawn.append(f'<text x="0" y="{HEIGHT + 14}">{low:.4g}</text>')
    drawn.append(f'<text x="{WIDTH}" y="{HEIGHT + 14}" text-anchor="end">{high:.4g}</text>')
    size = f'width="{WIDTH}" height="{HEIGHT + MARGIN}" viewBox="0 0 {WIDTH} {HEIGHT + MARGIN}"'
    return f'<svg xmlns="http://www.w3.org/2000/svg" {size}>{"".join(drawn)}</svg>'


def _path(counts: Any) -> str:
    """The outline of the bars."""
    width = WIDTH / len(counts)
    tallest = log1p(float(counts.max()))
    steps = [f"M0 {HEIGHT}"]
    for number, count in enumerate(counts):
        steps.append(f"V{HEIGHT * (1 - log1p(float(count)) / tallest):.1f}H{(number + 1) * width:.1f}")
    return f'<path d="{"".join(steps)}V{HEIGHT}Z" fill="#90a4ae"/>'


def _lines(tensor: TensorStatistics, low: float, high: float) -> list[str]:
    lines: list[str] = []
    for name, limit in thresholds(tensor, tuple(COLORS)):
        for value in (-limit, limit):
            if low < value < high:
                x = WIDTH * (value - low) / (high - low)
                lines.append(f'<line x1="{x:.1f}" x2="{x:.1f}" y1="0" y2="{HEIGHT}" stroke="{COLORS[name]}"/>')
    return lines
