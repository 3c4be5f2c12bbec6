"""That what is called float64 is: every operator of onnx's own test cases is measured."""

from __future__ import annotations

import warnings
from collections import defaultdict
from collections.abc import Iterator
from functools import cache
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper, parser

from graphopt.verify.float64 import Alter, NotComputable, Program, evaluate
from graphopt.verify.float64_widen import is_array, widen_array
from graphopt.verify.judge_bounds import Noise
from graphopt.verify.judge_run import run

CASES_AN_OPERATOR = 4

WITHOUT_FLOAT64 = {
    "Adam": "Adam is computed in float32",
    "BatchNormalization": "BatchNormalization in training",
    "Bernoulli": "Bernoulli is random",
    "BitCast": "BitCast reads the bits of a number",
    "CausalConvWithState": "CausalConvWithState: ",
    "Dropout": "Dropout in training",
    "LinearAttention": "LinearAttention: ",
    "MaxUnpool": "MaxUnpool is not what the standard says, in the reference evaluator",
    "Scan": "Scan: x and y have different dtype",
    "Scatter": "No registered implementation for operator 'Scatter'",
    "SequenceMap": "SequenceMap: Input type mismatch",
    "TfIdfVectorizer": "TfIdfVectorizer is computed in float32",
    "Upsample": "Upsample: Not implemented for mode='nearest'",
}
"""How the refusal begins, by operator: of some of its cases, at least."""

SHORT_NUMBERS = {"Cast", "CastLike", "Ceil", "Constant", "Floor", "If", "Round"}
"""Whose results have few digits, rightly: of 8-bit floats, of whole numbers, and of constants that the cases hold."""


@cache
def cases() -> dict[str, list[Any]]:
    from onnx.backend.test.case.node import collect_testcases

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        collected = collect_testcases(None)
    found: dict[str, list[Any]] = defaultdict(list)
    for case in collected:
        assert case.model is not None
        (*_, node) = case.model.graph.node
        if not case.name.endswith("_expanded") and len(found[node.op_type]) < CASES_AN_OPERATOR:
            found[node.op_type].append(case)
    return found


def feeds_of(case: Any) -> dict[str, Any]:
    """The inputs of a case, the floats of them a bit off what float32 can say."""
    random = np.random.default_rng(0)
    found: dict[str, Any] = {}
    for info, value in zip(case.model.graph.input, case.data_sets[0][0], strict=False):
        found[info.name] = moved(numpy_helper.to_array(value) if isinstance(value, TensorProto) else value, random)
    return found


def moved(value: Any, random: np.random.Generator) -> Any:
    """Floats, a bit off; anything else, sequences among it, as it is."""
    array = value if is_array(value) else np.asarray(value) if np.isscalar(value) else None
    if array is None or widen_array(array).dtype != np.float64:
        return value
    return np.asarray(widen_array(array) * (1 + 1e-3 * random.random(array.shape)))


def trouble(case: Any) -> Iterator[str]:
    """What is wrong with an operator's float64: a result that float32 could hold, or one that jumps when an input is
    moved by 1e-12 of itself."""
    feeds = feeds_of(case)
    program = Program(case.model)
    results = program.run(feeds)
    # a noise of 1e-12 moves well-conditioned results by about as much; rounding to float32 moves them by 0 or 6e-8
    again = program.run(feeds, Moved())
    for name, value in results.items():
        if not is_array(value) or value.dtype != np.float64:
            continue
        kept = value[np.isfinite(value) & (value != 0)]
        short = kept[kept == kept.astype(np.float32)]
        if short.size > 0.9 * kept.size and len(set(kept.tolist())) > 2:
            yield f"{case.name}: {name} is of float32 numbers"
        if again[name].shape == value.shape:
            finite = np.isfinite(value)
            far = np.abs(again[name][finite] - value[finite]).max(initial=0.0)
            if far > 1e-8 * np.abs(kept).max(initial=1e-300):
                yield f"{case.name}: {name} jumps by {far:.2g}"


class Moved(Noise):
    def __init__(self) -> None:
        super().__init__(0, {}, attributes=False, unit=1e-12)

    def result(self, node: Any, inputs: Any, value: Any) -> Any:
        return value


