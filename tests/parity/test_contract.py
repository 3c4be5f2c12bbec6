"""Contracts as they are written and ordered."""

from __future__ import annotations

import itertools

import pytest

from graphopt.errors import UsageError
from graphopt.parity.contract import EXACT, QUANT, REAL, Contract


@pytest.mark.parametrize("text", ["exact", "real", "approx(0.001)", "quant"])
def test_reading_gives_what_is_written(text: str) -> None:
    assert str(Contract.parse(text)) == text


def test_loosened_is_the_looser_of_two() -> None:
    ordered = [EXACT, REAL, Contract("approx", 1e-4), Contract("approx", 1e-3), QUANT]
    for (i, first), (j, second) in itertools.product(enumerate(ordered), repeat=2):
        assert first.loosened(second) == ordered[max(i, j)]


@pytest.mark.parametrize(
    "text", ["", "Real", "approx", "approx()", "approx(x)", "approx(0)", "approx(-1)", "approx(inf)"]
)
def test_what_is_no_contract(text: str) -> None:
    with pytest.raises(UsageError) as caught:
        Contract.parse(text)
    assert str(caught.value).endswith("is no contract\n  help: write exact, real, approx(ERROR) or quant")


def test_an_error_belongs_to_approx() -> None:
    with pytest.raises(UsageError):
        Contract("real", 1e-3)
    assert str(Contract("quant", 1e-3)) == "quant"
