"""What looks like a Gelu, a HardSwish or a normalization, and what is one: by every constant and axis."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.traps.compiling import REAL, compiled, operators


def at(opset: int) -> str:
    return f'<ir_version: 8, opset_import: ["" : {opset}]>'


NORMALIZED = """
    m = {mean}
    d = Sub(x, m)
    q = {square}
    v = {variance}
    e = Add(v, eps)
    s = Sqrt(e)
    n = Div(d, s)
    k = Mul(n, scale)
    y = Add(k, bias)
"""

PLAIN = {
    "mean": "ReduceMean(x, axes)",
    "square": "Pow(d, two)",
    "variance": "ReduceMean(q, axes)",
    "axes": "int64[1] axes = {-1}",
    "two": "float two = {2}",
    "eps": "float eps = {0.00001}",
    "scale": "float[4] scale = {1, 2, 3, 4}",
    "bias": "float[4] bias = {4, 3, 2, 1}",
}

LAYER_NORMS: dict[str, tuple[dict[str, str], bool]] = {
    "as it should be": ({}, True),
    "a square by itself": ({"square": "Mul(d, d)"}, True),
    "a large epsilon": ({"eps": "float eps = {2}"}, True),
    "the power 4": ({"two": "float two = {4}"}, False),
    "the power 2.001": ({"two": "float two = {2.001}"}, False),
    "a power of each column": ({"two": "float[4] two = {2, 2, 2, 4}"}, False),
    "another axis": ({"axes": "int64[1] axes = {0}"}, False),
    "all axes": ({"axes": "int64[2] axes = {0, 1}"}, False),
    "the mean of no named axis": ({"mean": "ReduceMean(x)"}, False),
    "an epsilon of each column": ({"eps": "float[4] eps = {1, 2, 3, 4}"}, False),
    "axes that go": ({"mean": "ReduceMean<keepdims = 0>(x, axes)"}, False),
    "a variance whose axis goes": ({"variance": "ReduceMean<keepdims = 0>(q, axes)"}, False),
    "the square of what is not centered": ({"square": "Mul(x, x)"}, False),
    "a scale of one number": ({"scale": "float scale = {2}"}, False),
    "a bias of each row": ({"bias": "float[4,1] bias = {4, 3, 2, 1}"}, False),
}


@pytest.mark.parametrize("case", LAYER_NORMS)
def test_a_layer_norm_is_one_by_all_of_its_parts(tmp_path: Path, case: str) -> None:
    changed, fuses = LAYER_NORMS[case]
    parts = {**PLAIN, **changed}
    weights = ", ".join(parts[name] for name in ("axes", "two", "eps", "scale", "bias"))
    text = f"{at(18)} main (float[4,4] x) => (float[4,4] y) <{weights}> {{ {NORMALIZED.format(**parts)} }}"
    after = compiled(text, tmp_path, reference=False, tolerance=REAL)
    assert (operators(after) == ["LayerNormalization"]) == fuses


@pytest.mark.parametrize("given", ["two", "eps"])
def test_a_layer_norm_with_a_part_of_the_callers(tmp_path: Path, given: str) -> None:
    """Called with another value than its default as well."""
    weights = ", ".join(PLAIN[name] for name in ("axes", "two", "eps", "scale", "bias") if name != given)
    text = (
        f"{at(18)} main (float[4,4] x, {PLAIN[given]}) => (float[4,4] y) <{weights}> {{ {NORMALIZED.format(**PLAIN)} }}"
    )
    x = np.random.default_rng(0).standard_normal((4, 4)).astype(np.float32)
    feeds = [{"x": x}, {"x": x, given: np.array(4, np.float32)}]
    after = compiled(text, tmp_path, feeds=feeds, reference=False, tolerance=REAL)
    assert "LayerNormalization" not in operators(after)


def test_a_layer_norm_of_doubles_keeps_its_precision(tmp_path: Path) -> None:
    """LayerNormalization sums up in float32 unless it is told otherwise, and its epsilon is a float32."""
    parts = {name: part.replace("float", "double") for name, part in PLAIN.items()}
    weights = ", ".join(parts[name] for name in ("axes", "two", "eps", "scale", "bias"))
    text = f"{at(18)} main (double[4,4] x) => (double[4,4] y) <{weights}> {{ {NORMALIZED.format(**parts)} }}"
    # a dozen operations round by 2^-53 each, and none of them by 2^-24
    compiled(text, tmp_path, reference=False, tolerance=1e-14)


ROOT = """
    q = {square}
    v = ReduceMean(q, axes)
    e = Add(v, eps)
    s = Sqrt(e)
    r = {quotient}
    y = Mul(r, scale)
