"""Random odd graphs through the passes of the default recipe: none wrong, none refused, no interface changed."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import pytest
from onnxruntime.capi.onnxruntime_pybind11_state import Fail

from graphopt.graph.interface import interface_of
from graphopt.graph.load import from_proto
from graphopt.graph.model import Model
from graphopt.graph.save import to_proto
from graphopt.graph.validate import validate
from graphopt.lang.tree import Rule
from graphopt.pipeline.passes import Context
from graphopt.pipeline.recipe import Recipe
from graphopt.rewrite.library import load_rules
from tests.traps.compiling import assert_same_interface, defaults, made_feeds
from tests.traps.odd_graphs import odd_graph
from tests.traps.oracles import assert_equal, by_onnxruntime

TOLERANCE = 1e-4
"""Share of an output's largest value. A chain of at most 30 operators, whose sums have at most 36 products, rounds to
some 30 * 6 * 2^-24 = 1e-5 of the largest value on the way; cancellation can make an output a tenth of that."""

FAST = range(100)
SLOW = range(100, 6000)


@pytest.fixture(scope="module")
def rules() -> tuple[Rule, ...]:
    return load_rules()


@pytest.mark.parametrize("block", range(0, len(FAST), 10), ids=lambda b: f"seeds {b} to {b + 9}")
def test_odd_graphs(rules: tuple[Rule, ...], block: int) -> None:
    assert sum(check(seed, rules) for seed in FAST[block : block + 10]) >= 8


@pytest.mark.slow
@pytest.mark.parametrize("block", range(0, len(SLOW), 100), ids=lambda b: f"seeds {SLOW[b]} to {SLOW[b] + 99}")
def test_many_odd_graphs(rules: tuple[Rule, ...], block: int) -> None:
    assert sum(check(seed, rules) for seed in SLOW[block : block + 100]) >= 90


def check(seed: int, rules: tuple[Rule, ...]) -> bool:
    """Whether ONNX Runtime runs the model of this seed: it loses captured values of some.

    Raises:
        AssertionError: the model is not what it was.
    """
    before = odd_graph(seed)
    onnx.checker.check_model(before, full_check=True)
    many = feeds_of(before, seed)
    try:
        expected = [by_onnxruntime(before, feeds) for feeds in many]
    except Fail:
        return False
    try:
        model = from_proto(before)
        rewrite(model, rules)
        after = to_proto(model)
        onnx.checker.check_model(after, full_check=True)
        assert_same_interface(before, after)
        for feeds, outputs in zip(many, expected, strict=True):
            assert_equal(outputs, by_onnxruntime(after, feeds), TOLERANCE)
    except Exception as error:
        raise AssertionError(f"seed {seed}: {error}") from error
    return True


def rewrite(model: Model, rules: tuple[Rule, ...]) -> None:
    """Two rounds of the default recipe, every claim of the validator checked after each pass."""
    validate(model, interface := interface_of(to_proto(model)))
    weights = sum(v.initializer.nbytes for g in model.all_graphs() for v in g.initializers if v.initializer)
    context = Context(rules=rules, source_bytes=weights)
    for _ in range(2):
        for step in Recipe.load("default").passes:
            step.apply(model, context)
            validate(model, interface)


def feeds_of(model: onnx.ModelProto, seed: int) -> list[dict[str, Any]]:
    """Two sizes of the dynamic dim, flags once true and once false, defaults once overridden."""
    first, second = made_feeds(model, seed, n=1), made_feeds(model, seed + 1, n=3)
    flags = [spec.name for spec in interface_of(model).inputs if spec.dtype is not None and spec.dtype.name == "bool"]
    first |= {name: np.array(True) for name in flags}
    second |= {name: np.array(False) for name in flags}
    given = {name: array for name, array in defaults(model).items() if array.dtype.kind == "f"}
    return [first, {**second, **{name: np.asarray(array * 1.5 + 0.25, array.dtype) for name, array in given.items()}}]
