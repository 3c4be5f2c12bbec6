"""What calibration takes, as the number of samples grows: time, and the peak of memory, which should not grow.

    python benchmarks/calibrate.py [MODEL] [--samples 16,64,512] [--peer-samples 64] [--json]

Every run is a process of its own that reads a model, runs it on so many pictures of noise, takes statistics of all its
tensors, and finds the threshold of each by every method. MODEL has one input; it defaults to MobileNetV2 with random
weights and its batch normalizations folded. `--peer-samples` has the calibrators of onnxruntime.quantization (MinMax
and Entropy) do their work on so many of the same pictures.

Exit status 1 where the peak of memory grows by more than a tenth from the fewest to the most samples.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from measure import Usage, command_of, load_line, run, script

ALLOWED_GROWTH = 1.1
POOL = 16
"""Different pictures; they are used again and again, so that making them costs as little as it can."""


def main() -> None:
    options = _options()
    if options.tool:
        print(json.dumps(_timed(options.tool, options.model, options.count)))
        return
    with tempfile.TemporaryDirectory() as name:
        model = options.model or _mobilenet(Path(name))
        runs = [("graphopt", n, _measure("graphopt", model, n, options.limit)) for n in options.samples]
        for tool in ("MinMax", "Entropy"):
            runs += [(tool, n, _measure(tool, model, n, options.limit)) for n in options.peer_samples]
    if options.json:
        found = [
            {"tool": t, "samples": n, "failure": u.failure, "mebibytes": u.mebibytes, **u.said} for t, n, u in runs
        ]
        print(json.dumps({"machine": load_line(), "runs": found}, indent=2))
    else:
        print(f"{load_line()}\n\n| tool | samples | statistics s | thresholds s | CPU s | peak MiB |")
        print("|---|---:|---:|---:|---:|---:|")
        print("\n".join(_row(*each) for each in runs))
    peaks = [u.mebibytes for tool, _, u in runs if tool == "graphopt"]
    sys.exit(peaks[-1] > peaks[0] * ALLOWED_GROWTH)


def _options() -> argparse.Namespace:
    def numbers(text: str) -> list[int]:
        return [int(part) for part in text.split(",") if part]

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", nargs="?", type=Path, help="an ONNX file")
    parser.add_argument("--samples", type=numbers, default=[16, 64, 512], help="numbers, joined by commas")
    parser.add_argument("--peer-samples", type=numbers, default=[], help="the same for onnxruntime.quantization")
    parser.add_argument("--limit", type=float, default=600.0, help="seconds that a run may take")
    parser.add_argument("--json", action="store_true", help="print one JSON document instead of a table")
    parser.add_argument("--tool", help=argparse.SUPPRESS)
    parser.add_argument("--count", type=int, help=argparse.SUPPRESS)
    return parser.parse_args()


def _mobilenet(folder: Path) -> Path:
    raw, output = folder / "mobilenet-v2.onnx", folder / "out"
    script("mobilenet.py", str(raw))
    usage = run([command_of(sys.executable, "graphopt"), "compile", str(raw), "-o", str(output), "--check", "none"])
    if usage.failure:
        sys.exit(usage.failure)
    return output / "model.onnx"


def _measure(tool: str, model: Path, count: int, limit: float) -> Usage:
    return run([sys.executable, __file__, str(model), "--tool", tool, "--count", str(count)], limit)


def _row(tool: str, count: int, usage: Usage) -> str:
    if usage.failure:
        return f"| {tool} | {count} | {usage.failure} | | | |"
    times = f"{usage.said['statistics']:.2f} | {usage.said['thresholds']:.2f}"
    return f"| {tool} | {count} | {times} | {usage.cpu:.2f} | {usage.mebibytes:.0f} |"


def _timed(tool: str, model: Path, count: int) -> dict[str, float]:
    return _graphopt(model, count) if tool == "graphopt" else _onnxruntime(tool, model, count)


def _pictures(model: Path, count: int) -> Iterator[tuple[str, dict[str, object]]]:
    import numpy as np
    import onnx

    spec = onnx.load(model, load_external_data=False).graph.input[0]
    dims = [d.dim_value or 1 for d in spec.type.tensor_type.shape.dim]
    random = np.random.default_rng(0)
    pool = [random.standard_normal(dims, dtype=np.float32) for _ in range(POOL)]
    for number in range(count):
        yield f"picture {number}", {spec.name: pool[number % POOL]}


def _graphopt(path: Path, count: int) -> dict[str, float]:
    from graphopt import load
    from graphopt.calibration.collect import collect
    from graphopt.calibration.thresholds import METHODS, threshold
    from graphopt.data.sample import Sample

    model = load(path)
    started = time.perf_counter()
    found = collect(model, (Sample(name, arrays) for name, arrays in _pictures(path, count)))
    collected = time.perf_counter()
    for method in METHODS:
        for tensor in found.values():
            threshold(tensor, method)
    return {"statistics": collected - started, "thresholds": time.perf_counter() - collected}


def _onnxruntime(method: str, path: Path, count: int) -> dict[str, float]:
    from onnxruntime.quantization import calibrate

    class Reader(calibrate.CalibrationDataReader):
        def __init__(self) -> None:
            self.samples = _pictures(path, count)

        def get_next(self) -> dict[str, object] | None:
            return next(self.samples, (None, None))[1]

    started = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        augmented = str(Path(folder) / "augmented.onnx")
        kind = calibrate.CalibrationMethod[method]
        calibrator = calibrate.create_calibrator(path, augmented_model_path=augmented, calibrate_method=kind)
        calibrator.collect_data(Reader())
        collected = time.perf_counter()
        calibrator.compute_data()
    return {"statistics": collected - started, "thresholds": time.perf_counter() - collected}


if __name__ == "__main__":
    main()
