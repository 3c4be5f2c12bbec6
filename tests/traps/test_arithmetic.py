"""Numbers at the edge: what must not be fused, types that round, and statistics of dead channels."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

import graphopt
from tests.traps.compiling import REAL, compiled, made_feeds, operators
from tests.traps.oracles import assert_equal, by_reference

HEAD = '<ir_version: 8, opset_import: ["" : 17]>'

LAYER_NORM = """
    mean = ReduceMean<axes = [-1]>(x)
    d = Sub(x, mean)
    p = Pow(d, exponent)
    v = ReduceMean<axes = [-1]>(p)
    e = Add(v, eps)
    s = Sqrt(e)
    y = Div(d, s)
"""

EXPONENTS = {
    "2": ("float[n,4] x", "float exponent = {2}, float eps = {0.00001}"),
    "4": ("float[n,4] x", "float exponent = {4}, float eps = {0.00001}"),
    "the caller's": ("float[n,4] x, float exponent", "float eps = {0.00001}"),
    "2, which a caller may override": ("float[n,4] x, float exponent", "float exponent = {2}, float eps = {0.1}"),
    "2, an epsilon of each column": ("float[n,4] x", "float exponent = {2}, float[n,1] eps = {0.1, 0.2}"),
}


@pytest.mark.parametrize("case", EXPONENTS)
def test_a_decomposed_layer_norm_is_one_by_its_exponent_alone(tmp_path: Path, case: str) -> None:
    given, weights = EXPONENTS[case]
    x = np.random.default_rng(0).standard_normal((2, 4)).astype(np.float32)
    feeds = [{"x": x}, {"x": x, "exponent": np.float32(4)}] if "override" in case else [{"x": x}]
    if case == "the caller's":
        feeds = [{"x": x, "exponent": np.array(e, np.float32)} for e in (2, 4)]
    feeds = [{k: np.asarray(v) for k, v in f.items()} for f in feeds]
    weights = weights.replace("float[n,1]", "float[2,1]")
    compiled(f"{HEAD} main ({given}) => (float[n,4] y) <{weights}> {{ {LAYER_NORM} }}", tmp_path, feeds=feeds)


RELUS = {
    "disjoint": "float lo = {-6}, float hi = {-0.5}",
    "upside down": "float lo = {1}, float hi = {-1}",
    "as usual": "float lo = {-1}, float hi = {6}",
    "above zero": "float lo = {0.5}, float hi = {6}",
}


@pytest.mark.parametrize("dtype", ["float", "double"])
@pytest.mark.parametrize("case", RELUS)
def test_a_relu_of_a_clip_is_both(tmp_path: Path, case: str, dtype: str) -> None:
    weights = RELUS[case].replace("float", dtype)
    compiled(
        f"""{HEAD}
        main ({dtype}[n,4] x) => ({dtype}[n,4] y, {dtype}[n,4] z) <{weights}> {{
            a = Clip(x, lo, hi)
            y = Relu(a)
            b = Relu(x)
            z = Clip(b, lo, hi)
        }}""",
        tmp_path,
        targets=(),  # with its optimizations on, ONNX Runtime fails to load a Clip of doubles before a Relu
    )


def test_bounds_that_a_caller_gives_stay(tmp_path: Path) -> None:
    feeds = [
        {"x": np.float32([-2, -1, 0, 1, 2]), "lo": np.array(lo, np.float32), "hi": np.array(hi, np.float32)}
        for lo, hi in ((-1, 1), (1, -1), (-3, -2))
    ]
    after = compiled(
        f"{HEAD} main (float[5] x, float lo, float hi) => (float[5] y) {{ a = Clip(x, lo, hi) y = Relu(a) }}",
        tmp_path,
        feeds=feeds,
    )
    assert operators(after) == ["Clip", "Relu"]


@pytest.mark.parametrize("dtype", ["double", "float16", "bfloat16"])
def test_a_fold_has_weights_of_the_type_of_its_network(tmp_path: Path, dtype: str) -> None:
    """ONNX Runtime may lack such a Conv, on a CPU; the standard's evaluator has all but bfloat16."""
    number = {"double": TensorProto.DOUBLE, "float16": TensorProto.FLOAT16, "bfloat16": TensorProto.BFLOAT16}[dtype]
    rows = {"s": [-3, 0.1], "b": [4, 5], "m": [1, -1], "v": [1, 0.5]}
    weights = [helper.make_tensor(name, number, [2], row) for name, row in rows.items()]
    graph = helper.make_graph(
        [
            helper.make_node("Conv", ["x", "w"], ["a"]),
            helper.make_node("BatchNormalization", ["a", *rows], ["y"]),
        ],
        "typed",
        [helper.make_tensor_value_info("x", number, [1, 1, 2, 2])],
        [helper.make_tensor_value_info("y", number, [1, 2, 2, 2])],
        [helper.make_tensor("w", number, [2, 1, 1, 1], [2, 3]), *weights],
    )
    model = helper.make_model(graph, ir_version=10, opset_imports=[helper.make_opsetid("", 22)])
    onnx.save(model, tmp_path / "model.onnx")
    graphopt.compile(tmp_path / "model.onnx", tmp_path / "out", targets=())
    after = onnx.load(tmp_path / "out" / "model.onnx")
    onnx.checker.check_model(after, full_check=True)
    assert operators(after) == ["Conv"]
    if dtype != "bfloat16":
        # a float16 has 2^-11 of relative error, and each of a handful of operations rounds once
        tolerance = {"double": 1e-13, "float16": 4e-3}[dtype]
        feeds = made_feeds(model)
        assert_equal(by_reference(model, feeds), by_reference(after, feeds), tolerance)


