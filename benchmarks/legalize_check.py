"""Whether a rewritten node test still gives what the standard expects."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx
import onnxruntime
from legalize_cases import Case
from onnx.reference import ReferenceEvaluator

RANDOM = ("Bernoulli", "RandomNormal", "RandomNormalLike", "RandomUniform", "RandomUniformLike", "Multinomial")


def differences(model: onnx.ModelProto, case: Case, names: Sequence[str]) -> str | None:
    """What is wrong with the outputs, None where nothing is; judged by ONNX Runtime, else by the reference evaluator.

    `names` are the inputs of the original model. "not run" says that neither takes the model, "random" that there is
    nothing to compare.
    """
    if any(node.op_type in RANDOM for node in onnx.ModelProto.FromString(case.model).graph.node):
        return "random"
    given = {value.name for value in model.graph.input}
    told: list[str] = []
    for judge in (_runtime, _reference):
        try:
            run = judge(model)
            for inputs, expected in case.samples:
                feeds = {n: _array(v) for n, v in zip(names, inputs, strict=True) if n in given}
                fault = _compare(run(feeds), expected, case)
                if fault:
                    raise _Wrong(fault)
            return None
        except _Wrong as wrong:
            told.append(f"{judge.__name__[1:]}: {wrong}")
        except Exception as error:  # each runner refuses in its own way what it has no kernel for
            told.append(f"not run: {judge.__name__[1:]}: {str(error)[:160]}")
    wrong = [text for text in told if not text.startswith("not run")]
    return "; ".join(wrong) if wrong else f"not run: {' | '.join(told)}"


class _Wrong(Exception):
    pass


def _runtime(model: onnx.ModelProto) -> Any:
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    options.intra_op_num_threads = 1
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    return lambda feeds: session.run(None, feeds)


def _reference(model: onnx.ModelProto) -> Any:
    evaluator = ReferenceEvaluator(model)

    def run(feeds: dict[str, Any]) -> list[Any]:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return list(evaluator.run(None, feeds))

    return run


def _array(value: Any) -> Any:
    return [_array(v) for v in value] if isinstance(value, list) else np.asarray(value)


def _compare(got: Sequence[Any], expected: Sequence[Any], case: Case) -> str | None:
    for index, (a, b) in enumerate(zip(got, expected, strict=True)):
        fault = _unequal(a, b, case)
        if fault:
            return f"output {index}: {fault}"
    return None


def _unequal(got: Any, expected: Any, case: Case) -> str | None:
    if isinstance(expected, list):
        if len(got) != len(expected):
            return f"{len(got)} items, not {len(expected)}"
        return next((f for a, b in zip(got, expected, strict=True) if (f := _unequal(a, b, case))), None)
    if expected is None:
        return None if got is None else "there is a value"
    a, b = np.asarray(_array(got)), np.asarray(_array(expected))
    if a.shape != b.shape:
        return f"shape {a.shape}, not {b.shape}"
    if a.dtype.kind in "OUS" or b.dtype.kind in "OUS":
        return None if np.array_equal(a.astype(str), b.astype(str)) else "other texts"
    if a.dtype != b.dtype and a.dtype.name != b.dtype.name:
        return f"{a.dtype}, not {b.dtype}"
    if b.dtype.kind in "iub":
        return None if np.array_equal(a, b) else f"other whole numbers: {a.ravel()[:4]}, not {b.ravel()[:4]}"
    x, y = a.astype(np.float64), b.astype(np.float64)
    if np.allclose(x, y, rtol=case.rtol, atol=case.atol, equal_nan=True):
        return None
    return f"off by {np.nanmax(np.abs(x - y)):.3g}"
