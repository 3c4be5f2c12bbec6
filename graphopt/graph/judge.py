"""ONNX Runtime's word on whether a model can be meant, for the cases in which onnx's own inference objects."""

from __future__ import annotations

from pathlib import Path


def refusal(model: Path | bytes) -> str | None:
    """Why ONNX Runtime will not load a model, or None if it does, or would but for an operator that it lacks."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.log_severity_level = 4
    subject = str(model) if isinstance(model, Path) else model
    try:
        onnxruntime.InferenceSession(subject, options, providers=["CPUExecutionProvider"], enable_fallback=0)
    except Exception as error:
        text = str(error)
        lacks = "NOT_IMPLEMENTED" in text or "is not a registered function/op" in text
        return None if lacks else text
    return None
