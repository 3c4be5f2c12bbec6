"""The range of integer inputs that end as indices."""

from __future__ import annotations

import onnx
import onnx.parser
import pytest

from graphopt.data.hints import integer_hints


def hints(body: str, opset: int = 17) -> dict[str, tuple[int, int]]:
    return integer_hints(onnx.parser.parse_model(f'<ir_version: 8, opset_import: ["" : {opset}]> {body}'))


def test_an_embedding() -> None:
    assert hints("g (int64[N] i) => (float[N,4] y) <float[30,4] w> { y = Gather (w, i) }") == {"i": (0, 29)}


def test_the_axis_counts() -> None:
    assert hints("g (int64[N] i) => (float[30,N] y) <float[30,4] w> { y = Gather <axis=-1> (w, i) }") == {"i": (0, 3)}


def test_through_what_only_moves_values() -> None:
    body = """g (int32[N] i) => (float[1,N,4] y) <float[30,4] w, int64[1] zero = {0}> {
        a = Cast <to=7> (i)  b = Unsqueeze (a, zero)  c = Concat <axis=0> (b, b)  y = Gather (w, c)
    }"""
    assert hints(body) == {"i": (0, 29)}


def test_the_smaller_of_two_tables() -> None:
    body = """g (int64[N] i) => (float[N,4] y) <float[30,4] w, float[7,4] v> {
        a = Gather (w, i)  b = Gather (v, i)  y = Add (a, b)
    }"""
    assert hints(body) == {"i": (0, 6)}


def test_a_table_of_indices_passes_its_bound_on() -> None:
    body = """g (int64[9] t, int64[N] i) => (float[N,4] y) <float[30,4] w> { a = Gather (t, i)  y = Gather (w, a) }"""
    assert hints(body) == {"t": (0, 29), "i": (0, 8)}


def test_one_hot_and_gather_elements() -> None:
    body = """g (int64[N] i) => (float[N,12] y) <int64 depth = {12}, float[2] values = {0, 1}> {
        y = OneHot (i, depth, values)
    }"""
    assert hints(body) == {"i": (0, 11)}
    assert hints("g (float[5,2] x, int64[N,2] i) => (float[N,2] y) { y = GatherElements (x, i) }") == {"i": (0, 4)}
    assert hints("g (float[5,2] x, int64[N,2] i) => (float[N] y) { y = GatherND (x, i) }") == {"i": (0, 1)}


def test_inside_a_branch() -> None:
    body = """g (bool c, int64[N] i) => (float[N,4] y) <float[30,4] w> {
        y = If (c) <then_branch = a () => (float[N,4] p) { p = Gather (w, i) },
                    else_branch = b () => (float[N,4] q) { q = Gather (w, i) }>
    }"""
    assert hints(body) == {"i": (0, 29)}


@pytest.mark.parametrize(
    "body",
    [
        "g (int64[N] i) => (int64[N] y) { y = Add (i, i) }",
        "g (float[M,4] w, int64[N] i) => (float[N,4] y) { y = Gather (w, i) }",
        "g (float[N] i) => (float[N,4] y) <float[30,4] w> { a = Cast <to=7> (i)  y = Gather (w, a) }",
        "g (int64[N] i) => (float[N,4] y) <float[30,4] w> { a = Add (i, i)  y = Gather (w, a) }",
    ],
)
def test_nothing_is_said_where_nothing_is_known(body: str) -> None:
    assert hints(body) == {}