@pytest.mark.parametrize("dtype", ["int64", "int32"])
def test_integers_have_no_gemm(tmp_path: Path, dtype: str) -> None:
    after = compiled(
        f"""{HEAD}
        main ({dtype}[n,2] x) => ({dtype}[n,2] y) <{dtype}[2,2] w = {{1, 2, 3, 4}}, {dtype}[2] c = {{5, 6}}> {{
            a = MatMul(x, w)
            y = Add(a, c)
        }}""",
        tmp_path,
    )
    assert operators(after) == ["MatMul", "Add"]


STATISTICS = {
    "variance 0": ("2, -3", "0, 1"),
    "variance 6e-45": ("2, -3", "6e-45, 1"),
    "variance 9.8e7": ("2, -3", "9.8e7, 1"),
    "gamma 0": ("0, -3", "1, 1"),
    "gamma negative": ("-2, -3", "1, 1"),
    "gamma 0, variance 0": ("0, 1", "0, 0"),
    "gamma 1e-38": ("1e-38, 1", "1, 1"),
}


@pytest.mark.parametrize("case", STATISTICS)
def test_statistics_of_dead_and_wild_channels(tmp_path: Path, case: str) -> None:
    gamma, variance = STATISTICS[case]
    after = compiled(
        f"""{HEAD}
        main (float[1,1,2,2] x) => (float[1,2,2,2] y)
        <float[2,1,1,1] w = {{2, 3}}, float[2] s = {{{gamma}}}, float[2] b = {{4, 5}}, float[2] m = {{1, -1}},
         float[2] v = {{{variance}}}> {{
            a = Conv(x, w)
            y = BatchNormalization(a, s, b, m, v)
        }}""",
        tmp_path,
        tolerance=REAL,
    )
    assert operators(after) == ["Conv"]


def test_weights_that_would_overflow_stay(tmp_path: Path) -> None:
    """3e38 * 2 / sqrt(1e-5) is no float32, and the products of small inputs are."""
    after = compiled(
        f"""{HEAD}
        main (float[1,1,2,2] x) => (float[1,1,2,2] y)
        <float[1,1,1,1] w = {{3e38}}, float[1] s = {{2}}, float[1] b = {{4}}, float[1] m = {{1}}, float[1] v = {{0}}> {{
            a = Conv(x, w)
            y = BatchNormalization(a, s, b, m, v)
        }}""",
        tmp_path,
        feeds=[{"x": np.full((1, 1, 2, 2), 1e-36, np.float32)}],
        data=str(_tiny(tmp_path)),
        tolerance=REAL,
    )
    assert operators(after) == ["Conv", "BatchNormalization"]


def _tiny(folder: Path) -> Path:
    path = folder / "tiny.npz"
    np.savez(path, x=np.full((1, 1, 2, 2), 1e-36, np.float32))
    return path


def test_a_batch_normalization_behind_a_relu_stays(tmp_path: Path) -> None:
    """Conv, Relu, BN, Pad, Conv: no two of them may meet."""
    after = compiled(
        f"""{HEAD}
        main (float[1,1,3,3] x) => (float[1,1,5,5] y)
        <float[1,1,1,1] w = {{2}}, float[1] s = {{2}}, float[1] b = {{4}}, float[1] m = {{1}}, float[1] v = {{2}},
         int64[8] p = {{0,0,1,1,0,0,1,1}}, float one = {{1}}> {{
            a = Conv(x, w)
            r = Relu(a)
            n = BatchNormalization(r, s, b, m, v)
            q = Pad(n, p, one)
            y = Conv(q, w)
        }}""",
        tmp_path,
        tolerance=REAL,
    )
    assert operators(after) == ["Conv", "Relu", "BatchNormalization", "Pad", "Conv"]


CASTS = {
    "widened and back": ("float", "DOUBLE", "FLOAT", ["Neg", "Abs"]),
    "narrowed and back": ("float", "FLOAT16", "FLOAT", ["Neg", "Cast", "Cast", "Abs"]),
    "to integers and back": ("float", "INT64", "FLOAT", ["Neg", "Cast", "Cast", "Abs"]),
    "integers that a float cannot hold": ("int64", "FLOAT", "INT64", ["Neg", "Cast", "Cast", "Abs"]),
    "integers that a double can hold": ("int32", "DOUBLE", "INT64", ["Neg", "Cast", "Abs"]),
    "to bool and back": ("float", "BOOL", "FLOAT", ["Neg", "Cast", "Cast", "Abs"]),
    "signed, unsigned, wide": ("int32", "UINT32", "INT64", ["Neg", "Cast", "Cast", "Abs"]),
}

