"""What is public: a name that is missing here, or new, is a decision and not an accident."""

from __future__ import annotations

import inspect

import pytest

import graphopt
import graphopt.testing

PUBLIC = """
    Context Graph GraphoptError Model Node Pass PassResult Recipe RecipeError TargetPass Tensor Value
    compare_precision compile convert_opset export facts_of fold_graph hold_as_weights inline_decided inline_functions
    inline_refused load lower_precision merge_equal refine_quantized register rule_function save sweep_graph
    unpack_sequences widen_lacking
"""

TESTING = """
    Case RuleSource Variant assert_case assert_parity assert_pass assert_rewrites assert_unchanged model_of read_cases
    samples variants_of verify_rule
"""

NAMES = [(graphopt, name) for name in PUBLIC.split()] + [(graphopt.testing, name) for name in TESTING.split()]


def test_the_lists() -> None:
    assert graphopt.__all__ == PUBLIC.split()
    assert graphopt.testing.__all__ == TESTING.split()


@pytest.mark.parametrize(("module", "name"), NAMES, ids=[name for _, name in NAMES])
def test_every_name_is_there_and_says_what_it_is(module: object, name: str) -> None:
    found = getattr(module, name)
    if inspect.isclass(found) or inspect.isfunction(found):
        assert found.__doc__
        assert found.__module__.startswith("graphopt.")