"""

RMS: dict[str, tuple[dict[str, str], bool]] = {
    "as it should be": ({}, True),
    "a reciprocal": ({"quotient": "Mul(x, i) i = Reciprocal(s)"}, True),
    "the power 4": ({"two": "float two = {4}"}, False),
    "another axis": ({"axes": "int64[1] axes = {0}"}, False),
    "two axes": ({"axes": "int64[2] axes = {0, 1}"}, False),
    "an epsilon of each row": ({"eps": "float[4,1] eps = {1, 2, 3, 4}"}, False),
    "the root alone": ({"quotient": "Div(one, s)"}, False),
    "a scale of each row": ({"scale": "float[4,1] scale = {4, 3, 2, 1}"}, False),
}


@pytest.mark.parametrize("case", RMS)
def test_a_root_mean_square_is_one_by_all_of_its_parts(tmp_path: Path, case: str) -> None:
    changed, fuses = RMS[case]
    parts = {**PLAIN, "square": "Pow(x, two)", "quotient": "Div(x, s)", **changed}
    weights = ", ".join(parts[name] for name in ("axes", "two", "eps", "scale"))
    nodes = ROOT.format(**parts)
    if "Reciprocal" in nodes:
        nodes = nodes.replace("r = Mul(x, i) i = Reciprocal(s)", "i = Reciprocal(s) r = Mul(x, i)")
    text = f"{at(23)} main (float[4,4] x) => (float[4,4] y) <{weights}, float[4,1] one = {{1, 1, 1, 1}}> {{ {nodes} }}"
    after = compiled(text, tmp_path, reference=False, tolerance=REAL)
    assert ("RMSNormalization" in operators(after)) == fuses


GELU = "a = {inner}(x, root) b = Erf(a) c = Add(b, one) d = Mul(x, c) y = Mul(d, half)"

GELUS = {
    "as it should be": ("Div", "1.4142135", "1", "0.5", True),
    "by the inverse root": ("Mul", "0.70710677", "1", "0.5", True),
    "the root the wrong way round": ("Mul", "1.4142135", "1", "0.5", False),
    "another root": ("Div", "1.5", "1", "0.5", False),
    "another summand": ("Div", "1.4142135", "2", "0.5", False),
    "another factor": ("Div", "1.4142135", "1", "0.25", False),
    "minus a half": ("Div", "1.4142135", "1", "-0.5", False),
}


@pytest.mark.parametrize("case", GELUS)
def test_a_gelu_is_one_by_its_constants(tmp_path: Path, case: str) -> None:
    inner, root, one, half, fuses = GELUS[case]
    after = compiled(
        f"""{at(20)} main (float[n,4] x) => (float[n,4] y)
        <float root = {{{root}}}, float one = {{{one}}}, float half = {{{half}}}> {{ {GELU.format(inner=inner)} }}""",
        tmp_path,
        reference=False,
        tolerance=REAL,
    )
    assert (operators(after) == ["Gelu"]) == fuses


def test_a_gelu_whose_constants_lift_the_rank_of_a_scalar(tmp_path: Path) -> None:
    after = compiled(
        f"""{at(20)} main (float x) => (float[1] y)
        <float[1] root = {{1.4142135}}, float one = {{1}}, float half = {{0.5}}> {{ {GELU.format(inner="Div")} }}""",
        tmp_path,
        reference=False,
        tolerance=REAL,
    )
    assert "Gelu" not in operators(after)


TANH = """
    c = Pow(x, power) m = Mul(c, a) s = Add(x, m) u = Mul(s, k) t = Tanh(u) f = Add(t, one) h = Mul(x, half)
    y = Mul(h, f)
