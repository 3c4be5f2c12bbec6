"""Backends by name, and the facts of targets."""

from __future__ import annotations

import subprocess
import sys
from importlib.metadata import EntryPoint, EntryPoints

import pytest

from graphopt import targets
from graphopt.backends import registry
from graphopt.backends.base import Availability
from graphopt.errors import BackendError, UsageError
from graphopt.targets import Target


def test_names_and_what_they_give() -> None:
    assert registry.names() == ("onnxruntime", "tensorrt", "tensorrt-rtx")
    assert [registry.get(name).name for name in registry.names()] == list(registry.names())


def test_unknown_target() -> None:
    with pytest.raises(UsageError) as caught:
        registry.get("tensort-rtx")
    assert str(caught.value) == (
        "there is no target 'tensort-rtx'; the targets are onnxruntime, tensorrt, tensorrt-rtx"
        "\n  help: did you mean 'tensorrt-rtx'?"
    )


def test_registry_imports_nothing_heavy() -> None:
    code = (
        "import sys; from graphopt.backends import registry; registry.names(); "
        "print(*sorted({'onnx', 'numpy', 'onnxruntime', 'pydantic', 'tensorrt_rtx'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "\n"


class Foreign:
    """A third party's backend."""

    name = "npu"

    def probe(self) -> Availability:
        return Availability(True, "1")


def broken() -> None:
    raise RuntimeError("no licence")


def test_backends_of_third_parties(monkeypatch: pytest.MonkeyPatch) -> None:
    points = EntryPoints(
        EntryPoint(name, f"{__name__}:{value}", registry.ENTRY_POINTS)
        for name, value in [("npu", "Foreign"), ("dead", "broken"), ("onnxruntime", "broken")]
    )
    monkeypatch.setattr(registry, "entry_points", lambda group: points.select(group=group))
    assert registry.names() == ("dead", "npu", "onnxruntime", "tensorrt", "tensorrt-rtx")
    assert registry.get("npu").probe() == Availability(True, "1")
    assert registry.get("onnxruntime").probe().available
    with pytest.raises(BackendError) as caught:
        registry.get("dead")
    assert str(caught.value) == (
        f"the backend 'dead' cannot be loaded: no licence\n  at: entry point {__name__}:broken"
    )


def test_every_target_has_a_file_and_every_file_a_target() -> None:
    assert [targets.load(name).name for name in registry.BUILT_IN] == list(registry.BUILT_IN)


def test_default_capabilities_of_rtx_are_named_bits() -> None:
    rtx = targets.load("tensorrt-rtx")
    assert rtx.plan is not None
    asked = sum(1 << rtx.capabilities[name].bit for name in ("sm80", "sm86", "sm89", "sm120", "sm121"))
    assert rtx.plan.default_mask == asked | 1 << 6


@pytest.mark.parametrize(
    ("fact", "error"),
    [
        ({"max_rnk": 8}, "max_rnk\n  Extra inputs are not permitted"),
        ({"io_dtypes": ["float31"]}, "io_dtypes\n  Value error, no element types: float31"),
        ({"capabilities": {"sm80": {"bit": 1, "gpu": "A100"}}}, "capabilities.sm80.gpus\n  Field required"),
    ],
)
def test_wrong_target_file(fact: dict[str, object], error: str) -> None:
    with pytest.raises(ValueError, match="validation error") as caught:
        Target.model_validate({"name": "t", "title": "T", "module": "t", "install": "…", **fact})
    assert error in str(caught.value)
