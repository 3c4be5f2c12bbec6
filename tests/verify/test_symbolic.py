"""Proofs over the reals: what is right is proved, what is wrong never."""

from __future__ import annotations

import math
from fractions import Fraction

import onnx
import pytest
from onnx import parser

from graphopt.lang import tree as t
from graphopt.lang.parse import parse
from graphopt.rewrite.library import load_rules
from graphopt.testing.cases import model_of
from graphopt.verify.symbolic import Proof, prove, prove_rule
from graphopt.verify.symbolic_reals import Algebra, Real, TooLarge, Undecided
from graphopt.verify.symbolic_zero import is_zero

# --- numbers ---


@pytest.fixture
def algebra() -> Algebra:
    return Algebra(work=1 << 20)


def test_polynomials_have_one_form(algebra: Algebra) -> None:
    x, y = algebra.symbol("x"), algebra.symbol("y")
    assert ((x + y) * (x - y) - (x * x - y * y)).is_zero
    assert not ((x + y) * (x + y) - (x * x + y * y)).is_zero


def test_quotients_of_multiples_are_the_same(algebra: Algebra) -> None:
    x, y = algebra.symbol("x"), algebra.symbol("y")
    assert (x / (2 * x + 2 * y) - x / (x + y) / 2).is_zero
    assert (x * y / y - x).is_zero


def test_roots_square_to_what_is_under_them(algebra: Algebra) -> None:
    x, y = algebra.symbol("x"), algebra.symbol("y")
    root = (x + y).sqrt()
    assert (root * root - (x + y)).is_zero
    assert (root.reciprocal() * root.reciprocal() - (x + y).reciprocal()).is_zero
    assert not ((x * x).sqrt() - x).is_zero  # it is |x|


def test_exponentials_of_sums_are_products(algebra: Algebra) -> None:
    x, y = algebra.symbol("x"), algebra.symbol("y")
    assert ((x + 2 * y).exp() - x.exp() * y.exp() * y.exp()).is_zero


def test_max_knows_no_order_and_no_nests(algebra: Algebra) -> None:
    x, y = algebra.symbol("x"), algebra.symbol("y")
    assert (x.maximum(y).maximum(0) - algebra.constant(0).maximum(y).maximum(x)).is_zero
    assert (x.maximum(1).maximum(2) - x.maximum(2)).is_zero
    assert not (x.maximum(0) - x).is_zero
    assert not (x.maximum(y) - x.minimum(y)).is_zero


@pytest.mark.parametrize(
    ("value", "square"),
    [(0.7071067811865476, Fraction(1, 2)), (1.4142135623730951, Fraction(2)), (-0.5, Fraction(1, 4))],
)
def test_floats_stand_for_simple_numbers(algebra: Algebra, value: float, square: Fraction) -> None:
    number = algebra.constant(value)
    assert (number * number).known == square


def test_floats_with_pi_in_them(algebra: Algebra) -> None:
    number = algebra.constant(math.sqrt(2 / math.pi))
    assert (number * number * algebra.symbol("pi")).known == 2


def test_floats_that_are_not_simple_are_themselves(algebra: Algebra) -> None:
    assert algebra.constant(0.3217498123).known == Fraction(0.3217498123)
    # 0.7071 is 1e-5 off, which no rounding explains
    assert algebra.constant(0.7071).known == Fraction(0.7071)


def test_comparisons_that_depend_on_symbols_are_undecided(algebra: Algebra) -> None:
    x = algebra.symbol("x")
    assert x + 1 > x
    assert (x - x) == 0
    with pytest.raises(Undecided, match=r"^a comparison depends on x$"):
        bool(x > 0)


def test_work_comes_to_an_end() -> None:
    x = Algebra(work=4).symbol("x")
    square = x * x
    with pytest.raises(TooLarge, match=r"^too much work$"):
        assert square * square * square


def test_what_the_form_does_not_settle_sympy_may(algebra: Algebra) -> None:
    x, y = algebra.symbol("x"), algebra.symbol("y")
    inverse = (x + y).reciprocal()
    difference = (x + y) * inverse - 1
    assert not difference.is_zero
    assert is_zero(difference).kind == "zero"


def test_what_differs_at_a_point_is_not_zero(algebra: Algebra) -> None:
    x: Real = algebra.symbol("x")
    found = is_zero(x.exp() - x - 1)
    assert found.kind == "nonzero"
    assert found.note.startswith("the two sides differ by ")


