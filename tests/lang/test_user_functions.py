"""Functions that Python adds to the language: signatures are held against the function, calls against the signature,
and results against what was promised."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

import graphopt
from graphopt.errors import RewriteError, UsageError
from graphopt.lang.check import check
from graphopt.lang.diagnostics import RuleError
from graphopt.lang.evaluate import compile_expression
from graphopt.lang.parse import parse
from graphopt.lang.registry import FUNCTIONS
from graphopt.lang.values import UNKNOWN, Constant, Decline, Symbol
from graphopt.testing.cases import model_of
from graphopt.testing.rewriting import rewrite


@pytest.fixture(autouse=True)
def only_for_the_test() -> Iterator[None]:
    before = dict(FUNCTIONS)
    yield
    FUNCTIONS.clear()
    FUNCTIONS.update(before)


def registered(*signatures: str, doc: str = "A sentence.") -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    def register(call: Callable[..., Any]) -> Callable[..., Any]:
        call.__doc__ = doc
        return graphopt.rule_function(*signatures)(call)

    return register


def value(text: str, **bindings: Any) -> Any:
    """What an expression comes to."""
    (rule,) = parse(f'rule r:\n"A rule."\nwhere:\n{text}\n').rules
    return compile_expression(rule.where[0])(bindings)


# --- use ---


def test_a_rule_calls_it():
    @registered("halves(items: list[int]) -> list[float]")
    def halves(items: tuple[int, ...]) -> list[float]:
        assert isinstance(items, tuple)
        return [i / 2 for i in items]

    assert value("halves([1, 2])") == (0.5, 1.0)
    assert value("[1, 2].halves()") == (0.5, 1.0)
    assert value("halves(items=[3])") == (1.5,)
    assert FUNCTIONS["halves"].doc == "A sentence."


def test_constants_are_arrays_on_both_sides():
    @registered("flipped(value: const) -> const")
    def flipped(value: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        assert value.dtype == np.float64
        return value[::-1].astype(np.float32)

    found = value("flipped(c)", c=Constant(np.array([1.0, 2.0])))
    assert isinstance(found, Constant)
    assert (found.array.dtype, found.array.tolist()) == (np.float64, [2.0, 1.0])


def test_unknown_arguments_make_the_result_unknown():
    @registered("first(items: list[int]) -> int")
    def first(items: tuple[int, ...]) -> int:
        raise AssertionError("it is not called")

    assert value("first(s)", s=(Symbol("batch"), 3)) is UNKNOWN
    assert value("first(s)", s=(UNKNOWN,)) is UNKNOWN
    assert value("first(s)", s=UNKNOWN) is UNKNOWN


def test_value_error_declines():
    @registered("picky(number: int) -> int")
    def picky(number: int) -> int:
        raise ValueError("it is odd")

    with pytest.raises(Decline, match=r"^picky: it is odd$"):
        value("picky(1)")


def test_a_rule_with_a_function_fires():
    @registered("is_small(value: const) -> bool")
    def is_small(value: np.ndarray[Any, Any]) -> bool:
        return bool(np.abs(value).max() < 1e-6)

    text = """
rule add_little:
    "Adding next to nothing changes nothing."
    equal approx(1e-6)
    match:
        y = Add(x: float32[n, 3], const c: float32[3])
    where:
        is_small(c)
    rewrite:
        y = x
"""
    file = parse(text)
    check([file])
    graph = "(float[2,3] x) => (float[2,3] z) <float[3] c = {%s}> { y = Add (x, c) z = Neg (y) }"
    assert len(rewrite(model_of(graph % "0, 1e-7, 0"), file.rules).firings) == 1
    assert len(rewrite(model_of(graph % "0, 1, 0"), file.rules).firings) == 0


def test_calls_are_checked_against_the_signature():
    @registered("halves(items: list[int]) -> list[float]")
    def halves(items: tuple[int, ...]) -> list[float]:
        return []

    text = """rule r:
    "A rule."
    match:
        y = Relu(Relu(x))
    where:
        halves(x.rank) == []
    rewrite:
        y = Relu(x)
"""
    with pytest.raises(RuleError) as caught:
        check([parse(text, "my.rules")])
    assert str(caught.value) == (
        "my.rules:6:16: error GR029: items of halves is a list of whole numbers, and this is a whole number\n"
        "   6 |         halves(x.rank) == []\n"
        "     |                ^^^^^^\n"
        "help: halves(items: list[int]) -> list[float]"
    )


# --- what functions do wrong ---


def test_a_result_of_another_sort_is_an_error():
    @registered("broken(number: int) -> list[int]")
    def broken(number: int) -> Any:
        return {"a": 1}

    with pytest.raises(RewriteError) as caught:
        value("broken(1)")
    assert str(caught.value) == (
        "the rule function broken returned dict; its signature says list[int]\n"
        f"  at: {__name__}.{broken.__qualname__}\n"
        "  help: mend the function, or its signature"
    )


def test_an_exception_is_an_error_that_names_the_function():
    @registered("broken(number: int) -> int")
    def broken(number: int) -> int:
        return [][number]

    with pytest.raises(RewriteError) as caught:
        value("broken(1)")
    assert str(caught.value) == (
        "the rule function broken failed: IndexError: list index out of range\n"
        f"  at: {__name__}.{broken.__qualname__}\n"
        "  help: mend the function; where a rule does not apply it raises ValueError"
    )


def one(number: int) -> int:
    return number


def none_at_all() -> int:
    return 1


FORM = 'write @rule_function("name(parameter: sort) -> sort")'


@pytest.mark.parametrize(
    ("call", "signatures", "message", "help_line"),
    [
        (one, (), "it has no signature", FORM),
        (one, ("one",), "'one' is not of the form 'name(parameter: sort, ...) -> sort'", FORM),
        (one, ("one(number) -> int",), "the parameter 'number' is not of the form 'name: sort'", FORM),
        (one, ("one(number: list) -> int",), "a list says of what: list[int]", FORM),
        (
            one,
            ("one(number: tensr) -> int",),
            "there is no sort 'tensr'; there are tensor, const, int, float, bool, text, dtype, operator, target, "
            "attributes, none, any and list[...]",
            FORM,
        ),
        (
            one,
            ("one(first?: int, number: int) -> int",),
            "the parameter 'number' stands behind one that takes a varying number",
            FORM,
        ),
        (
            none_at_all,
            ("one(number: int) -> int",),
            "one(number: int) -> int does not fit its parameters: too many positional arguments",
            None,
        ),
        (
            one,
            ("one(other: int) -> int",),
            "one(other: int) -> int does not fit its parameters: missing a required argument: 'number'",
            None,
        ),
        (one, ("one(number: int) -> int", "two(number: int) -> int"), "its signatures have several names", None),
        (
            one,
            ("len(number: int) -> int",),
            "there is a rule function len already, from graphopt.lang.list_functions",
            None,
        ),
        (one, ("one(number: int) -> int",), "it has no docstring", "say in a sentence what it returns"),
    ],
)
def test_what_cannot_be_registered(
    call: Callable[..., Any], signatures: tuple[str, ...], message: str, help_line: str | None
):
    with pytest.raises(UsageError) as caught:
        graphopt.rule_function(*signatures)(call)
    assert caught.value.message == f"the function cannot be registered for rules: {message}"
    assert (caught.value.where, caught.value.help) == (f"{__name__}.{call.__qualname__}", help_line)
    assert "one" not in FUNCTIONS