"""

TANHS = {
    "as it should be": ("3", "0.044715", "0.7978846", "1", "0.5", True),
    "another power": ("2", "0.044715", "0.7978846", "1", "0.5", False),
    "another factor of the cube": ("3", "0.05", "0.7978846", "1", "0.5", False),
    "another factor of the sum": ("3", "0.044715", "0.8", "1", "0.5", False),
    "another summand": ("3", "0.044715", "0.7978846", "-1", "0.5", False),
    "another factor outside": ("3", "0.044715", "0.7978846", "1", "1", False),
}


@pytest.mark.parametrize("case", TANHS)
def test_a_gelu_by_tanh_is_one_by_its_constants(tmp_path: Path, case: str) -> None:
    power, a, k, one, half, fuses = TANHS[case]
    after = compiled(
        f"""{at(20)} main (float[n,4] x) => (float[n,4] y)
        <float power = {{{power}}}, float a = {{{a}}}, float k = {{{k}}}, float one = {{{one}}},
         float half = {{{half}}}> {{ {TANH} }}""",
        tmp_path,
        reference=False,
        tolerance=REAL,
    )
    assert (operators(after) == ["Gelu"]) == fuses


SWISHES = {
    "as it should be": ("3", "0", "6", "6", True),
    "another offset": ("2", "0", "6", "6", False),
    "bounds below zero": ("3", "-6", "-0.5", "6", False),
    "bounds upside down": ("3", "6", "0", "6", False),
    "another divisor": ("3", "0", "6", "3", False),
}


@pytest.mark.parametrize("dtype", ["float", "double"])
@pytest.mark.parametrize("case", SWISHES)
def test_a_hard_swish_is_one_by_its_bounds(tmp_path: Path, case: str, dtype: str) -> None:
    """One of doubles stays spelled out: the sixth that HardSwish means is a float32."""
    offset, low, high, six, fuses = SWISHES[case]
    after = compiled(
        f"""{at(17)} main ({dtype}[n,4] x) => ({dtype}[n,4] y)
        <{dtype} offset = {{{offset}}}, {dtype} low = {{{low}}}, {dtype} high = {{{high}}}, {dtype} six = {{{six}}}> {{
            a = Add(x, offset) s = Clip(a, low, high) p = Mul(x, s) y = Div(p, six)
        }}""",
        tmp_path,
        reference=False,
        tolerance=REAL if dtype == "float" else 1e-14,
    )
    assert (operators(after) == ["HardSwish"]) == (fuses and dtype == "float")


@pytest.mark.parametrize("opset", [23, 24, 25, 26])
def test_a_swish_at_every_opset_runs(tmp_path: Path, opset: int) -> None:
    """Which runtimes have of which opset differs: what came in as Sigmoid and Mul must load afterwards."""
    compiled(
        f"{at(opset)} main (float[n,4] x) => (float[n,4] y) {{ s = Sigmoid(x) y = Mul(x, s) }}",
        tmp_path,
        reference=False,
        tolerance=REAL,
    )


def test_integers_have_no_softplus_nor_norm(tmp_path: Path) -> None:
    after = compiled(
        f"""{at(18)} main (int32[n,3] x, double[n,3] z) => (int32[n,1] y, double[n,3] w)
        <int64[1] axes = {{1}}, double one = {{1}}> {{
            q = Mul(x, x)
            y = ReduceSum(q, axes)
            e = Exp(z)
            a = Add(e, one)
            w = Log(a)
        }}""",
        tmp_path,
        reference=False,
    )
    assert sorted(operators(after)) == ["Add", "Exp", "Log", "Mul", "ReduceSum"]


def test_a_softmax_of_all_that_lies_behind_an_axis_is_another(tmp_path: Path) -> None:
    """Before opset 13 Softmax flattened what lies behind its axis."""
    after = compiled(
        f"{at(11)} main (float[2,3,4] x) => (float[2,3,4] y) {{ s = Softmax<axis = 1>(x) y = Log(s) }}",
        tmp_path,
        reference=False,
        tolerance=REAL,
    )
    assert operators(after) == ["Softmax", "Log"]
