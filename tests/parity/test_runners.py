"""Running models, and what is said when they do not."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import onnx
import pytest

from graphopt.data.sample import Sample
from graphopt.errors import EXIT_BACKEND, EXIT_INPUT, GraphoptError, ModelError
from graphopt.parity.refusals import NotRunnable, RunError
from graphopt.parity.runners import Runner
from tests.parity.models import RELU, model, proto, random

CANNOT_JUDGE = "parity can be checked only for what ONNX Runtime can run"


def run(raw: bytes | Path, **feeds: Any) -> dict[str, Any]:
    with Runner(raw, "the model") as runner:
        return runner.run(Sample("sample 7", feeds))


def refusal(kind: type[GraphoptError], raw: bytes | Path, **feeds: Any) -> str:
    with pytest.raises(GraphoptError) as caught:
        run(raw, **feeds)
    assert type(caught.value) is kind
    return str(caught.value)


def test_outputs_come_by_name(capfd: pytest.CaptureFixture[str]) -> None:
    outputs = run(
        model("g (float[N] x) => (float[N] y, float[N] z) { y = Relu (x) z = Neg (x) }"), x=np.float32([-1, 2])
    )
    assert {name: value.tolist() for name, value in outputs.items()} == {"y": [0, 2], "z": [1, -2]}
    assert capfd.readouterr() == ("", "")


def test_a_file_with_external_data(tmp_path: Path) -> None:
    path = tmp_path / "m.onnx"
    built = proto("g (float[4] x) => (float[4] y) { y = Add (x, w) }", w=np.float32([1, 2, 3, 4]))
    onnx.save(built, path, save_as_external_data=True, location="w.bin", size_threshold=0)
    assert run(path, x=np.zeros(4, np.float32))["y"].tolist() == [1, 2, 3, 4]
    (tmp_path / "w.bin").unlink()
    assert refusal(ModelError, path).startswith("ONNX Runtime refuses the model: External data path validation failed")


def test_equal_node_names_are_legal(tmp_path: Path) -> None:
    built = proto("g (float[N] x) => (float[N] z) { [a] y = Add (x, w) [a] z = Neg (y) }", w=np.float32([1]))
    assert run(built.SerializeToString(), x=np.float32([2]))["z"].tolist() == [-3]
    path = tmp_path / "m.onnx"
    onnx.save(built, path, save_as_external_data=True, location="w.bin", size_threshold=0)
    assert run(path, x=np.float32([2]))["z"].tolist() == [-3]


@pytest.mark.parametrize("dtype", [ml_dtypes.bfloat16, ml_dtypes.float8_e4m3fn, np.float16])
def test_types_that_the_numpy_binding_lacks(dtype: Any) -> None:
    name = {"float8_e4m3fn": "float8e4m3fn"}.get(np.dtype(dtype).name, np.dtype(dtype).name)
    raw = model(
        f"g ({name}[N] x, float[N] f) => ({name}[N] y, float[N] h) {{ y = Identity (x) h = Neg (f) }}", opset=19
    )
    x = np.array([[1, 2, 3]], dtype)[0]
    outputs = run(raw, x=x, f=np.float32([1, 2, 3]))
    assert outputs["y"].dtype == np.dtype(dtype)
    assert outputs["y"].tolist() == x.tolist()
    assert outputs["h"].tolist() == [-1, -2, -3]


def test_sequences_optionals_and_text() -> None:
    raw = model("g (seq(float[N]) x) => (float[N] y) { i = Constant <value_int = 1> () y = SequenceAt (x, i) }")
    assert run(raw, x=[np.float32([1]), np.float32([2])])["y"].tolist() == [2]
    assert (
        run(model("g (optional(float[N]) x) => (bool y) { y = OptionalHasElement (x) }"), x=None)["y"].tolist() is False
    )
    raw = model("g (string[N] x) => (string[N] y) { y = Identity (x) }")
    assert run(raw, x=np.array(["a", "ö"], object))["y"].tolist() == ["a", "ö"]


def test_an_operator_that_is_not_there() -> None:
    raw = model("g (float[N] x) => (float[N] y) { y = com.acme.Twist (x) }", imports=', "com.acme" : 1')
    text = refusal(NotRunnable, raw, x=np.zeros(1, np.float32))
    assert text == f"ONNX Runtime cannot run the model: it has no operator com.acme::Twist\n  help: {CANNOT_JUDGE}"
    assert NotRunnable("").exit_code == EXIT_BACKEND
    assert RunError("").exit_code == EXIT_INPUT


def test_a_type_without_a_kernel() -> None:
    raw = model("g (bfloat16[N] x) => (bfloat16[N] y) { [sum] y = Add (x, x) }")
    assert refusal(NotRunnable, raw) == (
        "ONNX Runtime cannot run the model: it lacks Add of opset 14 for these element types\n"
        f"  at: node 'sum' (Add)\n  help: {CANNOT_JUDGE}"
    )


def test_four_bits_cannot_be_exchanged() -> None:
    raw = model(
        "g (float[N] x) => (int4[N] y) <float s = {1}> { y = QuantizeLinear <output_dtype=22> (x, s) }",
        opset=21,
        ir=10,
    )
    assert (
        refusal(NotRunnable, raw) == "the model takes or gives 'y' as tensor(int4), which ONNX Runtime cannot exchange"
    )


def test_versions_to_come() -> None:
    assert refusal(NotRunnable, model(RELU, opset=99)).startswith(
        "ONNX Runtime cannot run the model: it knows domain ai.onnx up to opset "
    )
    assert refusal(NotRunnable, model(RELU, ir=99)).startswith(
        "ONNX Runtime cannot run the model: it knows IR versions up to "
    )


def test_an_invalid_model() -> None:
    assert refusal(ModelError, model("g (float[N] x) => (int64[N] y) { y = Relu (x) }")) == (
        "ONNX Runtime refuses the model: Type Error: Type (tensor(int64)) of output arg (y) of node () does not match "
        "expected type (tensor(float)).\n  help: `graphopt inspect` checks a model against the standard"
    )


def test_a_run_that_fails_names_node_and_sample() -> None:
    raw = model(
        "g (float[N,M] x) => (float[A,B] y) { s = Constant <value_ints = [-1, 32]> () [fold] y = Reshape (x, s) }"
    )
    assert refusal(RunError, raw, x=np.zeros((1, 3), np.float32)) == (
        "the model fails on this input: The input tensor cannot be reshaped to the requested shape. "
        "Input shape:{1,3}, requested shape:{-1,32}\n"
        "  at: node 'fold' (Reshape), on sample 7\n"
        "  help: check the shape and the values of the input against what the model was exported for"
    )


def test_the_innermost_node_is_named() -> None:
    raw = model("""g (bool c, int64[N] i) => (float[N] y) <float[2] w = {1, 2}> {
        [choice] y = If (c) <then_branch = a () => (float[N] p) { [look] p = Gather (w, i) },
                             else_branch = b () => (float[N] q) { [see] q = Gather (w, i) }>
    }""")
    text = refusal(RunError, raw, c=np.array(True), i=np.array([9]))
    assert text.startswith("the model fails on this input: indices element out of data bounds, idx=9")
    assert "  at: node 'look' (Gather), on sample 7\n" in text


def test_inputs_of_the_wrong_shape() -> None:
    text = refusal(RunError, model("g (float[2] x) => (float[2] y) { y = Relu (x) }"), x=np.zeros(3, np.float32))
    assert text.startswith(
        "the model fails on this input: Got invalid dimensions for input: x for the following indices"
    )
    assert "\n  at: sample 7\n" in text


def test_optimizations_are_off_unless_asked_for() -> None:
    """Bitwise equal to a Conv and a BatchNormalization run one after the other, which the fused Conv is not."""
    from tests.parity.models import conv_bn

    x = random(1, 8, 16, 16)
    with Runner(conv_bn(), "m") as plain, Runner(conv_bn(), "m", optimized=True) as optimized:
        apart = plain.run(Sample("s", {"x": x}))["y"], optimized.run(Sample("s", {"x": x}))["y"]
    assert not np.array_equal(*apart)
    assert np.allclose(*apart, atol=1e-4)
