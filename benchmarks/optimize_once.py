"""Optimize one model with one tool and print seconds, peak memory and nodes left: `TOOL IN OUT`."""

from __future__ import annotations

import contextlib
import json
import resource
import sys
import time
from collections.abc import Callable
from pathlib import Path


def graphopt(source: str, target: str) -> Callable[[], None]:
    """The default recipe, without the comparison that no peer makes."""
    import graphopt as package
    from graphopt.graph.collection import collection_paused
    from graphopt.pipeline.manager import Manager
    from graphopt.pipeline.passes import Context
    from graphopt.pipeline.recipe import Recipe
    from graphopt.rewrite.library import load_rules

    recipe = Recipe.load("default")

    def run() -> None:
        with collection_paused():
            model = package.load(source)
            Manager(model, Context(load_rules()), None, "none").run(recipe)
            package.save(model, Path(target))

    return run


def onnxruntime(source: str, target: str) -> Callable[[], None]:
    import onnxruntime as package

    def run() -> None:
        options = package.SessionOptions()
        options.graph_optimization_level = package.GraphOptimizationLevel.ORT_ENABLE_EXTENDED
        options.optimized_model_filepath = target
        options.log_severity_level = 4
        package.InferenceSession(source, options, providers=["CPUExecutionProvider"])

    return run


def onnxsim(source: str, target: str) -> Callable[[], None]:
    import onnx
    import onnxsim as package

    return lambda: onnx.save(package.simplify(onnx.load(source))[0], target)


def onnxslim(source: str, target: str) -> Callable[[], None]:
    import onnx
    import onnxslim as package

    return lambda: onnx.save(package.slim(onnx.load(source)), target)


def onnxscript(source: str, target: str) -> Callable[[], None]:
    import onnx
    import onnxscript.optimizer as package

    return lambda: onnx.save(package.optimize(onnx.load(source)), target)


def onnxoptimizer(source: str, target: str) -> Callable[[], None]:
    import onnx
    import onnxoptimizer as package

    return lambda: onnx.save(
        package.optimize(onnx.load(source), package.get_fuse_and_elimination_passes(), fixed_point=True), target
    )


def main() -> None:
    tool, source, target = sys.argv[1:]
    with contextlib.redirect_stdout(sys.stderr):
        run = globals()[tool](source, target)
        started = time.perf_counter()
        run()
        seconds = time.perf_counter() - started
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        import onnx

        nodes = sum(1 for n in onnx.load(target, load_external_data=False).graph.node if n.op_type != "Constant")
    print(json.dumps({"seconds": seconds, "mebibytes": peak, "nodes": nodes}))


if __name__ == "__main__":
    main()