def test_every_operator_is_computed_in_float64() -> None:
    found: list[str] = []
    for operator, samples in cases().items():
        for case in samples:
            try:
                problems = list(trouble(case))
            except NotComputable as reason:
                if not str(reason).startswith(WITHOUT_FLOAT64.get(operator, "nothing")):
                    found.append(f"{case.name}: {reason}")
                continue
            found += [p for p in problems if operator not in SHORT_NUMBERS or "jumps" in p]
    assert not found, "\n".join(found)
    assert sum(len(samples) for samples in cases().values()) > 500


def model(text: str, opset: int = 17) -> onnx.ModelProto:
    return parser.parse_model(f'<ir_version: 8, opset_import: ["" : {opset}]> {text}')


def test_weights_are_not_rounded_and_casts_change_nothing() -> None:
    proto = model(
        "g (float16[2] x) => (float16[2] z) { a = Cast<to = 16>(x) b = Cast<to = 1>(a) z = Cast<to = 10>(b) }"
    )
    x = np.array([1 / 3, 70000.0])  # beyond float16
    assert np.array_equal(evaluate(proto, {"x": x})["z"], x)


def test_a_cast_to_integers_truncates() -> None:
    proto = model("g (float[3] x) => (int32[3] z) { z = Cast<to = 6>(x) }")
    found = evaluate(proto, {"x": np.array([-1.7, 0.5, 2.9], np.float32)})["z"]
    assert found.dtype == np.int32
    assert found.tolist() == [-1, 0, 2]


@pytest.mark.parametrize("form", ["value_float = 0.1", "value = float {0.1}", "value_floats = [0.1]"])
def test_constants_of_every_form_are_widened(form: str) -> None:
    proto = model(f"g () => (float[s] z) {{ z = Constant<{form}>() }}")
    found = evaluate(proto, {})["z"]
    assert found.dtype == np.float64
    assert found.item() == float(np.float32(0.1))


def test_bodies_are_widened() -> None:
    proto = model(
        """g (float[2] x, bool c) => (float[2] z) {
             z = If(c) <then_branch = t () => (float[2] a) { a = Erf(x) },
                        else_branch = e () => (float[2] b) { b = Identity(x) }>
           }"""
    )
    x = np.array([0.1, 0.7])
    # math.erf(0.1) in double precision
    assert float(evaluate(proto, {"x": x, "c": np.array(True)})["z"][0]) == pytest.approx(0.1124629160182849, rel=1e-15)


def test_before_opset_13_softmax_is_over_all_that_follows_its_axis() -> None:
    x = np.arange(6.0).reshape(1, 2, 3)
    old = evaluate(model("g (float[1,2,3] x) => (float[1,2,3] z) { z = Softmax(x) }", 11), {"x": x})["z"]
    new = evaluate(model("g (float[1,2,3] x) => (float[1,2,3] z) { z = Softmax(x) }", 13), {"x": x})["z"]
    assert float(old.sum()) == pytest.approx(1)
    assert np.allclose(new.sum(-1), 1)


@pytest.mark.parametrize("opset", [7, 9, 14, 15])
def test_batch_normalization_is_of_inference_at_every_opset(opset: int) -> None:
    proto = model(
        "g (double[2,1,2] x, double[1] s, double[1] b, double[1] m, double[1] v) => (double[2,1,2] z)"
        "{ z = BatchNormalization<epsilon = 0.0>(x, s, b, m, v) }",
        opset,
    )
    one = {n: np.array([v]) for n, v in (("s", 3.0), ("b", 1.0), ("m", 2.0), ("v", 4.0))}
    x = np.arange(4.0).reshape(2, 1, 2)
    assert np.array_equal(evaluate(proto, {"x": x, **one})["z"], 3 * (x - 2) / 2 + 1)


@pytest.mark.parametrize("opset", [10, 13, 19, 21])
def test_dequantize_linear_at_every_opset(opset: int) -> None:
    proto = model(
        "g (uint8[2,2] x, float[2] s, uint8[2] z) => (float[2,2] y) { y = DequantizeLinear<axis = 0>(x, s, z) }"
        if opset > 10
        else "g (uint8[2,2] x, float s, uint8 z) => (float[2,2] y) { y = DequantizeLinear(x, s, z) }",
        opset,
    )
    many = opset > 10
    scale, zero = (np.array([0.1, 0.2]), np.array([1, 2], np.uint8)) if many else (np.array(0.1), np.array(1, np.uint8))
    x = np.array([[0, 255], [2, 3]], np.uint8)
    wanted = (x.astype(np.float64) - zero.reshape(-1, 1)) * scale.reshape(-1, 1)
    assert np.array_equal(evaluate(proto, {"x": x, "s": scale, "z": zero})["y"], wanted)