# --- shipped rules ---

BN = "float[2] g, float[2] be, float[2] m, float[2] v"
SHIPPED = {
    "conv_bn_fold": f"""(float[1,2,2,2] x) => (float[1,2,1,2] z) <float[2,2,2,1] w, float[2] b, {BN}>
        {{ y = Conv(x, w, b) z = BatchNormalization(y, g, be, m, v) }}""",
    "conv_transpose_bn_fold": """(float[1,2,2,2] x) => (float[1,4,3,2] z)
        <float[2,2,2,1] w, float[4] g, float[4] be, float[4] m, float[4] v>
        { y = ConvTranspose<group = 2>(x, w) z = BatchNormalization(y, g, be, m, v) }""",
    "gemm_bn_fold": f"""(float[2,3] x) => (float[2,2] z) <float[2,3] w, float[2] c, {BN}>
        {{ y = Gemm<transB = 1, beta = 0.5>(x, w, c) z = BatchNormalization(y, g, be, m, v) }}""",
    "matmul_bn_fold": f"""(float[2,3] x) => (float[2,2] z) <float[3,2] w, {BN}>
        {{ y = MatMul(x, w) z = BatchNormalization(y, g, be, m, v) }}""",
    "conv_add_fold": """(float[1,2,2,2] x) => (float[1,2,1,2] z) <float[2,2,2,1] w, float[2,1,1] c>
        { y = Conv(x, w) z = Add(c, y) }""",
    "matmul_add_to_gemm": """(float[2,3] x, float[3,2] w, float[2] c) => (float[2,2] z)
        { y = MatMul(x, w) z = Add(c, y) }""",
    "transpose_transpose": """(float[2,3,1] x) => (float[3,1,2] z)
        { y = Transpose<perm = [2, 1, 0]>(x) z = Transpose<perm = [1, 0, 2]>(y) }""",
    "reshape_reshape": """(float[2,3] x) => (float[3,2] z) <int64[1] a = {6}, int64[2] b = {3, 2}>
        { y = Reshape(x, a) z = Reshape(y, b) }""",
    "cast_cast": "(float[2,3] x) => (float[2,3] z) { y = Cast<to = 11>(x) z = Cast<to = 1>(y) }",
}


@pytest.mark.parametrize("name", SHIPPED)
def test_shipped_rules_are_proved(name: str) -> None:
    (rule,) = [r for r in load_rules() if r.name == name]
    found = prove_rule(rule, model_of(SHIPPED[name], 17, "float"), work=1 << 20)
    assert found.kind == "proved", found.note
    assert found.note.startswith("for all values; ")


def test_a_constant_that_a_condition_asks_about_keeps_its_value() -> None:
    (rule,) = [r for r in load_rules() if r.name == "pad_conv"]
    text = """(float[1,2,2,2] x) => (float[1,1,3,4] z)
        <float[1,2,2,1] w, int64[8] p = {0, 0, 1, 1, 0, 0, 1, 1}, float zero = {0}>
        { y = Pad(x, p, zero) z = Conv(y, w) }"""
    found = prove_rule(rule, model_of(text, 17, "float"), work=1 << 20)
    assert found == Proof("proved", "for all values but those of zero; w [1, 2, 2, 1], x [1, 2, 2, 2]")


# --- rules, right and wrong ---


def rule_of(body: str) -> t.Rule:
    return parse(body, "mine.rules").rules[0]


def proof(body: str, text: str, opset: int = 17) -> Proof:
    return prove_rule(rule_of(body), model_of(text, opset, "float"), work=1 << 20)


GELU = """opset >= 20
rule gelu:
    "x * (1 + erf(x / sqrt 2)) / 2"
    match:
        y = Mul*(x, ~0.5, Add(Erf(Mul(x, ~{number})), 1.0))
    rewrite:
        y = Gelu(x)
"""
GELU_GRAPH = """(float[2] x) => (float[2] y) <float r = {{{number}}}, float one = {{1}}, float half = {{0.5}}>
    {{ a = Mul(x, r) b = Erf(a) c = Add(b, one) d = Mul(x, half) y = Mul(d, c) }}"""


def test_a_root_is_taken_for_what_it_is() -> None:
    text = GELU_GRAPH.format(number=0.70710678)
    assert proof(GELU.replace("{number}", "0.7071067811865476"), text, 20).kind == "proved"


