"""What a model computes: by ONNX Runtime with its optimizations off, and by onnx's reference evaluator."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import onnx
import onnxruntime
from onnx.reference import ReferenceEvaluator

Arrays = Mapping[str, Any]


def by_onnxruntime(model: onnx.ModelProto | str, feeds: Arrays) -> list[Any]:
    """All outputs; a text is the path of a file (whose external data lies beside it)."""
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.intra_op_num_threads = 1
    options.log_severity_level = 4
    subject = model if isinstance(model, str) else model.SerializeToString()
    session = onnxruntime.InferenceSession(subject, options, providers=["CPUExecutionProvider"])
    return session.run(None, dict(feeds))


def by_reference(model: onnx.ModelProto, feeds: Arrays) -> list[Any]:
    """All outputs by the evaluator that the standard ships; defaults of inputs are given as feeds, which it needs."""
    defaults = {t.name: onnx.numpy_helper.to_array(t) for t in model.graph.initializer}
    listed = {i.name for i in model.graph.input}
    given = {name: array for name, array in defaults.items() if name in listed}
    with np.errstate(all="ignore"):
        return ReferenceEvaluator(model).run(None, {**given, **feeds})


def assert_equal(expected: list[Any], found: list[Any], tolerance: float = 0.0) -> None:
    """Same dtypes, shapes and values; with a tolerance, differences up to that share of the largest value pass."""
    assert len(expected) == len(found)
    for left, right in zip(expected, found, strict=True):
        if isinstance(left, list):
            assert_equal(left, right, tolerance)
            continue
        left, right = np.asarray(left), np.asarray(right)
        assert (left.dtype, left.shape) == (right.dtype, right.shape)
        if tolerance and left.dtype.kind == "f":
            scale = np.abs(left, dtype=np.float64).max(initial=0.0) or 1.0
            np.testing.assert_allclose(right, left, rtol=0, atol=tolerance * scale)
        else:
            np.testing.assert_array_equal(right, left)
