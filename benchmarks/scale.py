"""How the time and memory of a compile grow with the graph, next to the peers, in one run.

    python benchmarks/scale.py [--sizes 1000,10000,...] [--kinds mixed,...] [--peers PYTHON] [--limit SECONDS] [--json]

Each cell is a process of its own, from its start to its end: CPU seconds (user and system), its peak of memory, and
how often that is what graphopt took in the same run. Small graphs run three times, in turn, and the median counts.
The last two columns are the exponents of a line fitted through the logarithms of all sizes: of time and memory beyond
what the imports take. PYTHON is an interpreter that has the peers installed (benchmarks/requirements.txt).
"""

from __future__ import annotations

import argparse
import json
import math
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from measure import Usage, in_turn, load_line, median, script
from optimize.once import TOOLS

WORKER = str(Path(__file__).parent / "optimize" / "once.py")
OURS, ANY_SIZE = "graphopt", "graphopt_any_size"

REPEATED = 10_000
"""Nodes up to which a graph is run three times; the larger ones once."""


def main() -> None:
    kinds: dict[str, str] = json.loads(script("graphs.py"))
    options = _options(kinds)
    sizes = sorted(int(s) for s in options.sizes.split(","))
    tools = [t for t in TOOLS if t != ANY_SIZE] if options.peers else [OURS]
    results: list[dict[str, Any]] = []
    if not options.json:
        print(load_line())
    with tempfile.TemporaryDirectory() as folder:
        for kind in options.kinds.split(","):
            cells = _measure(kind, sizes, tools, Path(folder), options)
            results += [
                {"kind": kind, "tool": tool, "nodes": size, **asdict(usage)}
                for tool, row in cells.items()
                for size, usage in zip(sizes, row, strict=True)
            ]
            if not options.json:
                print(f"\n{kind}: {kinds[kind]}\n")
                _print_table(sizes, cells)
    if options.json:
        print(json.dumps({"machine": load_line(), "runs": results}, indent=2))


def _options(kinds: dict[str, str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", default="1000,10000,100000,300000", help="numbers of nodes")
    parser.add_argument("--kinds", default=",".join(kinds), help=f"of {', '.join(kinds)}")
    parser.add_argument("--peers", default="", help="an interpreter that has the peers; none: graphopt alone")
    parser.add_argument("--limit", type=float, default=60.0, help="seconds that a peer may take; graphopt may take 10x")
    parser.add_argument("--json", action="store_true", help="print one JSON document instead of tables")
    return parser.parse_args()


def _measure(
    kind: str, sizes: list[int], tools: list[str], folder: Path, options: argparse.Namespace
) -> dict[str, list[Usage]]:
    """The figures of every tool by size. A tool that fails at one size is not asked for the larger ones."""
    cells: dict[str, list[Usage]] = {tool: [] for tool in tools}
    for size in sizes:
        source = folder / f"{kind}-{size}.onnx"
        script("graphs.py", kind, str(size), str(source))
        able = [t for t in tools if not any(u.failure for u in cells[t])]
        runs = in_turn(
            [_command(t, source, options.peers) for t in able],
            3 if size <= REPEATED else 1,
            [options.limit * (10 if t == OURS else 1) for t in able],
        )
        found = dict(zip(able, map(median, runs), strict=True))
        for tool, row in cells.items():
            row.append(found.get(tool) or row[-1])
        source.unlink()
    return cells


def _command(tool: str, source: Path, peers: str) -> list[str]:
    python = sys.executable if tool == OURS else peers
    place = source.with_suffix("") / tool
    place.mkdir(parents=True)
    return [python, WORKER, tool, str(source), str(place / "model.onnx")]


def _print_table(sizes: list[int], cells: dict[str, list[Usage]]) -> None:
    heads = ["CPU seconds, peak MiB", *(f"{size:,} nodes" for size in sizes), "time", "memory"]
    print(f"| {' | '.join(heads)} |\n|---{'|---:' * (len(heads) - 1)}|")
    for tool, row in cells.items():
        texts = [_cell(usage, own) for usage, own in zip(row, cells[OURS], strict=True)]
        grown = [_growth(sizes, [u.said.get(figure, 0.0) for u in row]) for figure in ("cpu", "mebibytes")]
        print(f"| {' | '.join([tool, *texts, *grown])} |", flush=True)


def _cell(usage: Usage, own: Usage) -> str:
    if usage.failure:
        return usage.failure
    ratio = "" if usage is own or own.failure else f" ({usage.cpu / own.cpu:.1f}x)"
    return f"{usage.cpu:.2f}, {usage.mebibytes:.0f}{ratio}"


def _growth(sizes: Sequence[int], figures: Sequence[float]) -> str:
    """The exponent b of figure = a * size ** b, by least squares over the logarithms."""
    points = [(math.log(s), math.log(f)) for s, f in zip(sizes, figures, strict=True) if f > 0]
    if len(points) < 2:
        return ""
    mean_x, mean_y = (sum(c) / len(points) for c in zip(*points, strict=True))
    slope = sum((x - mean_x) * (y - mean_y) for x, y in points) / sum((x - mean_x) ** 2 for x, _ in points)
    return f"n^{slope:.2f}"


if __name__ == "__main__":
    main()