def test_a_number_beside_the_root_is_refuted() -> None:
    found = proof(GELU.replace("{number}", "0.7171"), GELU_GRAPH.format(number=0.7171), 20)
    assert found.kind == "disproved"
    assert found.note.startswith("y: the two sides differ by ")


WRONG = """
rule fold:
    "The mean is forgotten."
    match:
        y = MatMul(x: float32[_, _], const w: float32[_, _])
        z = BatchNormalization(y, const g, const be, const m, const v, epsilon=eps, momentum=_)
    let:
        k = g / sqrt(v + eps)
        c = be + 0 * m
    rewrite:
        z = Gemm(x, w * k.reshape([1, -1]), c)
"""


def test_a_wrong_fold_is_refuted() -> None:
    assert proof(WRONG, SHIPPED["matmul_bn_fold"]).kind == "disproved"


EQUATION = """opset >= 14
rule equation:
    "An equation."
    order once
    match:
        y = {left}
    rewrite:
        y = {right}
"""


@pytest.mark.parametrize(
    ("left", "graph", "right", "kind"),
    [
        ("Mul(x, 2.0)", "y = Mul(x, two)", "Add(x, x)", "proved"),
        ("Mul(x, 2.0)", "y = Mul(x, two)", "Mul(x, 3.0)", "disproved"),
        ("Relu(Relu(x))", "a = Relu(x) y = Relu(a)", "Relu(x)", "proved"),
        ("Abs(Neg(x))", "a = Neg(x) y = Abs(a)", "Abs(x)", "proved"),
        ("Sqrt(Mul(x, x))", "a = Mul(x, x) y = Sqrt(a)", "Abs(x)", "proved"),  # by sympy
        ("Exp(Add(x, 2.0))", "a = Add(x, two) y = Exp(a)", "Mul(Exp(x), 7.38905609893065)", "unknown"),
        ("Div(2.0, Add(2.0, Exp(x)))", "a = Exp(x) b = Add(two, a) y = Div(two, b)", "Sigmoid(x)", "disproved"),
        ("HardSwish(x)", "y = HardSwish(x)", "Mul(x, HardSigmoid(x, alpha=1 / 6, beta=0.5))", "proved"),
        ("HardSwish(x)", "y = HardSwish(x)", "Mul(x, HardSigmoid(x, alpha=1 / 5, beta=0.5))", "disproved"),
        ("Softplus(x)", "y = Softplus(x)", "Log(Add(Exp(x), 1.0))", "proved"),
        ("LeakyRelu(x, alpha=a)", "y = LeakyRelu<alpha = 0.1>(x)", "Add(Mul(x, a), Mul(Relu(x), 1 - a))", "unknown"),
        ("Floor(x)", "y = Floor(x)", "Identity(x)", "unknown"),
    ],
)
def test_equations(left: str, graph: str, right: str, kind: str) -> None:
    text = f"(float[2] x) => (float[2] y) <float two = {{2}}> {{ {graph} }}"
    found = proof(EQUATION.format(left=left, right=right), text)
    assert found.kind == kind, found.note


# --- pairs of models ---


def test_what_has_no_axes_left() -> None:
    before = model("(float[2] x) => (float y) { n = Neg(x) y = ReduceSum<keepdims = 0>(n) }")
    after = model("(float[2] x) => (float y) { s = ReduceSum<keepdims = 0>(x) y = Neg(s) }")
    assert prove(before, after) == Proof("proved", prove(before, before).note)


def model(text: str) -> onnx.ModelProto:
    return parser.parse_model(f'<ir_version: 8, opset_import: ["" : 17]> g {text}')


def test_pairs_of_models() -> None:
    head = "(float[2,2] x) => (float[2,2] z) <float[2] w = {0.3, 0.4}>"
    one = model(f"{head} {{ a = Mul(x, w) z = Mul(a, w) }}")
    other = model(f"{head} {{ a = Mul(w, w) z = Mul(a, x) }}")
    wrong = model(f"{head} {{ a = Mul(w, x) z = Mul(a, x) }}")
    assert prove(one, other).kind == "proved"
    assert prove(one, wrong).kind == "disproved"


def test_inputs_without_a_shape_are_unknown() -> None:
    one = model("(float[N] x) => (float[N] z) { z = Neg(x) }")
    assert prove(one, one) == Proof("unknown", "x, whose shape is not known")
