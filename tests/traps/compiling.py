"""Compiling an odd but legal model, and proving that it still is the model that it was."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnx.parser

import graphopt
from graphopt.graph.dtypes import DType
from graphopt.graph.interface import TensorSpec, interface_of
from tests.traps.oracles import Arrays, assert_equal, by_onnxruntime, by_reference

REAL = 2e-5
"""Share of the largest value by which float32 outputs may differ after a `real` rule: with the few hundred products a
sum that these models have, rounding moves a result by sqrt(300) * 2^-24 = 1e-6 of it; twenty times that is far below
what a wrong factor or bias does."""


def parsed(text: str) -> onnx.ModelProto:
    """A model from ONNX's text syntax."""
    return onnx.parser.parse_model(text)


def made_feeds(model: onnx.ModelProto, seed: int = 0, **sizes: int) -> dict[str, Any]:
    """Values for every input without a default; `sizes` are those of named dims (2 where not given)."""
    random = np.random.default_rng(seed)
    return {spec.name: _values(spec, random, sizes) for spec in interface_of(model).inputs}


def _values(spec: TensorSpec, random: np.random.Generator, sizes: dict[str, int]) -> Any:
    assert spec.shape is not None
    assert spec.dtype is not None
    shape = [d if isinstance(d, int) else sizes.get(d or "", 2) for d in spec.shape]
    if spec.dtype is DType.bool:
        return np.asarray(random.random(shape) < 0.5)
    if spec.dtype.is_integer:
        return np.asarray(random.integers(0, 5, shape), spec.dtype.numpy)
    return np.asarray(random.standard_normal(shape), spec.dtype.numpy)


def compiled(
    model: onnx.ModelProto | str,
    folder: Path,
    *,
    feeds: list[Arrays] | None = None,
    reference: bool = True,
    tolerance: float = 0.0,
    **options: Any,
) -> onnx.ModelProto:
    """The compiled model: default recipe, every pass checked, target onnxruntime.

    Asserted: both models are legal, the interface is the same to the byte, and outputs are equal in ONNX Runtime with
    its optimizations off and (`reference`) in onnx's evaluator, on the given feeds and on two that are made.
    """
    if isinstance(model, str):
        model = parsed(model)
    onnx.checker.check_model(model, full_check=True)
    source = folder / "source.onnx"
    onnx.save(model, source)
    result = graphopt.compile(source, folder / "out", **options)
    assert result.ok
    assert result.parity_skipped is None
    after = onnx.load(folder / "out" / "model.onnx")
    onnx.checker.check_model(after, full_check=True)
    if model.ir_version >= 4:
        assert_same_interface(model, after)
    for arrays in feeds if feeds is not None else [made_feeds(model, 1), made_feeds(model, 2, n=3, m=4)]:
        assert_same_outputs(model, after, arrays, reference=reference, tolerance=tolerance)
    return after


def assert_same_interface(before: onnx.ModelProto, after: onnx.ModelProto) -> None:
    """Inputs and outputs are byte for byte what they were, and what had a default has it still."""
    assert [i.SerializeToString() for i in after.graph.input] == [i.SerializeToString() for i in before.graph.input]
    assert [o.SerializeToString() for o in after.graph.output] == [o.SerializeToString() for o in before.graph.output]
    assert interface_of(after) == interface_of(before)


def assert_same_outputs(
    before: onnx.ModelProto, after: onnx.ModelProto, feeds: Arrays, *, reference: bool = True, tolerance: float = 0.0
) -> None:
    """Equal outputs in one oracle, or in both."""
    assert_equal(by_onnxruntime(before, feeds), by_onnxruntime(after, feeds), tolerance)
    if reference:
        assert_equal(by_reference(before, feeds), by_reference(after, feeds), tolerance)


def operators(model: onnx.ModelProto) -> list[str]:
    """Operators of the main graph in order, Constant nodes left out."""
    return [n.op_type for n in model.graph.node if n.op_type != "Constant"]


def defaults(model: onnx.ModelProto) -> dict[str, Any]:
    """Initializers of the main graph that are inputs too, by name."""
    inputs = {i.name for i in model.graph.input}
    return {t.name: onnx.numpy_helper.to_array(t) for t in model.graph.initializer if t.name in inputs}
