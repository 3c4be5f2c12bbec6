"""A model with gigabytes of external weights: `BYTES LARGEST FILE`. Prints the bytes of the largest tensor and of all.

One large table that a Gather reads, matrices up to the wanted size, and a Conv-BatchNormalization pair, so that there
is something to fold. The data file is a hole in the disk (zeros that take no room), so that making it takes no time.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import onnx
from builder import Builder
from onnx import TensorProto, helper

WIDTH = 4096


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


if __name__ == "__main__":
    print(json.dumps(write(Path(sys.argv[3]), int(sys.argv[1]), int(sys.argv[2]))))
