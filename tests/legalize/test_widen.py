"""Whole numbers in a wider type give, bit by bit, what numpy gives in their own."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tests.legalize.widening import Array, computing_types, operators, parsed, run, widened

TYPES = ("int8", "uint8", "int16", "uint16", "uint32")


def numbers(dtype: str, seed: int) -> Array:
    """Both ends of the range, what lies around 0, and whatever else."""
    info = np.iinfo(dtype)
    some = [info.min, info.min + 1, 0, 1, 2, 3, info.max - 1, info.max]
    others = np.random.default_rng(seed).integers(info.min, info.max, 56, dtype=dtype, endpoint=True)
    return np.random.default_rng(seed + 1).permutation(np.array([*some, *others], dtype=dtype))


def check(graph: str, expected: Array, *, opset: int = 21, **feeds: Array) -> list[str]:
    """Check one model, and give the operators that it has now."""
    after, found = widened(parsed(graph, opset))
    assert found.inexact == []
    assert computing_types(after) <= {"int32", "int64", "bool", "float32"}
    (got,) = run(after, **feeds)
    assert got.dtype == expected.dtype
    np.testing.assert_array_equal(got, expected)
    return operators(after)


@pytest.mark.parametrize("dtype", TYPES)
@pytest.mark.parametrize(("operator", "function"), [("Add", np.add), ("Sub", np.subtract), ("Mul", np.multiply)])
def test_what_leaves_the_range_wraps_around(operator: str, function: Any, dtype: str) -> None:
    a, b = numbers(dtype, 0), numbers(dtype, 2)
    made = check(
        f"({dtype}[64] a, {dtype}[64] b) => ({dtype}[64] y) {{ y = {operator}(a, b) }}", function(a, b), a=a, b=b
    )
    assert "Mod" in made


@pytest.mark.parametrize("dtype", TYPES)
@pytest.mark.parametrize(("operator", "function"), [("Max", np.maximum), ("Min", np.minimum)])
def test_what_stays_in_the_range_is_not_wrapped(operator: str, function: Any, dtype: str) -> None:
    a, b = numbers(dtype, 0), numbers(dtype, 2)
    made = check(
        f"({dtype}[64] a, {dtype}[64] b) => ({dtype}[64] y) {{ y = {operator}(a, b) }}", function(a, b), a=a, b=b
    )
    assert sorted(made) == ["Cast", "Cast", "Cast", operator]


@pytest.mark.parametrize("dtype", ["int8", "int16"])
@pytest.mark.parametrize(("operator", "function"), [("Neg", np.negative), ("Abs", np.absolute)])
def test_the_lowest_number_has_no_opposite(operator: str, function: Any, dtype: str) -> None:
    a = numbers(dtype, 0)
    check(f"({dtype}[64] a) => ({dtype}[64] y) {{ y = {operator}(a) }}", function(a), a=a)


@pytest.mark.parametrize("source", TYPES)
@pytest.mark.parametrize("dtype", TYPES)
def test_casts_between_narrow_types_wrap(source: str, dtype: str) -> None:
    a = numbers(source, 0)
    b = np.maximum(a, np.array(1, source)).astype(dtype)
    number = {"int8": 3, "uint8": 2, "int16": 5, "uint16": 4, "uint32": 12}[dtype]
    graph = f"({source}[64] a) => ({dtype}[64] y) <{source} one = {{1}}> {{ m = Max(a, one) y = Cast<to={number}>(m) }}"
    check(graph, b, a=a)


def test_a_chain_is_cast_at_its_ends_alone() -> None:
    a, b = numbers("uint8", 0), numbers("uint8", 2)
    made = check(
        """(uint8[64] a, uint8[64] b) => (uint8[8,8] y) <int64[2] s = {8, 8}> {
            m = Max(a, b) r = Reshape(m, s) t = Transpose(r) y = Identity(t) }""",
        np.maximum(a, b).reshape(8, 8).T,
        a=a,
        b=b,
    )
    assert made == ["Cast", "Cast", "Max", "Reshape", "Transpose", "Identity", "Cast"]


def test_weights_and_bodies_are_widened_too() -> None:
    a = numbers("int8", 0)
    graph = """(int8[64] a, bool c) => (int8[64] y) <int8 w = {100}> {
        y = If(c) <then_branch = t () => (int8[64] u) { u = Add(a, w) },
                   else_branch = e () => (int8[64] v) { v = Max(a, w) }>
    }"""
    check(graph, a + np.int8(100), a=a, c=np.array(True))
    check(graph, np.maximum(a, np.int8(100)), a=a, c=np.array(False))


def test_an_operator_that_has_no_wider_form_stands_between_casts() -> None:
    graph = "(uint8[1,1,4,4] a, uint8 b) => (uint8[1,1,3,3] y) { m = Max(a, b) y = MaxPool<kernel_shape=[2,2]>(m) }"
    after, _ = widened(parsed(graph))
    assert operators(after) == ["Cast", "Cast", "Max", "Cast", "MaxPool"]


@pytest.mark.parametrize(
    "graph",
    [
        "(uint8[4] a) => (float[4] y) { y = Cast<to=1>(a) }",
        "(float[4] a) => (int8[4] y) { y = Cast<to=3>(a) }",
        """(float[4] a) => (float[4] y) <float s = {0.5}, int8 z = {0}> {
            q = QuantizeLinear(a, s, z) y = DequantizeLinear(q, s, z) }""",
        "(float[4] a, int32 b) => (float[4] y) { y = Relu(a) }",
    ],
)
def test_what_needs_nothing_stays(graph: str) -> None:
    proto = parsed(graph)
    after, found = widened(proto)
    assert (found.values, operators(after)) == (0, operators(proto))


def test_float64_stays_unless_narrowing_is_allowed() -> None:
    proto = parsed("(double[4] a, double[4] b) => (double[4] y) { s = Add(a, b) y = Exp(s) }")
    after, found = widened(proto)
    assert (operators(after), found.inexact) == (["Add", "Exp"], [])
    after, found = widened(proto, allow_narrowing=True)
    assert operators(after) == ["Cast", "Cast", "Add", "Exp", "Cast"]
    assert found.inexact == ["a", "b", "s", "y"]


def test_uint64_in_int64_is_exact_but_where_order_counts() -> None:
    a = np.array([0, 1, 2**63, 2**64 - 1], dtype=np.uint64)
    b = np.array([2**64 - 1, 5, 2**63, 2**64 - 1], dtype=np.uint64)
    after, found = widened(
        parsed("(uint64[4] a, uint64[4] b) => (uint64[4] y) { y = Mul(a, b) }"), allow_narrowing=True
    )
    assert found.inexact == []
    np.testing.assert_array_equal(run(after, a=a, b=b)[0], a * b)
    _, found = widened(parsed("(uint64[4] a, uint64[4] b) => (uint64[4] y) { y = Max(a, b) }"), allow_narrowing=True)
    assert found.inexact == ["y"]


@pytest.mark.parametrize("direction", ["LEFT", "RIGHT"])
@pytest.mark.parametrize("dtype", ["uint8", "uint16", "uint32"])
def test_shifts(direction: str, dtype: str) -> None:
    bits = np.iinfo(dtype).bits
    a = numbers(dtype, 0)
    count = (np.arange(64) % (bits + 2)).astype(dtype)
    sign = 1 if direction == "LEFT" else -1
    wide = [(int(x) << int(n) if sign > 0 else int(x) >> int(n)) % (1 << bits) for x, n in zip(a, count, strict=True)]
    graph = f'({dtype}[64] a, {dtype}[64] n) => ({dtype}[64] y) {{ y = BitShift<direction="{direction}">(a, n) }}'
    check(graph, np.array(wide, dtype=dtype), a=a, n=count)


@pytest.mark.parametrize("direction", ["LEFT", "RIGHT"])
@pytest.mark.parametrize("dtype", ["int8", "int32", "int64"])
def test_shifts_of_signed_numbers(direction: str, dtype: str) -> None:
    """BitShift-28: a shift by all bits or more, or by a negative number, leaves the sign alone."""
    bits = np.iinfo(dtype).bits
    a = numbers(dtype, 0)
    count = (np.arange(64) % (bits + 4) - 2).astype(dtype)
    half = 1 << (bits - 1)

    def expected(x: int, n: int) -> int:
        n = n if 0 <= n < bits else bits
        return ((x << n) + half) % (2 * half) - half if direction == "LEFT" else x >> n

    wanted = np.array([expected(int(x), int(n)) for x, n in zip(a, count, strict=True)], dtype=dtype)
    graph = f'({dtype}[64] a, {dtype}[64] n) => ({dtype}[64] y) {{ y = BitShift<direction="{direction}">(a, n) }}'
    made = check(graph, wanted, opset=28, a=a, n=count)
    assert "BitShift" not in made
