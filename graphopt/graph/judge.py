"""ONNX Runtime's word on whether a model can be meant, for the cases in which onnx's own inference objects."""

from __future__ import annotations

from pathlib import Path

from graphopt.graph.session import new_session


def refusal(model: Path | bytes) -> str | None:
    """Why ONNX Runtime will not load a model, or None if it does, or would but for an operator that it lacks."""
    try:
        new_session(model)
    except Exception as error:
        text = str(error)
        lacks = "NOT_IMPLEMENTED" in text or "is not a registered function/op" in text
        return None if lacks else text
    return None
