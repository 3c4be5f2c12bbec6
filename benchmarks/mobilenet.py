"""MobileNetV2 as its paper has it (Sandler et al., 2018), with random weights, before any folding.

python benchmarks/mobilenet.py FILE
"""

from __future__ import annotations

import sys

import numpy as np
import onnx
from builder import Builder

BLOCKS = ((1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1))
"""Expansion, channels, repetitions and stride of the first (the paper's table 2)."""


def mobilenet_v2() -> onnx.ModelProto:
    """152 nodes, 3.5 million parameters, input [n, 3, 224, 224]."""
    network = _Network()
    network.convolution(32, size=3, stride=2)
    for expansion, channels, repetitions, stride in BLOCKS:
        for number in range(repetitions):
            network.bottleneck(expansion, channels, stride if number == 0 else 1)
    network.convolution(1280)
    build = network.build
    build.node("GlobalAveragePool")
    build.node("Flatten")
    build.weight("classifier", (1000, 1280), 0.01)
    build.weight("offsets", (1000,))
    build.node("Gemm", ["classifier", "offsets"], transB=1)
    return build.model(["n", 3, 224, 224], ["n", 1000])


class _Network:
    def __init__(self) -> None:
        self.build = Builder()
        self.channels = 3
        self._count = 0
        self.build.constant("zero", np.array(0, np.float32))
        self.build.constant("six", np.array(6, np.float32))

    def convolution(
        self, channels: int, *, size: int = 1, stride: int = 1, group: int = 1, activated: bool = True
    ) -> None:
        """Conv, BatchNormalization and perhaps the Clip that a ReLU6 is."""
        build, number = self.build, self._count
        self._count += 1
        build.weight(f"w{number}", (channels, self.channels // group, size, size), 0.1)
        statistics = [f"{part}{number}" for part in ("gamma", "beta", "mean", "var")]
        for name in statistics:
            build.weight(name, (channels,))
        geometry = {"kernel_shape": [size, size], "pads": [size // 2] * 4, "strides": [stride, stride], "group": group}
        build.node("Conv", [f"w{number}"], dilations=[1, 1], **geometry)
        build.node("BatchNormalization", statistics)
        if activated:
            build.node("Clip", ["zero", "six"])
        self.channels = channels

    def bottleneck(self, expansion: int, channels: int, stride: int) -> None:
        """An inverted residual: expand, filter each channel by itself, project."""
        before, entry = self.channels, self.build.current
        if expansion != 1:
            self.convolution(before * expansion)
        self.convolution(self.channels, size=3, stride=stride, group=self.channels)
        self.convolution(channels, activated=False)
        if stride == 1 and before == channels:
            self.build.node("Add", [entry])


if __name__ == "__main__":
    onnx.save(mobilenet_v2(), sys.argv[1])
