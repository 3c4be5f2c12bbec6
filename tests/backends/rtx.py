"""What the tests share that build with TensorRT-RTX."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

from graphopt.backends.base import Artifact, BuildOptions, BuildRequest
from graphopt.backends.profiles import parse_shape_options
from graphopt.backends.tensorrt import TensorRT
from graphopt.errors import BackendError
from graphopt.progress import SILENT, Progress

needs_rtx = pytest.mark.skipif(
    importlib.util.find_spec("tensorrt_rtx") is None,
    reason="tensorrt-rtx is not installed; its wheel exists for Linux and Windows on x86-64 only",
)

BACKEND = TensorRT("tensorrt-rtx")


def request(model: Path, *shapes: str, **options: object) -> BuildRequest:
    """A request to build into `out` beside the model."""
    out = model.parent / "out"
    out.mkdir(exist_ok=True)
    return BuildRequest(model, out, parse_shape_options(shapes), BuildOptions(**options))  # type: ignore[arg-type]


def build(model: Path, *shapes: str, progress: Progress = SILENT, **options: object) -> Artifact:
    """Build a model into `out` beside it."""
    return BACKEND.build(request(model, *shapes, **options), progress)


def refusal(model: Path, *shapes: str, **options: object) -> str:
    """The text of the refusal of a model, after which nothing may be left."""
    asked = request(model, *shapes, **options)
    with pytest.raises(BackendError) as caught:
        BACKEND.build(asked, SILENT)
    assert list(asked.out_dir.iterdir()) == []
    return str(caught.value)
