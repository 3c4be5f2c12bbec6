"""Inputs, outputs, and initializers that are either as well."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest

import graphopt
from tests.traps.compiling import compiled, defaults, made_feeds, operators, parsed
from tests.traps.oracles import assert_equal, by_onnxruntime

HEAD = '<ir_version: 8, opset_import: ["" : 17]>'

OVERRIDABLE = f"""{HEAD}
main (float[n,3] x, float[3] scale) => (float[n,3] y)
<float[3] scale = {{1, 2, 3}}, float[3] bias = {{4, 5, 6}}> {{
    k = Mul(scale, bias)
    i = Identity(k)
    y = Add(x, i)
}}"""


def test_an_overridable_initializer_is_no_constant(tmp_path: Path) -> None:
    x = np.ones((2, 3), np.float32)
    other = np.float32([7, 8, 9])
    after = compiled(OVERRIDABLE, tmp_path, feeds=[{"x": x}, {"x": x, "scale": other}])
    assert operators(after) == ["Mul", "Add"]
    np.testing.assert_array_equal(defaults(after)["scale"], [1, 2, 3])


def test_an_unused_overridable_initializer_keeps_its_default(tmp_path: Path) -> None:
    after = compiled(
        f"""{HEAD}
        main (float[n,3] x, float[3] unused) => (float[n,3] y) <float[3] unused = {{1, 2, 3}}> {{
            a = Identity(x)
            y = Relu(a)
        }}""",
        tmp_path,
    )
    assert list(defaults(after)) == ["unused"]


def test_an_overridable_initializer_is_frozen_when_asked(tmp_path: Path) -> None:
    model = parsed(OVERRIDABLE)
    source = tmp_path / "source.onnx"
    onnx.save(model, source)
    result = graphopt.compile(source, tmp_path / "out", overridable="freeze")
    after = onnx.load(tmp_path / "out" / "model.onnx")
    assert [i.name for i in after.graph.input] == ["x"]
    assert operators(after) == ["Add"]
    assert result.notes == ("1 initializer that was listed as an input is taken as constant, as asked",)
    feeds = made_feeds(model)
    assert_equal(by_onnxruntime(model, feeds), by_onnxruntime(after, feeds))


X = np.arange(12, dtype=np.float32).reshape(3, 4)


@pytest.mark.parametrize("wanted", [[4, 3], [2, 6]], ids=str)
def test_a_shape_that_a_caller_overrides_is_not_settled_by_its_default(tmp_path: Path, wanted: list[int]) -> None:
    compiled(
        f"""{HEAD}
        main (float[3,4] x, int64[2] shape) => (float[r,c] y, int64[2] size) <int64[2] shape = {{3, 4}}> {{
            y = Reshape(x, shape)
            size = Shape(y)
        }}""",
        tmp_path,
        feeds=[{"x": X}, {"x": X, "shape": np.int64(wanted)}],
    )


def test_a_default_of_other_size_than_the_callers_value_settles_no_shape(tmp_path: Path) -> None:
    compiled(
        f"""{HEAD}
        main (float[n] x, float[k] tail) => (float[m] y, int64[1] length) <float[3] tail = {{1, 2, 3}}> {{
            y = Concat<axis = 0>(x, tail)
            length = Shape(tail)
        }}""",
        tmp_path,
        feeds=[{"x": np.zeros(2, np.float32)}, {"x": np.zeros(2, np.float32), "tail": np.ones(5, np.float32)}],
    )


def test_an_overridable_weight_does_not_become_part_of_a_fold(tmp_path: Path) -> None:
    model = parsed(f"""{HEAD}
        main (float[1,1,4,4] x, float[1,1,1,1] w) => (float[1,1,4,4] y)
        <float[1,1,1,1] w = {{2}}, float[1] s = {{3}}, float[1] b = {{4}}, float[1] mean = {{1}}, float[1] v = {{1}}> {{
            a = Conv(x, w)
            y = BatchNormalization(a, s, b, mean, v)
        }}""")
    x = made_feeds(model)
    after = compiled(model, tmp_path, feeds=[x, {**x, "w": np.full((1, 1, 1, 1), 5, np.float32)}])
    assert operators(after) == ["Conv", "BatchNormalization"]


def test_an_input_that_is_an_output_stays_both(tmp_path: Path) -> None:
    after = compiled(
        f"""{HEAD}
        main (float[n,3] x) => (float[n,3] x, float[n,3] y) {{
            y = Relu(x)
        }}""",
        tmp_path,
        reference=False,
    )
    assert operators(after) == ["Relu"]


def test_an_identity_between_input_and_output_stays(tmp_path: Path) -> None:
    after = compiled(f"{HEAD} main (float[n,3] x) => (float[n,3] y) {{ y = Identity(x) }}", tmp_path)
    assert operators(after) == ["Identity"]


def test_two_transposes_between_input_and_output_become_an_identity(tmp_path: Path) -> None:
    after = compiled(f"{HEAD} main (float[n,3] x) => (float[n,3] y) {{ a = Transpose(x) y = Transpose(a) }}", tmp_path)
    assert operators(after) == ["Identity"]


def test_a_value_under_two_outputs_keeps_both_names(tmp_path: Path) -> None:
    after = compiled(
        f"""{HEAD}
        main (float[n,3] x) => (float[n,3] y, float[n,3] z, float[n,3] r) {{
            r = Relu(x)
            y = Identity(r)
            z = Identity(r)
        }}""",
        tmp_path,
    )
    assert operators(after) == ["Relu", "Identity", "Identity"]


def test_one_of_two_outputs_takes_over_the_node(tmp_path: Path) -> None:
    after = compiled(
        f"""{HEAD}
        main (float[n,3] x) => (float[n,3] y, float[n,3] z) {{
            r = Relu(x)
            y = Identity(r)
            z = Identity(r)
        }}""",
        tmp_path,
    )
    assert operators(after) == ["Relu", "Identity"]


def test_a_chain_of_outputs_keeps_every_name(tmp_path: Path) -> None:
    after = compiled(
        f"""{HEAD}
        main (float[n,3] x) => (float[n,3] c, float[n,3] b, float[n,3] a) {{
            a = Identity(x)
            b = Identity(a)
            c = Identity(b)
        }}""",
        tmp_path,
    )
    assert operators(after) == ["Identity", "Identity", "Identity"]


def test_an_initializer_that_is_an_output_stays(tmp_path: Path) -> None:
    after = compiled(
        f"""{HEAD}
        main (float[n,3] x) => (float[n,3] y, float[3] w, float[3] unread)
        <float[3] w = {{1, 2, 3}}, float[3] unread = {{4, 5, 6}}> {{
            a = Identity(w)
            y = Add(x, a)
        }}""",
        tmp_path,
        reference=False,
    )
    assert operators(after) == ["Add"]


def test_an_initializer_that_is_input_and_output_stays_both(tmp_path: Path) -> None:
    x = np.ones((2, 3), np.float32)
    after = compiled(
        f"""{HEAD}
        main (float[n,3] x, float[3] w) => (float[n,3] y, float[3] w) <float[3] w = {{1, 2, 3}}> {{
            y = Add(x, w)
        }}""",
        tmp_path,
        feeds=[{"x": x}, {"x": x, "w": np.float32([5, 5, 5])}],
        reference=False,
    )
    assert list(defaults(after)) == ["w"]


def test_a_computed_constant_that_is_an_output_stays(tmp_path: Path) -> None:
    after = compiled(
        f"""{HEAD}
        main (float[n,3] x) => (float[n,3] y, float[3] c, int64[2] s)
        <float[3] w = {{1, 2, 3}}> {{
            c = Neg(w)
            y = Add(x, c)
            t = Constant<value = float[4,5] {{0,0,0,0,0, 0,0,0,0,0, 0,0,0,0,0, 0,0,0,0,0}}>()
            s = Shape(t)
        }}""",
        tmp_path,
    )
    assert [n.op_type for n in after.graph.node if n.output[0] in ("c", "s")] == ["Constant", "Constant"]


def test_a_constant_node_that_is_an_output_stays(tmp_path: Path) -> None:
    after = compiled(
        f"""{HEAD}
        main (float[n,3] x) => (float c, float d, float[n,3] y) {{
            c = Constant<value_float = 2.0>()
            d = Identity(c)
            y = Add(x, d)
        }}""",
        tmp_path,
    )
    assert operators(after) == ["Add"]


def test_an_unused_input_stays_wherever_it_stands(tmp_path: Path) -> None:
    compiled(
        f"""{HEAD}
        main (float[k] first, float[n,3] x, int64 last) => (float[n,3] y) {{
            a = Identity(x)
            y = Relu(a)
        }}""",
        tmp_path,
    )


CONV_BN = """
    <float[2,1,1,1] w = {2, 3},
     float[2] s = {-3, 0}, float[2] b = {4, 5}, float[2] mean = {1, -1}, float[2] v = {1, 0}> {
        a = Conv(x, w)
        y = BatchNormalization(a, s, b, mean, v)
    }"""


def test_a_batch_normalization_between_two_outputs_stays(tmp_path: Path) -> None:
    after = compiled(f"{HEAD} main (float[1,1,2,2] x) => (float[1,2,2,2] y, float[1,2,2,2] a) {CONV_BN}", tmp_path)
    assert operators(after) == ["Conv", "BatchNormalization"]


def test_operands_of_a_fold_that_are_outputs_keep_name_and_value(tmp_path: Path) -> None:
    after = compiled(
        f"{HEAD} main (float[1,1,2,2] x) => (float[1,2,2,2] y, float[2] s, float[2,1,1,1] w) {CONV_BN}",
        tmp_path,
        reference=False,
        tolerance=2e-5,
    )
    assert operators(after) == ["Conv"]


def test_symbolic_dims_are_not_specialised_by_a_broadcast(tmp_path: Path) -> None:
    """The sum has 5 elements if n and m are 5, and also if they are 1."""
    model = f"""{HEAD}
        main (float[n] a, float[m] b) => (float[k] y, int64[1] s, int64[1] t) <float[5] c = {{1, 2, 3, 4, 5}}> {{
            d = Sub(a, b)
            y = Add(d, c)
            s = Shape(d)
            t = Shape(a)
        }}"""
    feeds = [{"a": np.ones(n, np.float32), "b": np.zeros(m, np.float32)} for n, m in ((5, 5), (1, 5), (5, 1), (1, 1))]
    compiled(model, tmp_path, feeds=feeds)


def test_one_name_for_two_dims_that_a_reshape_swaps_is_believed_only_where_it_holds(tmp_path: Path) -> None:
    compiled(
        f"""{HEAD}
        main (float[n,m] x) => (float[p,q] y) <int64[2] shape = {{-1, 2}}> {{
            t = Transpose(x)
            r = Reshape(t, shape)
            y = Reshape(r, shape)
        }}""",
        tmp_path,
    )
