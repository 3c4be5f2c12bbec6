"""Optimize one model with one tool, and print what that took apart from the imports: `TOOL IN OUT`."""

from __future__ import annotations

import contextlib
import json
import resource
import sys
import time
from collections.abc import Callable
from pathlib import Path


def graphopt(source: str, target: str) -> Callable[[], object]:
    """A compile by the default recipe into the folder of the target; nobody compares or runs the result."""
    from graphopt.api import compile

    return lambda: compile(source, Path(target).parent, targets=(), check="none")


def onnxruntime(source: str, target: str) -> Callable[[], object]:
    import onnxruntime as package

    options = package.SessionOptions()
    options.graph_optimization_level = package.GraphOptimizationLevel.ORT_ENABLE_EXTENDED
    options.optimized_model_filepath = target
    options.log_severity_level = 4
    return lambda: package.InferenceSession(source, options, providers=["CPUExecutionProvider"])


def onnxruntime_standard(source: str, target: str) -> Callable[[], object]:
    """Only what leaves a model of the standard's operators."""
    import onnxruntime as package

    options = package.SessionOptions()
    options.graph_optimization_level = package.GraphOptimizationLevel.ORT_ENABLE_BASIC
    options.optimized_model_filepath = target
    options.log_severity_level = 4
    return lambda: package.InferenceSession(source, options, providers=["CPUExecutionProvider"])


def onnxsim(source: str, target: str) -> Callable[[], object]:
    import onnx
    import onnxsim as package

    return lambda: onnx.save(package.simplify(onnx.load(source))[0], target)


def onnxslim(source: str, target: str) -> Callable[[], object]:
    import onnx
    import onnxslim as package

    return lambda: onnx.save(package.slim(onnx.load(source)), target)


def onnxscript(source: str, target: str) -> Callable[[], object]:
    import onnx
    import onnxscript.optimizer as package

    return lambda: onnx.save(package.optimize(onnx.load(source)), target)


def onnxoptimizer(source: str, target: str) -> Callable[[], object]:
    import onnx
    import onnxoptimizer as package

    passes = package.get_fuse_and_elimination_passes()
    return lambda: onnx.save(package.optimize(onnx.load(source), passes, fixed_point=True), target)


TOOLS: dict[str, Callable[[str, str], Callable[[], object]]] = {
    f.__name__: f for f in (graphopt, onnxruntime, onnxruntime_standard, onnxsim, onnxslim, onnxscript, onnxoptimizer)
}


def main() -> None:
    tool, source, target = sys.argv[1:]
    with contextlib.redirect_stdout(sys.stderr):
        run = TOOLS[tool](source, target)
        before, started = _peak(), time.process_time()
        run()
        cpu = time.process_time() - started
    print(json.dumps({"cpu": cpu, "mebibytes": _peak() - before}))


def _peak() -> float:
    """The most mebibytes that this process has had in memory so far."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


if __name__ == "__main__":
    main()