def test_what_is_random_is_refused_with_the_operator() -> None:
    proto = model("g () => (float[2] z) { z = RandomNormal<shape = [2]>() }")
    with pytest.raises(NotComputable, match=r"^RandomNormal is random$"):
        evaluate(proto, {})


def test_operators_of_other_domains_are_refused_with_the_operator() -> None:
    node = helper.make_node("Gelu", ["x"], ["z"], domain="com.microsoft")
    infos = [helper.make_tensor_value_info(n, TensorProto.FLOAT, [2]) for n in ("x", "z")]
    imports = [helper.make_opsetid("", 17), helper.make_opsetid("com.microsoft", 1)]
    proto = helper.make_model(helper.make_graph([node], "g", infos[:1], infos[1:]), opset_imports=imports)
    with pytest.raises(NotComputable, match=r"'Gelu' from domain 'com\.microsoft'"):
        evaluate(proto, {"x": np.zeros(2)})


def test_noise_is_put_in_everywhere_and_taken_out_again() -> None:
    proto = model(
        "g (float[3] x) => (float[3] z) <float[3] w = {0.5, 1.5, 2.5}> { y = Elu<alpha = 0.3>(x) z = Mul(y, w) }"
    )
    program = Program(proto)
    x = {"x": np.array([-1.0, -2.0, -3.0])}
    still = program.run(x)["z"]
    noise: Alter = Noise(0, {}, attributes=True)
    moved = program.run(x, noise)["z"]
    # the attribute moves by at most 2^-24, everything else by 2^-53
    assert 0 < np.abs(moved / still - 1).max() < 2**-23
    assert np.array_equal(program.run(x)["z"], still)


@pytest.mark.parametrize("seed", range(60))
def test_conv_transpose_is_what_onnxruntime_computes(seed: int) -> None:
    """Of every rank, group, stride, dilation and way of padding."""
    random = np.random.default_rng(seed)
    axes, group = int(random.integers(1, 3)), int(random.integers(1, 4))
    inside, outside = int(random.integers(1, 3)), int(random.integers(1, 3))
    kernel, strides = ([int(i) for i in random.integers(1, 4, axes)] for _ in range(2))
    how: dict[str, Any] = {"group": group, "strides": strides}
    style = seed % 5
    if style == 0:
        how["pads"] = [int(random.integers(0, (k + 1) // 2)) for k in kernel] * 2
    elif style == 1:
        how["auto_pad"] = str(random.choice(["SAME_UPPER", "SAME_LOWER", "VALID"]))
    elif style == 2:
        how["output_padding"] = [int(random.integers(0, s)) for s in strides]
    elif style == 3:
        how["dilations"] = random.integers(1, 3, axes).tolist()
    sizes = random.integers(2, 5, axes).tolist()
    x = random.standard_normal((2, group * inside, *sizes)).astype(np.float32)
    w = random.standard_normal((group * inside, outside, *kernel)).astype(np.float32)
    b = random.standard_normal(group * outside).astype(np.float32)
    node = helper.make_node("ConvTranspose", ["x", "w", "b"], ["y"], **how)
    infos = [helper.make_tensor_value_info(n, TensorProto.FLOAT, v.shape) for n, v in (("x", x), ("w", w), ("b", b))]
    out = helper.make_empty_tensor_value_info("y")
    proto = helper.make_model(helper.make_graph([node], "g", infos, [out]), opset_imports=[helper.make_opsetid("", 17)])
    proto.ir_version = 8
    feeds = {"x": x, "w": w, "b": b}
    wanted = run(proto, feeds)["y"]
    found = evaluate(proto, feeds)["y"]
    assert found.shape == wanted.shape
    # at most 27 products of two normal numbers are summed in float32
    assert np.abs(found - wanted).max(initial=0) < 1e-4
