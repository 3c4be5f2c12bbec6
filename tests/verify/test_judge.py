"""What the judge says of pairs of models whose difference is known."""

from __future__ import annotations

from typing import Any, Literal

import ml_dtypes
import numpy as np
import onnx
import pytest
from onnx import parser

from graphopt.verify.judge import Contract, Outcome, judge
from graphopt.verify.judge_run import Refused, run_reference

REAL = Contract("real")
EXACT = Contract("exact")


def model(text: str, opset: int = 17) -> onnx.ModelProto:
    return parser.parse_model(f'<ir_version: 8, opset_import: ["" : {opset}]> {text}')


def pair(signature: str, before: str, after: str, opset: int = 17) -> tuple[onnx.ModelProto, onnx.ModelProto]:
    """Two bodies under one signature; each may hold its own initializers in front, in <>."""
    return model(f"g {signature} {before}", opset), model(f"g {signature} {after}", opset)


def judged(
    signature: str, before: str, after: str, contract: Contract = REAL, opset: int = 17, **feeds: Any
) -> Outcome:
    return judge(*pair(signature, before, after, opset), feeds, contract)


X = np.array([0.3, -1.7, 2.5], np.float32)
UNARY = "(float[3] x) => (float[3] z)"


def test_the_same_model_is_the_same() -> None:
    assert judged(UNARY, "{ z = Exp(x) }", "{ z = Exp(x) }", x=X) == Outcome("same")


# --- real ---


def test_another_order_of_a_sum_is_rounding() -> None:
    found = judged(
        "(float[3] x, float[3] y) => (float[3] z)",
        "{ a = Add(x, y) z = Sub(a, x) }",
        "{ z = Identity(y) }",
        x=np.array([3e7, -1e7, 5e6], np.float32),
        y=X,
    )
    # float32 loses everything but 2 digits here, float64 none that matters
    assert found.kind == "rounding"


def test_another_number_is_wrong_and_says_where() -> None:
    found = judged(UNARY, "{ z = Exp(x) }", "{ a = Abs(x) z = Exp(a) }", x=X)
    assert (found.kind, found.output, found.note) == ("wrong", "z", "in float64 it is another number")
    assert found.error == pytest.approx(np.exp(1.7) - np.exp(-1.7), rel=1e-6)


@pytest.mark.parametrize(("factor", "kind"), [(1 + 2e-7, "rounding"), (1 + 1e-5, "wrong")])
def test_a_constant_may_be_off_by_a_rounding_to_its_type(factor: float, kind: str) -> None:
    """2e-7 is 3.4 roundoffs of float32, and FACTOR is 32."""
    found = judged(
        UNARY,
        "<float[1] w = {0.7}> { z = Mul(x, w) }",
        f"<float[1] v = {{{0.7 * factor!r}}}> {{ z = Mul(x, v) }}",
        x=X,
    )
    assert found.kind == kind


def test_a_constant_that_both_have_may_not_be_off() -> None:
    """The product is off by 6e-8, which a rounded constant would explain: but no constant is new."""
    found = judged(
        UNARY,
        "<float[1] w = {0.7}> { z = Mul(x, w) }",
        "<float[1] w = {0.7}> { a = Mul(x, w) b = Exp(x) c = Sub(a, b) z = Add(c, b) }",
        x=X,
    )
    assert found.kind == "rounding"
    assert found.allowed < 1e-13


def test_a_weak_channel_beside_a_loud_one_is_seen() -> None:
    signature = "(float[1,2,1] x) => (float[1,2,1] z)"
    found = judged(
        signature,
        "<float[2,1] w = {1000000.0, 0.001}> { z = Mul(x, w) }",
        "<float[2,1] v = {1000000.0, 0.0011}> { z = Mul(x, v) }",
        x=np.ones((1, 2, 1), np.float32),
    )
    assert found.kind == "wrong"
    assert found.error == pytest.approx(1e-4, rel=1e-3)


