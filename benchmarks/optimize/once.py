"""Optimize one model with one tool: `TOOL MODEL TARGET`, or say what the tool is made of: `TOOL`.

Runs in the interpreter that has the tool, and imports nothing of this project but what it measures. The last line that
it prints is a JSON object: the CPU seconds and mebibytes that the work took beyond the imports; without a model, what
the result depends on.
"""

from __future__ import annotations

import contextlib
import hashlib
import inspect
import json
import platform
import resource
import sys
import time
from collections.abc import Callable
from importlib import import_module
from importlib.metadata import version
from pathlib import Path
from typing import Any

Job = Callable[[], object]


def graphopt(source: str, target: str) -> Job:
    """A compile by the default recipe into the folder of the target; nobody compares or runs the result."""
    from graphopt.api import compile

    return lambda: compile(source, Path(target).parent, targets=(), check="none")


def graphopt_any_size(source: str, target: str) -> Job:
    """The same with `--fold-budget` as large as it takes: constants are folded whatever they weigh."""
    from graphopt.api import compile

    return lambda: compile(source, Path(target).parent, targets=(), check="none", fold_budget=1 << 40)


def onnxruntime(source: str, target: str) -> Job:
    return _session(source, target, "ORT_ENABLE_EXTENDED")


def onnxruntime_standard(source: str, target: str) -> Job:
    """Only what leaves a model of the standard's operators."""
    return _session(source, target, "ORT_ENABLE_BASIC")


def onnxsim(source: str, target: str) -> Job:
    onnx, package = _imported("onnx"), _imported("onnxsim")
    return lambda: onnx.save(package.simplify(onnx.load(source))[0], target)


def onnxslim(source: str, target: str) -> Job:
    onnx, package = _imported("onnx"), _imported("onnxslim")
    return lambda: onnx.save(package.slim(onnx.load(source)), target)


def onnxscript(source: str, target: str) -> Job:
    onnx, package = _imported("onnx"), _imported("onnxscript.optimizer")
    return lambda: onnx.save(package.optimize(onnx.load(source)), target)


def onnxoptimizer(source: str, target: str) -> Job:
    onnx, package = _imported("onnx"), _imported("onnxoptimizer")
    passes = package.get_fuse_and_elimination_passes()
    return lambda: onnx.save(package.optimize(onnx.load(source), passes, fixed_point=True), target)


def _session(source: str, target: str, level: str) -> Job:
    package = _imported("onnxruntime")
    options = package.SessionOptions()
    options.graph_optimization_level = getattr(package.GraphOptimizationLevel, level)
    options.optimized_model_filepath = target
    options.log_severity_level = 4
    return lambda: package.InferenceSession(source, options, providers=["CPUExecutionProvider"])


def _imported(name: str) -> Any:
    """A package that may have no type stubs, or not be where this file is checked."""
    return import_module(name)


TOOLS: dict[str, Callable[[str, str], Job]] = {
    f.__name__: f
    for f in (
        graphopt, graphopt_any_size, onnxruntime, onnxruntime_standard, onnxsim, onnxslim, onnxscript, onnxoptimizer,
    )
}  # fmt: skip


def identity(tool: str) -> dict[str, str]:
    """What a result of the tool depends on beside the model: two results with the same identity need not be made twice.

    Raises:
        PackageNotFoundError: the tool is not installed here.
    """
    package = tool.split("_")[0]
    versions = {name: version(name) for name in (package, "onnx", "onnxruntime", "numpy")}
    called = hashlib.sha256(inspect.getsource(TOOLS[tool]).encode()).hexdigest()
    own = {"sources": _sources()} if package == "graphopt" else {}
    return {"python": platform.python_version(), "call": called, **versions, **own}


def _sources() -> str:
    """A digest of every file of graphopt as it is now, its passes and rules among them."""
    digest = hashlib.sha256()
    for name in ("graphopt", "graphopt.passes", "graphopt.rules"):
        for root in import_module(name).__path__:
            for path in sorted(Path(root).rglob("*")):
                if path.is_file() and path.suffix != ".pyc":
                    digest.update(f"{name} {path.relative_to(root)} {path.stat().st_size}\n".encode())
                    digest.update(path.read_bytes())
    return digest.hexdigest()


def main() -> None:
    tool, *files = sys.argv[1:]
    with contextlib.redirect_stdout(sys.stderr):
        said = _optimize(tool, *files) if files else identity(tool)
    print(json.dumps(said))


def _optimize(tool: str, source: str, target: str) -> dict[str, float]:
    run = TOOLS[tool](source, target)
    before, started = _peak(), time.process_time()
    run()
    return {"cpu": time.process_time() - started, "mebibytes": _peak() - before}


def _peak() -> float:
    """The most mebibytes that this process has had in memory so far."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


if __name__ == "__main__":
    main()
