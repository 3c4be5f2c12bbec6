"""How much memory a compile takes when the weights are gigabytes of external data.

    python benchmarks/external.py [--gigabytes 3] [--largest 1] [--json]

external_model.py generates the model into a temporary folder.

Exit status 1 where the peak of memory is above 1.3 times the largest tensor plus 500 MB.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

from measure import command_of, load_line, run, script

GIGABYTE = 10**9
MEGABYTE = 10**6
FACTOR = 1.3
"""Times the largest tensor that a compile may take."""
ALLOWANCE = 500 * MEGABYTE
"""Bytes that it may take beyond that."""


def main() -> None:
    options = _options()
    with tempfile.TemporaryDirectory(dir=options.folder) as name:
        source, output = Path(name) / "model.onnx", Path(name) / "out"
        wanted = [str(int(size * GIGABYTE)) for size in (options.gigabytes, options.largest)]
        largest, total = json.loads(script("external_model.py", *wanted, str(source)))
        command = [command_of(sys.executable, "graphopt"), "compile", str(source), "-o", str(output), "--check", "none"]
        usage = run(command)
        if usage.failure:
            sys.exit(usage.failure)
        report = json.loads((output / "report.json").read_text())
    assert report["after"]["nodes"] < report["before"]["nodes"], "nothing was folded"
    peak, limit = usage.mebibytes * 2**20, FACTOR * largest + ALLOWANCE
    figures = {
        "machine": load_line(),
        "weights_mb": total // MEGABYTE,
        "largest_tensor_mb": largest // MEGABYTE,
        "peak_mb": round(peak / MEGABYTE),
        "limit_mb": round(limit / MEGABYTE),
        "wall_seconds": round(usage.wall, 2),
        "cpu_seconds": round(usage.cpu, 2),
    }
    print(json.dumps(figures, indent=2) if options.json else _table(figures))
    sys.exit(peak > limit)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--gigabytes", type=float, default=3.0, help="weights in all, in 10^9 bytes")
    parser.add_argument("--largest", type=float, default=1.0, help="the largest of them")
    parser.add_argument("--folder", help="where to work; the room of the weights is needed there once")
    parser.add_argument("--json", action="store_true", help="print one JSON document instead of a table")
    return parser.parse_args()


def _table(figures: Mapping[str, object]) -> str:
    heads = [name.replace("_", " ") for name in figures]
    values = [str(value) for value in figures.values()]
    return f"| {' | '.join(heads)} |\n|{'---:|' * len(heads)}\n| {' | '.join(values)} |"


if __name__ == "__main__":
    main()