def test_a_float_attribute_is_float32_in_every_model() -> None:
    signature = "(double[3] x) => (double[3] z)"
    before = "<double[1] sixth = {0.16666666666666666}> { y = Mul(x, sixth) z = Identity(y) }"
    after = "{ z = LeakyRelu<alpha = 0.16666667>(x) }"
    found = judged(signature, before, after, x=np.array([-1.0, -2.0, -3.0]))
    assert found.kind == "rounding"


def test_a_step_of_rounding_that_flips_is_no_error() -> None:
    """(0.1 + 0.2) * 5 is 1.5 and a bit, or just 1.5: Round sees it."""
    found = judged(
        "(double[1] x, double[1] y) => (double[1] z)",
        "<double[1] f = {5.0}> { a = Add(x, y) b = Mul(a, f) z = Round(b) }",
        "<double[1] f = {5.0}> { a = Mul(x, f) b = Mul(y, f) c = Add(a, b) z = Round(c) }",
        x=np.array([0.7]),
        y=np.array([0.2]),
    )
    assert found.kind in ("same", "rounding")


def test_what_is_no_real_number_before_may_be_anything_after() -> None:
    found = judged(UNARY, "{ a = Log(x) z = Exp(a) }", "{ z = Identity(x) }", x=X)
    assert found.kind == "rounding"


def test_what_was_a_number_and_is_none_is_wrong() -> None:
    found = judged(UNARY, "{ z = Identity(x) }", "{ a = Log(x) z = Exp(a) }", x=X)
    assert (found.kind, found.error) == ("wrong", np.inf)


def test_overflow_in_float32_alone_is_rounding() -> None:
    found = judged(
        UNARY,
        "<float[1] b = {1e30}, float[1] s = {1e-30}> { a = Mul(x, s) z = Mul(a, b) }",
        "<float[1] b = {1e30}, float[1] s = {1e-30}> { a = Mul(x, b) z = Mul(a, s) }",
        x=X * np.float32(1e10),
    )
    assert found.kind == "rounding"


def test_integers_must_be_equal() -> None:
    signature = "(int64[2] x) => (int64[2] z)"
    one = "<int64[1] one = {1}> { z = Add(x, one) }"
    found = judged(signature, one, "{ z = Identity(x) }", x=np.array([2**60, 1]))
    assert (found.kind, found.output) == ("wrong", "z")


def test_types_without_kernels_are_judged_in_float64_alone() -> None:
    text = "(bfloat16[3] x) => (bfloat16[3] z)", "{ a = Add(x, x) z = Identity(a) }"
    found = judged(*text, "{ z = Add(x, x) }", x=X.astype(ml_dtypes.bfloat16))
    assert (found.kind, found.note) == ("rounding", "ONNX Runtime has no kernel: float64 alone")
    found = judged(*text, "{ z = Identity(x) }", x=X.astype(ml_dtypes.bfloat16))
    assert found.kind == "wrong"


def test_without_float64_outputs_are_compared_as_they_are() -> None:
    signature = "(float[1,1,2] x, int64[1,1,2] i) => (float[1,1,2] z)"
    text = "{ z = MaxUnpool<kernel_shape = [1]>(x, i) }"
    feeds: dict[str, Any] = {"x": np.array([[[1.0, 2.0]]], np.float32), "i": np.array([[[1, 0]]])}
    assert judged(signature, text, text, **feeds).kind == "same"
    found = judged(signature, text, "{ y = MaxUnpool<kernel_shape = [1]>(x, i) z = Neg(y) }", **feeds)
    assert found.kind == "wrong"
    assert found.note.startswith("in ONNX Runtime alone, since MaxUnpool")


# --- exact ---