NUMBERS = {"FLOAT": 1, "DOUBLE": 11, "FLOAT16": 10, "INT64": 7, "INT32": 6, "UINT32": 12, "BOOL": 9}


@pytest.mark.parametrize("case", CASTS)
def test_a_cast_goes_only_if_it_loses_nothing(tmp_path: Path, case: str) -> None:
    given, between, last, left = CASTS[case]
    made = {"FLOAT": "float", "INT64": "int64"}[last]
    dtype = {"float": np.float32, "int64": np.int64, "int32": np.int32}[given]
    values = np.array([0, 0.4, -0.4, 1.7, -1.7, 3000.3, 2**24 + 1, -(2**24) - 1], np.float64).astype(dtype)
    after = compiled(
        f"""{HEAD}
        main ({given}[n] x) => ({made}[n] y) {{
            a = Neg(x)
            b = Cast<to = {NUMBERS[between]}>(a)
            c = Cast<to = {NUMBERS[last]}>(b)
            y = Abs(c)
        }}""",
        tmp_path,
        feeds=[{"x": values}],
    )
    assert operators(after) == left


BIASES = {
    "of each channel": ("1,2,1,1", "7, 8", ["Conv"]),
    "of one number": ("1", "7", ["Conv"]),
    "without dims": ("", "7", ["Conv"]),
    "of each column": ("2", "7, 8", ["Conv", "Add"]),
    "of each pixel": ("2,2", "7, 8, 9, 10", ["Conv", "Add"]),
    "that makes a batch": ("2,2,1,1", "7, 8, 9, 10", ["Conv", "Add"]),
    "that lifts the rank": ("1,1,2,1,1", "7, 8", ["Conv", "Add"]),
}


@pytest.mark.parametrize("case", BIASES)
@pytest.mark.parametrize("first", [True, False], ids=["left", "right"])
def test_what_is_added_to_a_conv(tmp_path: Path, case: str, first: bool) -> None:
    dims, values, left = BIASES[case]
    made = {"2,2,1,1": "2,2,2,2", "1,1,2,1,1": "1,1,2,2,2"}.get(dims, "1,2,2,2")
    shape = f"[{dims}]" if dims else ""
    after = compiled(
        f"""{HEAD}
        main (float[1,1,2,2] x) => (float[{made}] y) <float[2,1,1,1] w = {{2, 3}}, float{shape} c = {{{values}}}> {{
            a = Conv(x, w)
            y = {"Add(c, a)" if first else "Add(a, c)"}
        }}""",
        tmp_path,
        tolerance=REAL,
    )
    assert operators(after) == left


def test_a_bias_for_one_channel_that_makes_many(tmp_path: Path) -> None:
    """One channel plus a row of two is two channels, which the Conv does not have."""
    after = compiled(
        f"""{HEAD}
        main (float[1,1,2,2] x) => (float[1,2,2,2] y) <float[1,1,1,1] w = {{2}}, float[1,2,1,1] c = {{3, 4}}> {{
            a = Conv(x, w)
            y = Add(a, c)
        }}""",
        tmp_path,
    )
    assert operators(after) == ["Conv", "Add"]


SUMS = {
    "a row": ("float[3,2] x", "float[2] c = {5, 6}", "3,2", ["Gemm"]),
    "a column": ("float[3,2] x", "float[3,1] c = {5, 6, 7}", "3,2", ["Gemm"]),
    "a number": ("float[3,2] x", "float c = {5}", "3,2", ["Gemm"]),
    "what repeats one row": ("float[1,2] x", "float[3,2] c = {1,2,3,4,5,6}", "3,2", ["MatMul", "Add"]),
    "what lifts the rank": ("float[3,2] x", "float[1,1,2] c = {5, 6}", "1,3,2", ["MatMul", "Add"]),
    "what may repeat a row": ("float[n,2] x", "float[3,2] c = {1,2,3,4,5,6}", "3,2", ["MatMul", "Add"]),
}


@pytest.mark.parametrize("case", SUMS)
def test_what_is_added_to_a_matrix_product(tmp_path: Path, case: str) -> None:
    given, weight, made, left = SUMS[case]
    rows = {"[3": (3,), "[1": (1,), "[n": (1, 3)}[given[5:7]]
    after = compiled(
        f"""{HEAD}
        main ({given}) => (float[{made}] y) <float[2,2] w = {{1, 2, 3, 4}}, {weight}> {{
            a = MatMul(x, w)
            y = Add(a, c)
        }}""",
        tmp_path,
        feeds=[{"x": np.random.default_rng(0).standard_normal((r, 2)).astype(np.float32)} for r in rows],
        tolerance=REAL,
    )
    assert operators(after) == left
