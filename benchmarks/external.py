"""How much memory a compile takes when the weights are gigabytes of external data.

    python benchmarks/external.py [--gigabytes 3] [--largest 1] [--json]

The model is generated into a temporary folder: one large table that a Gather reads, matrices up to the wanted size, and
a Conv-BatchNormalization pair, so that there is something to fold. The data file is a hole in the disk where no rule
looks (zeros that take no room), so that generating it takes no time; the compiled copy is written out in full.

Exit status 1 where the peak of memory is above 1.3 times the largest tensor plus 500 MB.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from pathlib import Path

import numpy as np
import onnx
from builder import Builder
from measure import command_of, load_line, run
from onnx import TensorProto, helper

GIGABYTE = 10**9
MEGABYTE = 10**6
WIDTH = 4096
FACTOR = 1.3
"""Times the largest tensor that a compile may take."""
ALLOWANCE = 500 * MEGABYTE
"""Bytes that it may take beyond that."""


def main() -> None:
    options = _options()
    with tempfile.TemporaryDirectory(dir=options.folder) as name:
        source, output = Path(name) / "model.onnx", Path(name) / "out"
        largest, total = write(source, int(options.gigabytes * GIGABYTE), int(options.largest * GIGABYTE))
        command = [command_of(sys.executable, "graphopt"), "compile", str(source), "-o", str(output), "--check", "none"]
        usage = run(command)
        if usage.failure:
            sys.exit(usage.failure)
        nodes = [n.op_type for n in onnx.load(output / "model.onnx", load_external_data=False).graph.node]
    assert "BatchNormalization" not in nodes, "nothing was folded"
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


def write(path: Path, total: int, largest: int) -> tuple[int, int]:
    """Write the model and its data file; returns the bytes of the largest tensor and of all."""
    data = _DataFile(f"{path.name}.data")
    build = Builder()
    build.weight("kernel", (64, 1, 3, 3))
    for part in ("gamma", "beta", "mean", "var"):
        build.weight(part, (64,))
    build.node("Conv", ["kernel"], pads=[1] * 4)
    build.node("BatchNormalization", ["gamma", "beta", "mean", "var"])
    build.node("ReduceMean", axes=[1], keepdims=0)
    rows = largest // (4 * WIDTH)
    build.node("Cast", to=int(TensorProto.INT64))
    weights = [data.place("table", (rows, WIDTH))]
    build.side("rows", "Gather", ["table", build.current], axis=0)
    build.current = "rows"
    while data.size + 4 * WIDTH * WIDTH <= total:
        weights.append(data.place(f"matrix{len(weights)}", (WIDTH, WIDTH)))
        build.node("MatMul", [weights[-1].name])
        build.node("Relu")
    model = build.model(["n", 1, 2, 2], ["n", 2, 2, WIDTH])
    model.graph.initializer.extend(weights)
    path.write_bytes(model.SerializeToString())
    with path.with_name(data.name).open("wb") as file:
        file.truncate(data.size)
    return 4 * rows * WIDTH, data.size


class _DataFile:
    def __init__(self, name: str) -> None:
        self.name = name
        self.size = 0

    def place(self, name: str, shape: tuple[int, ...]) -> onnx.TensorProto:
        length = 4 * int(np.prod(shape))
        proto = helper.make_tensor(name, TensorProto.FLOAT, [0], [])
        proto.dims[:] = shape
        proto.data_location = TensorProto.EXTERNAL
        for key, value in (("location", self.name), ("offset", self.size), ("length", length)):
            proto.external_data.add(key=key, value=str(value))
        self.size += length
        return proto


def _table(figures: dict[str, object]) -> str:
    heads = [name.replace("_", " ") for name in figures]
    values = [str(value) for value in figures.values()]
    return f"| {' | '.join(heads)} |\n|{'---:|' * len(heads)}\n| {' | '.join(values)} |"


if __name__ == "__main__":
    main()
