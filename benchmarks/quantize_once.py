"""One quantizer on one model, in a process of its own: `quantize_once.py TOOL MODEL SAMPLES OUTPUT`.

TOOL is a name of TOOLS; SAMPLES is a folder of .npz files, one for each input; OUTPUT is the file to write. The
interpreter needs the packages of the tool alone.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")

Feeds = dict[str, Any]

WEIGHTED = ["Conv", "Gemm", "MatMul"]


def feeds(folder: Path) -> list[Feeds]:
    return [dict(np.load(file)) for file in sorted(folder.glob("*.npz"))]


def graphopt(effort: str) -> Callable[[Path, Path, Path], None]:
    """Calibration, placement for TensorRT and the pass refine-weights; the recipe's checks and engines left out."""

    def run(model: Path, samples: Path, output: Path) -> None:
        from graphopt.data.sources import open_source
        from graphopt.graph.load import load
        from graphopt.graph.save import save
        from graphopt.parity.model_interface import read_interface
        from graphopt.pipeline.calibration import Calibration
        from graphopt.pipeline.manager import Manager
        from graphopt.pipeline.passes import Context
        from graphopt.pipeline.recipe import Recipe, parse_recipe
        from graphopt.rewrite.library import common_target, load_rules

        loaded = load(model)
        source = open_source(str(samples), read_interface(model, str(model)))
        context = Context(load_rules(), target=common_target(["tensorrt-rtx"]), calibration=Calibration(source))
        manager = Manager(loaded, context, None, "none")
        passes = [step for step in Recipe.load("int8").passes if step.name != "refine-weights"]
        for step in passes:
            manager.run(Recipe(step.name, "", (step,)))
            if step.name == "apply-rules":
                manager.run(parse_recipe(f'[[pass]]\nuse = "refine-weights"\neffort = "{effort}"\n', "r", "r"))
        save(loaded, output)

    return run


def onnxruntime(method: str, *, legal: bool) -> Callable[[Path, Path, Path], None]:
    """`quantize_static`: as TensorRT takes it (symmetric, float bias, inputs alone), or as it comes."""

    def run(model: Path, samples: Path, output: Path) -> None:
        from onnxruntime.quantization import CalibrationMethod, QuantFormat, QuantType, quantize_static

        extra = {
            "ActivationSymmetric": True,
            "WeightSymmetric": True,
            "QuantizeBias": False,
            "DedicatedQDQPair": False,
            "OpTypesToExcludeOutputQuantization": WEIGHTED,
        }
        quantize_static(
            str(model),
            str(output),
            _Reader(samples),
            quant_format=QuantFormat.QDQ,
            op_types_to_quantize=WEIGHTED if legal else None,
            per_channel=True,
            activation_type=QuantType.QInt8 if legal else QuantType.QUInt8,
            weight_type=QuantType.QInt8,
            calibrate_method=getattr(CalibrationMethod, method),
            extra_options=extra if legal else {},
        )

    return run


class _Reader:
    """Samples one after another, as ONNX Runtime asks for them."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._rest: Iterator[Feeds] = iter(feeds(folder))

    def get_next(self) -> Feeds | None:
        return next(self._rest, None)

    def rewind(self) -> None:
        self._rest = iter(feeds(self._folder))

    def __iter__(self) -> _Reader:
        return self

    def __next__(self) -> Feeds:
        return next(self._rest)

    def __len__(self) -> int:
        return len(list(self._folder.glob("*.npz")))

    def set_range(self, start_index: int, end_index: int) -> None:
        self._rest = iter(feeds(self._folder)[start_index:end_index])


def onnxsim(method: str) -> Callable[[Path, Path, Path], None]:
    def run(model: Path, samples: Path, output: Path) -> None:
        import onnx
        import onnxsim

        onnx.save(onnxsim.quantize_static(str(model), calibration_data=feeds(samples), method=method), str(output))

    return run


def modelopt(method: str) -> Callable[[Path, Path, Path], None]:
    def run(model: Path, samples: Path, output: Path) -> None:
        from modelopt.onnx.quantization import quantize

        given = feeds(samples)
        stacked = {name: np.concatenate([one[name] for one in given]) for name in given[0]}
        quantize(
            str(model),
            quantize_mode="int8",
            calibration_method=method,
            calibration_data=stacked,
            calibration_eps=["cpu"],
            output_path=str(output),
            high_precision_dtype="fp32",
        )

    return run


TOOLS: dict[str, Callable[[Path, Path, Path], None]] = {
    "graphopt": graphopt("default"),
    "graphopt-fast": graphopt("fast"),
    **{f"onnxruntime-legal-{m.lower()}": onnxruntime(m, legal=True) for m in ("MinMax", "Entropy", "Percentile")},
    **{f"onnxruntime-{m.lower()}": onnxruntime(m, legal=False) for m in ("MinMax", "Entropy", "Percentile")},
    **{f"onnxsim-{m}": onnxsim(m) for m in ("minmax", "mse")},
    **{f"modelopt-{m}": modelopt(m) for m in ("max", "entropy")},
}
"""Those whose name has `legal` or `modelopt` or `graphopt` in it place pairs as TensorRT takes them."""


if __name__ == "__main__":
    tool, *paths = sys.argv[1:]
    TOOLS[tool](*map(Path, paths))
