"""What holds of the shipped rules on any graph, tried on random ones."""

from __future__ import annotations

from collections.abc import Callable
from math import sqrt
from typing import Any

import numpy as np
import onnx
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from graphopt.testing.rewriting import rewrite
from graphopt.testing.structure import structure_of_values
from graphopt.testing.weights import samples
from tests.rewrite.graphs import models, reordered
from tests.rules.oracle import assert_near, largest_magnitude, loses_a_capture, runner, terms_of
from tests.rules.shipped import RULES

Property = Callable[..., None]

QUICK, THOROUGH = 60, 3000
PRIORITIES = st.lists(st.integers(0, 9), min_size=1, max_size=12)


def holds(property_: Property, *strategies: st.SearchStrategy[Any], examples: int) -> None:
    """Try a property on examples that are the same in every run."""
    profile = settings(
        max_examples=examples,
        derandomize=True,
        deadline=None,
        database=None,
        suppress_health_check=[
            HealthCheck.too_slow,
            HealthCheck.data_too_large,
            HealthCheck.large_base_example,
            HealthCheck.filter_too_much,
        ],
    )
    profile(given(*strategies)(property_))()


def keeps_the_numbers(model: onnx.ModelProto, after: onnx.ModelProto, given_defaults: dict[str, np.ndarray]) -> None:
    """A value is off by at most 2 * 8 sqrt(n) u of the largest value for every node that it went through, n being the
    terms of its sums and u the unit roundoff of float32; see `assert_close`."""
    assume(not loses_a_capture(model) and not loses_a_capture(after))
    first, second = runner(model), runner(after)
    roundings = 16 * sqrt(terms_of(model)) * (len(model.graph.node) + 1)
    for feed in samples(model):
        feed.update(given_defaults)
        bound = roundings * 2.0**-24 * largest_magnitude(model, feed)
        assert_near(first(feed), second(feed), bound)


def keeps_the_model(model: onnx.ModelProto) -> None:
    """The validator holds after every firing and the interface stays (see `rewrite`), and so do the numbers."""
    after = rewrite(model, list(RULES.values()))
    keeps_the_numbers(model, after.model, {})


def overriding_a_default_still_counts(model: onnx.ModelProto) -> None:
    """What the caller may override is never folded: other values give what the original gives for them."""
    listed = {i.name for i in model.graph.input}
    defaults = [t for t in model.graph.initializer if t.name in listed]
    assume(defaults)
    after = rewrite(model, list(RULES.values()))
    keeps_the_numbers(model, after.model, {t.name: np.full(tuple(t.dims), 0.625, np.float32) for t in defaults})


def does_nothing_the_second_time(model: onnx.ModelProto) -> None:
    once = rewrite(model, list(RULES.values()))
    assert rewrite(once.model, list(RULES.values())).firings == ()


def is_deterministic(model: onnx.ModelProto) -> None:
    first, second = (rewrite(model, list(RULES.values())) for _ in range(2))
    assert first.model.SerializeToString(deterministic=True) == second.model.SerializeToString(deterministic=True)


def does_not_depend_on_the_order_of_nodes(model: onnx.ModelProto, priorities: list[int]) -> None:
    rules = list(RULES.values())
    wanted, found = rewrite(model, rules), rewrite(reordered(model, priorities), rules)
    assert structure_of_values(found.model) == structure_of_values(wanted.model)


def does_not_depend_on_the_order_of_rules(model: onnx.ModelProto, order: list[str]) -> None:
    wanted = rewrite(model, list(RULES.values()))
    found = rewrite(model, [RULES[name] for name in order])
    assert structure_of_values(found.model) == structure_of_values(wanted.model)


PROPERTIES: list[tuple[Property, tuple[st.SearchStrategy[Any], ...]]] = [
    (keeps_the_model, (models(),)),
    (does_nothing_the_second_time, (models(),)),
    (is_deterministic, (models(),)),
    (does_not_depend_on_the_order_of_nodes, (models(), PRIORITIES)),
    (does_not_depend_on_the_order_of_rules, (models(), st.permutations(sorted(RULES)))),
    (overriding_a_default_still_counts, (models(),)),
]
each_property = pytest.mark.parametrize(
    ("property_", "strategies"), PROPERTIES, ids=[p.__name__ for p, _ in PROPERTIES]
)


@each_property
def test_rewriting(property_: Property, strategies: tuple[st.SearchStrategy[Any], ...]):
    holds(property_, *strategies, examples=QUICK)


@pytest.mark.slow
@each_property
def test_rewriting_at_length(property_: Property, strategies: tuple[st.SearchStrategy[Any], ...]):
    holds(property_, *strategies, examples=THOROUGH)
