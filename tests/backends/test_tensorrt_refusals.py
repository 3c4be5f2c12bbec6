"""Models that TensorRT-RTX does not take: which nodes, why, what to do; and nothing is left behind."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import onnx.parser
import pytest

from graphopt.errors import ModelError, UsageError
from tests.backends import models
from tests.backends.rtx import build, needs_rtx, refusal

pytestmark = needs_rtx

OUTSIDE = "compute it outside of the engine"
NO_KERNEL = "the size of its result depends on the data, and there is no kernel for that"
NEEDS_CONSTANT = "an operand must be a constant when the engine is built, and is an input or computed from one"
CONSTANT_HELP = (
    "if it is an input, make it an initializer; if it is computed, fold constants or fix the sizes that it comes from"
)
UNSIGNED = "its quantized side is uint8, which TensorRT runs as int8: values from 128 to 255 would come out wrong"


def refused(tmp_path: Path, body: str, *shapes: str, opset: int = 17, **weights: models.Array) -> str:
    return refusal(models.write(tmp_path / "net.onnx", body, weights, opset=opset), *shapes)


def test_all_unsupported_nodes_are_named_at_once(tmp_path: Path) -> None:
    body = """net (float[3,4] x, int64[1] axes) => (int64[2,K] y, int64[2,J] z, float[A,B] s, float[3,4] v) {
        [first] y = NonZero (x)
        r = Relu (x)
        z = NonZero (r)
        c = CumSum (r, axis)
        s = ReduceSum (r, axes)
        d = Det (square)
        [last] e = Det (square)
        a = Add (d, e)
        v = Add (c, a)
    }"""
    square = np.eye(2, dtype=np.float32)
    assert refused(tmp_path, body, axis=np.array(0), square=square) == (
        "TensorRT-RTX cannot build net.onnx:"
        f"\n  node first, node NonZero(z): {NO_KERNEL}"
        f"\n  node ReduceSum(s): {NEEDS_CONSTANT}"
        "\n  node Det(d), node last: the operator is not supported"
        f"\n  help: {OUTSIDE}; the full TensorRT has such kernels"
        f"\n        {CONSTANT_HELP}"
        f"\n        rewrite it with other operators, or {OUTSIDE}"
    )


def test_constants_that_a_cut_took_away_are_not_blamed(tmp_path: Path) -> None:
    body = """net (float[3,4] x) => (float[A,B] y) {
        n = NonZero (x)
        k = Slice (n, zero, one, zero)
        f = Reshape (k, minus)
        axes = Slice (f, zero, one)
        y = ReduceSum (x, axes)
    }"""
    vectors = {"zero": np.array([0]), "one": np.array([1]), "minus": np.array([-1])}
    assert refused(tmp_path, body, **vectors) == (
        "TensorRT-RTX cannot build net.onnx:"
        f"\n  node NonZero(n): {NO_KERNEL}"
        f"\n  help: {OUTSIDE}; the full TensorRT has such kernels"
    )


def test_nodes_behind_values_of_unknown_type_may_be_others(tmp_path: Path) -> None:
    body = """net (float[3,4] x, int64[1] axes) => (float[3,4] y) {
        u = Unsqueeze (x, axes)
        y = Reshape (u, shape)
    }"""
    assert refused(tmp_path, body, shape=np.array([3, 4])) == (
        "TensorRT-RTX cannot build net.onnx:"
        f"\n  node Unsqueeze(u): {NEEDS_CONSTANT}"
        "\n  and perhaps others, which could not be judged behind these"
        f"\n  help: {CONSTANT_HELP}"
    )


def test_node_inside_a_body(tmp_path: Path) -> None:
    body = """net (float[3,4] x, bool b) => (int64[2,K] y) {
        [choice] y = If (b) <
            then_branch = yes () => (int64[2,A] t) { r = Relu (x) [inner] t = NonZero (r) },
            else_branch = no () => (int64[2,B] e) { e = NonZero (x) }
        >
    }"""
    assert refused(tmp_path, body).splitlines()[1] == (f"  NonZero 'inner' inside node choice: {NO_KERNEL}")


def test_many_nodes_are_counted(tmp_path: Path) -> None:
    nodes = "\n".join(f"y{i} = Det (x)" for i in range(11))
    outputs = ", ".join(f"float y{i}" for i in range(11))
    text = refused(tmp_path, f"net (float[2,2] x) => ({outputs}) {{ {nodes} }}")
    named = ", ".join(f"node Det(y{i})" for i in range(8))
    assert text.splitlines()[1] == f"  {named} and 3 more: the operator is not supported"


def test_kernel_that_is_missing_when_building(tmp_path: Path) -> None:
    body = "net (float[1,10,4] b, float[1,2,10] s) => (int64[K,3] y) { [nms] y = NonMaxSuppression (b, s, most) }"
    assert refused(tmp_path, body, most=np.array([3])) == (
        "TensorRT-RTX cannot build net.onnx:"
        "\n  node nms: there is no kernel for the operator"
        f"\n  help: {OUTSIDE}; the full TensorRT may have a kernel"
    )


@pytest.mark.parametrize("zero_point", [np.array(0, np.uint8), np.array(128, np.uint8)])
def test_uint8_quantization_would_be_silently_wrong(tmp_path: Path, zero_point: models.Array) -> None:
    assert refusal(models.quantized(tmp_path / "net.onnx", zero_point)) == (
        "TensorRT-RTX cannot build net.onnx:"
        f"\n  node quantize, node dequantize: {UNSIGNED}"
        "\n  help: quantize symmetrically to int8: a zero point of type int8 and value 0"
    )


def test_quantizer_without_zero_point_is_uint8_too(tmp_path: Path) -> None:
    assert refusal(models.quantized(tmp_path / "net.onnx", None)).splitlines()[1] == (
        f"  node quantize, node dequantize: {UNSIGNED}"
    )


def test_uint8_zero_point_whose_type_must_be_inferred(tmp_path: Path) -> None:
    body = """net (float[4] x) => (float[4] y) {
        zero = Identity (point)
        [quantize] q = QuantizeLinear (x, s, zero)
        [dequantize] y = DequantizeLinear (q, s, zero)
    }"""
    text = refused(tmp_path, body, s=np.array(0.1, np.float32), point=np.array(0, np.uint8))
    assert text.splitlines()[1].startswith("  node quantize, node dequantize: its quantized side is uint8")


def test_quantizer_inside_a_body(tmp_path: Path) -> None:
    body = """net (float[4] x, bool b) => (float[4] y) {
        y = If (b) <
            then_branch = yes () => (float[4] t) { q = QuantizeLinear (x, s, zero) t = DequantizeLinear (q, s, zero) },
            else_branch = no () => (float[4] e) { e = Relu (x) }
        >
    }"""
    text = refused(tmp_path, body, s=np.array(0.1, np.float32), zero=np.array(0, np.uint8))
    assert text.splitlines()[1].startswith("  node QuantizeLinear(q), node DequantizeLinear(t): its quantized side is")


def test_quantizer_inside_a_function(tmp_path: Path) -> None:
    model = onnx.parser.parse_model("""
        <ir_version: 8, opset_import: ["" : 17, "local" : 1]>
        net (float[4] x) => (float[4] y) <float s = {0.1}, uint8 zero = {0}> { y = local.Rounded (x, s, zero) }
        <opset_import: ["" : 17], domain: "local">
        Rounded (a, s, z) => (b) { q = QuantizeLinear (a, s, z) [back] b = DequantizeLinear (q, s, z) }
    """)
    onnx.save(model, tmp_path / "net.onnx")
    assert refusal(tmp_path / "net.onnx").splitlines()[1] == f"  node QuantizeLinear(q), node back: {UNSIGNED}"


def test_zero_point_that_is_not_zero(tmp_path: Path) -> None:
    assert refusal(models.quantized(tmp_path / "net.onnx", np.array(5, np.int8))) == (
        "TensorRT-RTX cannot build net.onnx:"
        "\n  node quantize, node dequantize: the zero point is not 0"
        "\n  help: quantize symmetrically: a zero point of type int8 and value 0"
    )


def test_int32_bias(tmp_path: Path) -> None:
    body = """net (float[1,1,4,4] x) => (float[1,1,4,4] y) {
        [bias] b = DequantizeLinear (quantized, s)
        y = Conv (x, w, b)
    }"""
    weights = {"quantized": np.array([3], np.int32), "s": np.array(0.1, np.float32), "w": models.random(1, 1, 1, 1)}
    assert refused(tmp_path, body, **weights) == (
        "TensorRT-RTX cannot build net.onnx:"
        "\n  node bias: it dequantizes an int32 bias, which is not supported"
        "\n  help: keep the bias in float"
    )


TAKES = "TensorRT-RTX takes float32, float64, float16, bfloat16, int8, uint8, int32, int64, bool"


def test_element_types(tmp_path: Path) -> None:
    body = "net (int16[4] a, string[4] b) => (int16[4] c, string[4] d) { c = Add (a, w) d = Identity (b) }"
    assert refused(tmp_path, body, w=np.zeros(4, np.int16)) == (
        "TensorRT-RTX cannot build net.onnx:"
        f"\n  input 'a', output 'c': is int16; {TAKES}"
        f"\n  input 'b', output 'd': is string; {TAKES}"
        f"\n  weight 'w': is int16; {TAKES}, float8e4m3fn, int4, float4e2m1"
        "\n  help: cast outside of the model"
    )


def test_nine_axes(tmp_path: Path) -> None:
    shape = "1,1,1,1,1,1,1,1,2"
    body = f"net (float[{shape}] x) => (float[{shape}] y) {{ y = Add (x, w) }}"
    assert refused(tmp_path, body, w=np.zeros((1,) * 9, np.float32)) == (
        "TensorRT-RTX cannot build net.onnx:"
        "\n  input 'x', output 'y', weight 'w': has 9 axes; TensorRT-RTX takes up to 8"
        "\n  help: merge axes with a Reshape"
    )


def test_input_of_unknown_rank_would_be_taken_for_a_scalar(tmp_path: Path) -> None:
    assert refused(tmp_path, "net (float[] x) => (float[3] y) { y = Add (x, w) }", w=np.zeros(3, np.float32)) == (
        "TensorRT-RTX cannot build net.onnx:"
        "\n  input 'x': has no shape; TensorRT-RTX would take it for a scalar"
        "\n  help: export the model with shapes (dynamic sizes are fine, the number of axes must be known)"
    )


def test_sequence_input(tmp_path: Path) -> None:
    body = "net (seq(float[2]) x, int64 i) => (float[2] y) { y = SequenceAt (x, i) }"
    assert refused(tmp_path, body) == (
        "TensorRT-RTX cannot build net.onnx:"
        "\n  input 'x': is a sequence; TensorRT-RTX has tensors only"
        "\n  help: give the model tensors instead"
    )


def test_float8_for_gpus_that_lack_it(tmp_path: Path) -> None:
    assert refusal(models.fp8(tmp_path / "net.onnx")) == (
        "TensorRT-RTX cannot build net.onnx:"
        "\n  weight 'wq': is float8e4m3fn, which sm80 (A100), sm86 (RTX 30) cannot compute with"
        "\n  help: build for sm89, sm120, sm121 only"
    )


def test_float32_matrix_product_on_turing(tmp_path: Path) -> None:
    body = "net (float[4,8] x) => (float[4,8] y) { [product] y = MatMul (x, w) }"
    model = models.write(tmp_path / "net.onnx", body, {"w": models.random(8, 8)})
    assert refusal(model, compute_capabilities=("sm75", "sm80")) == (
        "TensorRT-RTX cannot build net.onnx:"
        "\n  node product: sm75 has no float32 matrix product"
        "\n  help: convert the model to float16, or leave sm75 out"
    )


HALVED = """net (float[1,3,H,W] x) => (float[1,3,H,W] y) {
    a = AveragePool <kernel_shape = [2,2], strides = [2,2]> (x)
    b = Resize <mode = "nearest"> (a, , scales)
    [sum] y = Add (x, b)
}"""


def test_shape_that_the_network_cannot_take(tmp_path: Path) -> None:
    model = models.write(tmp_path / "net.onnx", HALVED, {"scales": np.array([1, 1, 2, 2], np.float32)})
    assert refusal(model, "x=1x3x32x32:1x3x33x32:1x3x64x64") == (
        "TensorRT-RTX cannot build net.onnx:"
        "\n  node sum: with the OPT shapes of the inputs, dimensions not compatible for elementwise (33 != 32)"
        "\n  help: other sizes can be given with --shape NAME=MIN:OPT:MAX"
    )


def test_default_shape_that_the_network_cannot_take(tmp_path: Path) -> None:
    body = "net (float[N,H] x) => (float[M,7] y) { [flat] y = Reshape (x, shape) }"
    text = refused(tmp_path, body, shape=np.array([-1, 7]))
    assert text.splitlines()[-1] == (
        "  help: no sizes were given, so x=1x1:1x128:16x512 was taken: give better ones with --shape NAME=MIN:OPT:MAX"
    )


def test_values_that_are_not_given(tmp_path: Path) -> None:
    body = "net (float[3,4] x, int64[2] shape) => (float[A,B] y) { y = Reshape (x, shape) }"
    assert refused(tmp_path, body) == (
        "TensorRT-RTX cannot build net.onnx:"
        "\n  input 'shape': holds sizes that the network computes with, and their range is not given"
        "\n  help: give the smallest, usual and largest values with --shape shape=MIN:OPT:MAX, or make it a constant"
    )


@pytest.mark.parametrize(
    ("options", "error"),
    [
        (
            {"compute_capabilities": ("sm81",)},
            "target 'tensorrt-rtx' has no compute capability 'sm81'; it has sm75, sm80, sm86, sm89, sm120, sm121"
            "\n  help: did you mean 'sm89'?",
        ),
        ({"memory_limit_mb": 0}, "the memory limit must be above 0 MiB, not 0"),
        ({"timeout_s": -1.5}, "the time limit must be above 0 seconds, not -1.5"),
        ({"timeout_s": float("nan")}, "the time limit must be above 0 seconds, not nan"),
    ],
)
def test_options_that_cannot_be_meant(tmp_path: Path, options: dict[str, object], error: str) -> None:
    model = models.cnn(tmp_path / "net.onnx")
    with pytest.raises(UsageError) as caught:
        build(model, **options)
    assert str(caught.value) == error


def test_file_that_is_no_model(tmp_path: Path) -> None:
    model = tmp_path / "net.onnx"
    model.write_text("not a model")
    with pytest.raises(ModelError) as caught:
        build(model)
    assert str(caught.value) == (
        f"{model} is not an ONNX model, or is cut short\n"
        "  help: a model is a binary protobuf file, whole; export or download it again"
    )


def test_model_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(ModelError) as caught:
        build(tmp_path / "none.onnx")
    assert str(caught.value) == f"there is no file {tmp_path}/none.onnx"