@pytest.mark.parametrize(
    ("after", "kind"), [("{ z = Identity(x) }", "same"), ("{ z = Relu(x) }", "wrong"), ("{ z = Add(x, x) }", "wrong")]
)
def test_exact_is_bit_by_bit(after: str, kind: str) -> None:
    assert judged(UNARY, "{ a = Neg(x) z = Neg(a) }", after, EXACT, x=X).kind == kind


def test_exact_tells_the_zeros_apart() -> None:
    zero = "<float[1] o = {0.0}> { z = Add(x, o) }"
    found = judged(UNARY, "{ z = Identity(x) }", zero, EXACT, x=np.array([-0.0, 1, 2], np.float32))
    assert found == Outcome("wrong", "z", 0.0, 0.0, "in ONNX Runtime it is not the same bit by bit")


def test_exact_takes_every_nan_for_the_same() -> None:
    odd = np.array([0x7FC00001, 0xFFC00000, 0x3F800000], np.uint32).view(np.float32)
    assert judged(UNARY, "{ z = Identity(x) }", "{ a = Neg(x) z = Neg(a) }", EXACT, x=odd).kind == "same"


def test_exact_of_types_without_kernels_is_by_the_reference_evaluator() -> None:
    signature = "(bfloat16[2,1] x) => (bfloat16[1,2] z)"
    x = np.array([[1.5], [-0.0]], ml_dtypes.bfloat16)
    flat = "<int64[2] s = {1, 2}> { z = Reshape(x, s) }"
    assert judged(signature, "{ z = Transpose(x) }", flat, EXACT, x=x).kind == "same"
    turned = "<int64[2] s = {1, 2}> { a = Neg(x) z = Reshape(a, s) }"
    found = judged(signature, "{ z = Transpose(x) }", turned, EXACT, x=x)
    assert found.note == "in the reference evaluator it is not the same bit by bit"


def test_a_sum_of_one_keeps_the_sign_of_a_zero_in_the_reference_evaluator() -> None:
    zeros = np.array([[-0.0], [0.0]], ml_dtypes.bfloat16)
    signature = "(bfloat16[2,1] x) => (bfloat16[2,1] z)"
    assert judged(signature, "{ z = Sum(x) }", "{ z = Identity(x) }", EXACT, x=zeros).kind == "same"


def test_what_is_no_number_makes_any_integer_in_the_reference_evaluator() -> None:
    cast = model("g (float[2] x) => (int8[2] z) { z = Cast<to=3>(x) }")
    assert run_reference(cast, {"x": X[:2]})["z"].tolist() == [0, -1]
    with pytest.raises(Refused, match="invalid value encountered in cast"):
        run_reference(cast, {"x": np.array([1, np.nan], np.float32)})


# --- approx and quant ---


@pytest.mark.parametrize(("error", "kind"), [(1e-2, "rounding"), (1e-5, "wrong")])
def test_approx_is_a_share_of_the_largest_magnitude(error: float, kind: str) -> None:
    found = judged(
        UNARY, "{ z = Identity(x) }", "<float[1] w = {1.001}> { z = Mul(x, w) }", Contract("approx", error), x=X
    )
    assert found.kind == kind


def quantized(scale: float, kind: Literal["x", "y"] = "x") -> str:
    constants = f"<float s = {{{scale}}}, int8 o = {{0}}>"
    return f"{constants} {{ q = QuantizeLinear({kind}, s, o) d = DequantizeLinear(q, s, o) z = Neg(d) }}"


def test_quant_allows_steps() -> None:
    found = judged(UNARY, "{ z = Neg(x) }", quantized(0.02), Contract("quant"), x=X)
    assert found.kind == "rounding"
    assert found.error <= 0.01 * (1 + 1e-6)  # half a step
    # eight draws of up to half a step: their largest, times FACTOR 8, is at most 4 steps
    assert found.allowed <= 8 * 0.01 + 1e-4


