"""Defaults that vary, zeros that copy, and forms that exist only in some opsets."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.traps.compiling import REAL, compiled, operators

HEAD = '<ir_version: 8, opset_import: ["" : 17]>'


def at(opset: int) -> str:
    return f'<ir_version: 8, opset_import: ["" : {opset}]>'


TRANSPOSES = {
    "a scalar": ("float x", "float y", "a = Neg(x) y = Transpose(a)", ["Neg"]),
    "a vector": ("float[n] x", "float[n] y", "a = Neg(x) y = Transpose(a)", ["Neg"]),
    "a matrix": ("float[n,3] x", "float[3,n] y", "a = Neg(x) y = Transpose(a)", ["Neg", "Transpose"]),
    "twice reversed": (
        "float[n,3,m] x",
        "float[n,3,m] y",
        "a = Neg(x) b = Transpose(a) y = Transpose(b)",
        ["Neg"],
    ),
    "reversed and rotated": (
        "float[n,3,m] x",
        "float[3,n,m] y",
        "a = Neg(x) b = Transpose(a) y = Transpose<perm = [1, 2, 0]>(b)",
        ["Neg", "Transpose"],
    ),
    "rotated three times": (
        "float[n,3,m] x",
        "float[n,3,m] y",
        "a = Neg(x) b = Transpose<perm = [1, 2, 0]>(a) c = Transpose<perm = [1, 2, 0]>(b) "
        "y = Transpose<perm = [1, 2, 0]>(c)",
        ["Neg"],
    ),
    "seen from between": (
        "float[n,3] x",
        "float[n,3] y, float[3,n] z",
        "b = Transpose(x) z = Neg(b) c = Transpose(b) y = Abs(c)",
        ["Transpose", "Neg", "Abs"],
    ),
}


@pytest.mark.parametrize("case", TRANSPOSES)
def test_transposes(tmp_path: Path, case: str) -> None:
    given, made, nodes, left = TRANSPOSES[case]
    after = compiled(f"{HEAD} main ({given}) => ({made}) {{ {nodes} }}", tmp_path)
    assert sorted(operators(after)) == sorted(left)


RESHAPES = {
    "a zero copies the dim of its own input": (
        "float[2,3,4] x",
        "float[6,2,2] y",
        "int64[2] s = {6, 4}, int64[3] t = {0, 2, -1}",
        "a = Reshape(x, s) y = Reshape(a, t)",
        ["Reshape"],  # to 6, 2, 2, written out
    ),
    "two zeros": (
        "float[2,3,4] x",
        "float[4,3,2] y",
        "int64[3] s = {4, 3, 2}, int64[3] t = {0, 0, 2}",
        "a = Reshape(x, s) y = Reshape(a, t)",
        None,
    ),
    "no zero": (
        "float[2,3,n] x",
        "float[k,6] y",
        "int64[3] s = {0, -1, 1}, int64[2] t = {-1, 6}",
        "a = Reshape(x, s) y = Reshape(a, t)",
        ["Reshape"],
    ),
    "to the shape that is there": (
        "float[2,3] x",
        "float[2,3] y",
        "int64[2] s = {2, -1}",
        "a = Neg(x) y = Reshape(a, s)",
        ["Neg"],
    ),
    "to a shape that may be there": (
        "float[n,m] x",
        "float[k,3] y",
        "int64[2] s = {-1, 3}",
        "a = Neg(x) y = Reshape(a, s)",
        ["Neg", "Reshape"],
    ),
}


@pytest.mark.parametrize("case", RESHAPES)
def test_reshapes(tmp_path: Path, case: str) -> None:
    given, made, weights, nodes, left = RESHAPES[case]
    random = np.random.default_rng(0)
    sizes = {"float[2,3,4] x": (2, 3, 4), "float[2,3,n] x": (2, 3, 2), "float[2,3] x": (2, 3), "float[n,m] x": (3, 4)}
    feeds = [{"x": random.standard_normal(sizes[given]).astype(np.float32)}]
    after = compiled(f"{HEAD} main ({given}) => ({made}) <{weights}> {{ {nodes} }}", tmp_path, feeds=feeds)
    if left is not None:
        assert operators(after) == left


def test_a_reshape_to_an_empty_shape_is_told_from_one_that_copies(tmp_path: Path) -> None:
    """With allowzero a 0 is a 0, whatever the input has there."""
    compiled(
        f"""{HEAD}
        main (float[0,3] x) => (float[3,0] y, float[0,3] z) <int64[2] s = {{3, 0}}, int64[2] t = {{0, 3}}> {{
            a = Reshape<allowzero = 1>(x, s)
            y = Neg(a)
            b = Reshape<allowzero = 1>(a, t)
            z = Neg(b)
        }}""",
        tmp_path,
        feeds=[{"x": np.zeros((0, 3), np.float32)}],
    )


SHAPES = [
    "",
    "<start = 1>",
    "<start = -1>",
    "<end = 2>",
    "<start = 1, end = -1>",
    "<start = -9, end = 9>",
    "<start = 2, end = 1>",
]


@pytest.mark.parametrize("part", SHAPES)
def test_shape_has_a_start_and_an_end(tmp_path: Path, part: str) -> None:
    """Of three dims the middle one is dynamic: what is asked of the others alone is a constant."""
    compiled(
        f"""{HEAD}
        main (float[4,n,5] x) => (int64[k] y) {{
            a = Shape{part}(x)
            b = Mul(a, a)
            y = Sub(b, a)
        }}""",
        tmp_path,
    )


def test_size_of_a_dynamic_tensor_stays(tmp_path: Path) -> None:
    after = compiled(
        f"{HEAD} main (float[4,n] x, float[4,5] z) => (int64 y) {{ a = Size(x) b = Size(z) y = Mul(a, b) }}", tmp_path
    )
    assert operators(after) == ["Size", "Mul"]


PAD_CONV = {
    "zeros on spatial axes": ("constant", "0,0,1,2,0,0,3,4", "0", "", ["Conv"]),
    "padding of its own": ("constant", "0,0,1,2,0,0,3,4", "0", "pads = [1, 0, 0, 2],", ["Conv"]),
    "a value": ("constant", "0,0,1,2,0,0,3,4", "1", "", ["Pad", "Conv"]),
    "minus zero": ("constant", "0,0,1,1,0,0,1,1", "-0.0", "", ["Conv"]),
    "reflection": ("reflect", "0,0,1,1,0,0,1,1", "0", "", ["Pad", "Conv"]),
    "edges": ("edge", "0,0,1,1,0,0,1,1", "0", "", ["Pad", "Conv"]),
    "a channel": ("constant", "0,1,1,1,0,0,1,1", "0", "", ["Pad", "Conv"]),
    "a sample": ("constant", "1,0,1,1,0,0,1,1", "0", "", ["Pad", "Conv"]),
    "cutting": ("constant", "0,0,1,-1,0,0,1,-1", "0", "", ["Pad", "Conv"]),
    "cutting a channel, adding a sample": ("constant", "1,0,1,1,0,-1,1,1", "0", "", ["Pad", "Conv"]),
    "SAME_UPPER": ("constant", "0,0,1,1,0,0,1,1", "0", 'auto_pad = "SAME_UPPER",', ["Pad", "Conv"]),
    "VALID": ("constant", "0,0,1,1,0,0,1,1", "0", 'auto_pad = "VALID",', ["Conv"]),
    "NOTSET": ("constant", "0,0,1,1,0,0,1,1", "0", 'auto_pad = "NOTSET",', ["Conv"]),
}


@pytest.mark.parametrize("case", PAD_CONV)
def test_a_pad_before_a_conv(tmp_path: Path, case: str) -> None:
    mode, amounts, value, more, left = PAD_CONV[case]
    channels = 2 + (case == "a channel") - ("cutting a channel" in case)
    random = np.random.default_rng(0)
    weight = ",".join(f"{w:.3f}" for w in random.standard_normal(channels * 4))
    after = compiled(
        f"""{HEAD}
        main (float[1,2,6,6] x) => (float[b,1,h,w] y)
        <int64[8] p = {{{amounts}}}, float v = {{{value}}}, float[1,{channels},2,2] k = {{{weight}}}> {{
            a = Pad<mode = "{mode}">(x, p, v)
            y = Conv<{more} strides = [2, 1]>(a, k)
        }}""",
        tmp_path,
        reference="cutting" not in case,  # it has no negative pads
        tolerance=REAL,
    )
    assert operators(after) == left


def test_a_pad_of_named_axes_before_a_conv_stays(tmp_path: Path) -> None:
    after = compiled(
        f"""{at(18)}
        main (float[1,1,4,4] x) => (float[1,1,6,4] y)
        <int64[2] p = {{1, 1}}, float v = {{0}}, int64[1] axes = {{2}}, float[1,1,1,1] k = {{2}}> {{
            a = Pad(x, p, v, axes)
            y = Conv(a, k)
        }}""",
        tmp_path,
        tolerance=REAL,
    )
    assert operators(after) == ["Pad", "Conv"]


def test_a_pad_with_two_readers_stays_for_the_other(tmp_path: Path) -> None:
    after = compiled(
        f"""{HEAD}
        main (float[1,1,4,4] x) => (float[1,1,5,5] y, float[1,1,6,6] z)
        <int64[8] p = {{0,0,1,1,0,0,1,1}}, float[1,1,2,2] k = {{1, 2, 3, 4}}> {{
            a = Pad(x, p)
            y = Conv(a, k)
            z = Neg(a)
        }}""",
        tmp_path,
        tolerance=REAL,
    )
    assert sorted(operators(after)) == ["Conv", "Neg", "Pad"]


BATCH_NORMALIZATIONS = {
    "training": (17, "training_mode = 1,", "y, r, q", ["Conv", "BatchNormalization"]),
    "statistics": (9, "", "y, r, q, p, o", ["Conv", "BatchNormalization"]),
    "each activation": (7, "spatial = 0,", "y", ["Conv", "BatchNormalization"]),
    "spatial, said": (7, "spatial = 1,", "y", ["Conv"]),
    "inference, said": (17, "training_mode = 0,", "y", ["Conv"]),
    "momentum": (9, "momentum = 0.5,", "y", ["Conv"]),
    "a large epsilon": (17, "epsilon = 1.0,", "y", ["Conv"]),
}


@pytest.mark.parametrize("case", BATCH_NORMALIZATIONS)
def test_only_a_batch_normalization_of_inference_folds(tmp_path: Path, case: str) -> None:
    opset, attributes, outputs, left = BATCH_NORMALIZATIONS[case]
    spatial = "2,2,2" if case == "each activation" else "2"
    count = 8 if case == "each activation" else 2
    row = ",".join(["2", "3"] * (count // 2))
    after = compiled(
        f"""{at(opset)}
        main (float[1,1,2,2] x) => (float[1,2,2,2] y)
        <float[2,1,1,1] w = {{2, 3}}, float[{spatial}] s = {{{row}}}, float[{spatial}] b = {{{row}}},
         float[{spatial}] m = {{{row}}}, float[{spatial}] v = {{{row}}}> {{
            a = Conv(x, w)
            {outputs} = BatchNormalization<{attributes} epsilon = 0.001>(a, s, b, m, v)
        }}"""
        if "epsilon" not in attributes
        else f"""{at(opset)}
        main (float[1,1,2,2] x) => (float[1,2,2,2] y)
        <float[2,1,1,1] w = {{2, 3}}, float[2] s = {{2, 3}}, float[2] b = {{2, 3}}, float[2] m = {{2, 3}},
         float[2] v = {{2, 3}}> {{
            a = Conv(x, w)
            y = BatchNormalization<epsilon = 1.0>(a, s, b, m, v)
        }}""",
        tmp_path,
        reference=opset >= 14,
        tolerance=REAL,
    )
    assert operators(after) == left


GEMMS = {
    "plain": ("", "float[2] c = {5, 6}", ["Gemm"]),
    "factors": ("alpha = 0.5, beta = 3.0,", "float[2] c = {5, 6}", ["Gemm"]),
    "transposed": ("transB = 1,", "float[2] c = {5, 6}", ["Gemm"]),
    "one number": ("beta = 2.0,", "float c = {5}", ["Gemm"]),
    "a row of two dims": ("", "float[1,2] c = {5, 6}", ["Gemm"]),
    "a column": ("", "float[3,1] c = {5, 6, 7}", ["Gemm", "BatchNormalization"]),
    "no factor of the bias": ("beta = 0.0,", "float[2] c = {5, 6}", ["Gemm"]),
}


@pytest.mark.parametrize("case", GEMMS)
def test_a_batch_normalization_after_a_gemm(tmp_path: Path, case: str) -> None:
    attributes, bias, left = GEMMS[case]
    after = compiled(
        f"""{HEAD}
        main (float[3,2] x) => (float[3,2] y)
        <float[2,2] w = {{1, 2, 3, 4}}, {bias}, float[2] s = {{2, -3}}, float[2] b = {{2, 3}}, float[2] m = {{2, 3}},
         float[2] v = {{2, 3}}> {{
            a = Gemm<{attributes} transA = 0>(x, w, c)
            y = BatchNormalization(a, s, b, m, v)
        }}""",
        tmp_path,
        tolerance=REAL,
    )
    assert operators(after) == left


def test_groups_of_a_transposed_conv_keep_their_channels(tmp_path: Path) -> None:
    random = np.random.default_rng(1)
    weight = ",".join(f"{w:.3f}" for w in random.standard_normal(4 * 3 * 2 * 2))
    after = compiled(
        f"""{HEAD}
        main (float[1,4,3,3] x) => (float[1,6,h,w] y)
        <float[4,3,2,2] w = {{{weight}}}, float[6] s = {{1,2,-3,4,0,6}}, float[6] b = {{1,2,3,4,5,6}},
         float[6] m = {{6,5,4,3,2,1}}, float[6] v = {{1,2,3,4,5,6}}> {{
            a = ConvTranspose<group = 2, strides = [2, 1]>(x, w)
            y = BatchNormalization(a, s, b, m, v)
        }}""",
        tmp_path,
        reference=False,  # it computes no transposed Conv in groups
        tolerance=REAL,
    )
    assert operators(after) == ["ConvTranspose"]


DROPOUTS = {
    "opset 7": (7, "y = Dropout<ratio = 0.3>(a)", "", ["Neg"]),
    "opset 10, with its mask": (10, "y, mask = Dropout(a)", ", bool[n,3] mask", ["Neg", "Dropout"]),
    "opset 12": (12, "y = Dropout(a)", "", ["Neg"]),
    "opset 13, a mask that nobody reads": (13, "y, unread = Dropout(a)", "", ["Neg"]),
    "opset 13, a mask that is an output": (13, "y, mask = Dropout(a)", ", bool[n,3] mask", ["Neg", "Dropout"]),
    "opset 13, told to train by nothing": (13, "y = Dropout(a, r, t)", "", ["Neg"]),
}


@pytest.mark.parametrize("case", DROPOUTS)
def test_dropout(tmp_path: Path, case: str) -> None:
    opset, node, more, left = DROPOUTS[case]
    weights = "<float r = {0.4}, bool t = {0}>" if "train" in case else ""
    after = compiled(
        f"{at(opset)} main (float[n,3] x) => (float[n,3] y{more}) {weights} {{ a = Neg(x) {node} }}",
        tmp_path,
        reference=False,
    )
    assert operators(after) == left


def test_dropout_that_trains_stays(tmp_path: Path) -> None:
    """A ratio of 0 drops nothing, so that it can be compared; whether to train is the caller's to say in the second."""
    after = compiled(
        f"""{HEAD}
        main (float[n,3] x, bool train) => (float[n,3] y, float[n,3] z) <float r = {{0}}, bool t = {{1}}> {{
            y = Dropout(x, r, t)
            z = Dropout(x, r, train)
        }}""",
        tmp_path,
    )
    assert operators(after) == ["Dropout", "Dropout"]
