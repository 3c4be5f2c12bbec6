"""How the time and memory of a compile grow with the graph, next to the peers, in one run.

    python benchmarks/scale.py [--sizes 1000,10000,100000] [--kinds mixed,...] [--peers PYTHON] [--limit SECONDS]

Each cell is a process of its own: seconds from a file on disk to a file on disk, imports not counted, and the peak of
its memory. `x` is the seconds of the peer divided by those of graphopt in the same run; `n^` is the exponent between
the first and the last size. PYTHON is an interpreter that has the peers installed (benchmarks/requirements.txt).
"""

from __future__ import annotations

import argparse
import json
import math
import subprocess
import sys
import tempfile
from pathlib import Path

import onnx
from graphs import KINDS

TOOLS = ("graphopt", "onnxruntime", "onnxsim", "onnxslim", "onnxscript", "onnxoptimizer")
WORKER = Path(__file__).with_name("optimize_once.py")

Cell = dict[str, float] | str


def main() -> None:
    options = _options()
    sizes = [int(s) for s in options.sizes.split(",")]
    with tempfile.TemporaryDirectory() as folder:
        for kind in options.kinds.split(","):
            print(f"\n{kind}: seconds / peak MiB")
            print(f"{'':14}" + "".join(f"{size:>22,}" for size in sizes) + f"{'n^':>8}")
            files = [_write(Path(folder), kind, size) for size in sizes]
            ours = [_measure("graphopt", sys.executable, file, options.limit) for file in files]
            print(_row("graphopt", ours, ours, sizes))
            for tool in TOOLS[1:] if options.peers else ():
                theirs: list[Cell] = []
                for file in files:
                    stopped = bool(theirs) and isinstance(theirs[-1], str)
                    theirs.append(theirs[-1] if stopped else _measure(tool, options.peers, file, options.limit))
                print(_row(tool, theirs, ours, sizes), flush=True)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", default="1000,10000,100000")
    parser.add_argument("--kinds", default=",".join(KINDS))
    parser.add_argument("--peers", default="")
    parser.add_argument("--limit", type=float, default=60.0)
    return parser.parse_args()


def _write(folder: Path, kind: str, size: int) -> Path:
    path = folder / f"{kind}-{size}.onnx"
    onnx.save(KINDS[kind](size), path)
    return path


def _measure(tool: str, python: str, file: Path, limit: float) -> Cell:
    command = [python, str(WORKER), tool, str(file), str(file.with_suffix(".out.onnx"))]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=limit, check=False)
    except subprocess.TimeoutExpired:
        return f"> {limit:g} s"
    if done.returncode:
        lines = done.stderr.strip().splitlines()
        return "missing" if "ModuleNotFoundError" in done.stderr else f"fails: {lines[-1][:40] if lines else '?'}"
    return json.loads(done.stdout.splitlines()[-1])


def _row(tool: str, cells: list[Cell], ours: list[Cell], sizes: list[int]) -> str:
    texts: list[str] = []
    for cell, own in zip(cells, ours, strict=True):
        if isinstance(cell, str):
            texts.append(cell)
            continue
        ratio = f" {cell['seconds'] / own['seconds']:.1f}x" if isinstance(own, dict) and cell is not own else ""
        texts.append(f"{cell['seconds']:.2f} / {cell['mebibytes']:.0f}{ratio}")
    first, last = cells[0], cells[-1]
    exponent = ""
    if isinstance(first, dict) and isinstance(last, dict) and len(sizes) > 1:
        exponent = f"{math.log(last['seconds'] / first['seconds']) / math.log(sizes[-1] / sizes[0]):.2f}"
    return f"{tool:14}" + "".join(f"{text:>22}" for text in texts) + f"{exponent:>8}"


if __name__ == "__main__":
    main()