def test_quant_sees_what_is_clipped() -> None:
    """2.5 is far beyond 127 steps of 0.002."""
    assert judged(UNARY, "{ z = Neg(x) }", quantized(0.002), Contract("quant"), x=X).kind == "wrong"


def test_quant_allows_what_is_clipped_to_go_from_one_end_to_the_other() -> None:
    # 0.02995 is 0.02 in steps of 0.02, at the other end of what is clipped; half a step more than 0.02 is 0.03, so that
    # one move in a hundred passes 0.0298
    ends = "e = Sub(k, t) f = Mul(e, u) z = Clip(f, a, b)"
    constants = "float t = {0.0298}, float u = {100000.0}, float a = {0.0}, float b = {1.0}"
    codes = "q = QuantizeLinear(x, s, o) k = DequantizeLinear(q, s, o)"
    found = judged(
        UNARY,
        f"<{constants}> {{ k = Identity(x) {ends} }}",
        f"<{constants}, float s = {{0.02}}, int8 o = {{0}}> {{ {codes} {ends} }}",
        Contract("quant"),
        x=np.full(3, 0.02995, np.float32),
    )
    assert (found.kind, found.error) == ("rounding", 1.0)


def test_quant_sees_what_steps_do_not_explain() -> None:
    assert judged(UNARY, "{ z = Abs(x) }", quantized(0.02), Contract("quant"), x=X).kind == "wrong"


# --- models that do not run, or are others ---


def test_an_original_that_does_not_run_tells_nothing() -> None:
    bad = "<int64[1] s = {2}> { z = Reshape(x, s) }"
    found = judged("(float[a] x) => (float[b] z)", bad, bad, x=X)
    assert found.kind == "refused"
    assert found.note.startswith("ONNX Runtime refuses the original: ")


def test_a_rewritten_model_that_does_not_run_is_wrong() -> None:
    bad = "<int64[1] s = {2}> { z = Reshape(x, s) }"
    found = judged("(float[a] x) => (float[b] z)", "{ z = Identity(x) }", bad, x=X)
    assert found.kind == "wrong"
    assert found.note.startswith("ONNX Runtime refuses the rewritten model: ")


def test_a_rewritten_model_that_fails_in_float64_is_wrong_where_there_is_no_kernel() -> None:
    signature = "(bfloat16[2,2] x) => (bfloat16[2,2] z)"
    after = "<int64[3] s = {0, 0, 2}> { y = Reshape(x, s) z = MatMul(y, x) }"
    found = judged(signature, "{ z = MatMul(x, x) }", after, x=np.ones((2, 2), ml_dtypes.bfloat16))
    assert found.kind == "wrong"
    assert found.note.startswith("in float64 the rewritten model fails: Reshape: ")


def test_another_shape_is_wrong() -> None:
    found = judged("(float[a] x) => (float[b] z)", "{ z = Identity(x) }", "{ z = ReduceSum(x) }", x=X)
    assert found == Outcome("wrong", "z", note="its shape is [1], and was [3]")


def test_another_interface_is_wrong() -> None:
    first = model("g (float[3] x) => (float[3] z) { z = Exp(x) }")
    second = model("g (float[3] x) => (float[3] y) { y = Exp(x) }")
    note = "the inputs and outputs are declared otherwise than they were"
    assert judge(first, second, {"x": X}, REAL) == Outcome("wrong", note=note)


def test_oracles_that_disagree_are_told() -> None:
    """The reference evaluator samples a linear Resize with aligned corners otherwise than ONNX Runtime does."""
    signature = "(float[1,1,2,4] x) => (float[1,1,1,2] z)"
    body = (
        "<float[4] s = {1.0, 1.0, 0.6, 0.6}>"
        '{ z = Resize<mode = "linear", coordinate_transformation_mode = "align_corners">(x, , s) }'
    )
    found = judged(signature, body, body, x=np.arange(8, dtype=np.float32).reshape(1, 1, 2, 4))
    assert found.kind == "oracle"
