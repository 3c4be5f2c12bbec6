"""Which nodes compute in a short type, and that the graph is typed."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from graphopt.errors import ParityError
from graphopt.graph.dtypes import DType
from graphopt.graph.model import Model
from graphopt.graph.tensor import Tensor
from graphopt.precision.lower import compare_precision, lower_precision
from graphopt.quantization.contents import copied
from tests.precision.short import checked, network, operators, run, samples, seen, sqnr, types

SHORT = ("float16", "bfloat16")

CONVOLUTIONS = """
    a = Conv <pads = [1, 1, 1, 1]> (x, w)
    r = Relu (a)
    b = Conv (r, v)
    p = GlobalAveragePool (b)
    f = Flatten (p)
    y = Softmax (f)
"""


def _convolutions() -> Model:
    return network(CONVOLUTIONS, "float[1,3,8,8] x", "float[1,8] y", "float[8,3,3,3] w, float[8,8,1,1] v")


@pytest.mark.parametrize("dtype", SHORT)
def test_a_typed_graph(dtype: str) -> None:
    """Casts at the input, before what adds up and nowhere else; what stands behind that stays in float32."""
    model = _convolutions()
    original, given = copied(model), samples((1, 3, 8, 8))
    found = lower_precision(model, dtype, seen=seen(model, given))
    proto = checked(model)
    assert (found.nodes, found.islands) == (3, {})
    assert operators(model, DType[dtype]) == Counter({"Conv": 2, "Relu": 1})
    assert Counter(n.op_type for n in proto.graph.node)["Cast"] == 2
    interface = [*proto.graph.input, *proto.graph.output]
    assert [(v.name, v.type.tensor_type.elem_type) for v in interface] == [("x", 1), ("y", 1)]
    # five roundings in a row, each of a mean square of u^2 / 3 at most, u = 2^-11 or 2^-8: 7 dB less than one of them
    least = {"float16": 71.0, "bfloat16": 52.9}[dtype] - 7
    for sample in given:
        assert sqnr(run(original, sample)["y"], run(model, sample)["y"]) > least


def test_a_value_that_both_types_read() -> None:
    model = network(
        "a = MatMul (x, w) b = MatMul (a, w) s = ReduceSum <keepdims = 1> (a) y = Add (b, s)",
        "float[4,8] x",
        "float[4,8] y",
        "float[8,8] w",
    )
    lower_precision(model, "float16")
    proto = checked(model)
    assert [(n.op_type, *n.input) for n in proto.graph.node] == [
        ("Cast", "x"),
        ("MatMul", "x.float16", "w.float16"),
        ("Cast", "a"),
        ("MatMul", "a", "w.float16"),
        ("Cast", "b"),
        ("ReduceSum", "a.float32"),
        ("Add", "b.float32", "s"),
    ]


def test_an_output_that_others_read_keeps_its_name_and_type() -> None:
    model = network("a = MatMul (x, w) y = MatMul (a, w)", "float[4,8] x", "float[4,8] a, float[4,8] y", "float[8,8] w")
    lower_precision(model, "bfloat16")
    proto = checked(model)
    assert [(n.op_type, *n.input, *n.output) for n in proto.graph.node] == [
        ("Cast", "x", "x.bfloat16"),
        ("MatMul", "x.bfloat16", "w.bfloat16", "a.bfloat16"),
        ("Cast", "a.bfloat16", "a"),
        ("MatMul", "a.bfloat16", "w.bfloat16", "y.bfloat16"),
        ("Cast", "y.bfloat16", "y"),
    ]


def test_numbers_that_are_too_large_stay_in_float32() -> None:
    model = network(
        "a = MatMul (x, w) b = Mul (a, k) c = Mul (b, j) y = MatMul (c, w)",
        "float[4,8] x",
        "float[4,8] y",
        "float[8,8] w, float[1] k, float[1] j",
    )
    for name, value in (("k", 1e5), ("j", 1e-5)):
        held = next(v for v in model.graph.initializers if v.name == name)
        model.graph.redirect(held, model.graph.add_initializer(_tensor(value), name))
    original, given = copied(model), samples((4, 8))
    found = lower_precision(model, "float16", seen=seen(model, given))
    checked(model)
    assert list(found.islands) == ["Mul(b)", "Mul(c)"]
    assert found.islands["Mul(b)"] == "its input 'k_1' holds 1e+05, and the largest float16 is 65504"
    assert operators(model, DType.float16) == Counter({"MatMul": 2})
    for sample in given:  # two products, each of two rounded operands, and their results: six roundings of u^2 / 3
        assert sqnr(run(original, sample)["y"], run(model, sample)["y"]) > 71 - 8
    found = lower_precision(copied(original), "bfloat16", seen=seen(original, given))
    assert found.islands == {}


def _tensor(value: float) -> Tensor:
    return Tensor.of(np.array([value], np.float32))


def test_what_is_measured_decides() -> None:
    body = "a = MatMul (x, w) b = Mul (a, a) c = Mul (b, b) y = MatMul (c, w)"
    given = samples((4, 8), size=100.0)
    model = network(body, "float[4,8] x", "float[4,8] y", "float[8,8] w")
    found = lower_precision(model, "float16", seen=seen(model, given))
    assert found.nodes == 1
    assert set(found.islands) == {"Mul(b)", "Mul(c)", "MatMul(y)"}
    checked(model)
    small = network(body, "float[4,8] x", "float[4,8] y", "float[8,8] w")
    assert lower_precision(small, "float16", seen=seen(small, samples((4, 8)))).islands == {}


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ("b = Exp (a)", "how large its numbers get is not known"),
        ("b = Reciprocal (a)", "how large its numbers get is not known"),
    ],
)
def test_without_calibration_float16_is_refused_to_what_is_risky(body: str, reason: str) -> None:
    for dtype, islands in (("float16", {f"{body[4:].split()[0]}(b)": reason}), ("bfloat16", {})):
        model = network(f"a = MatMul (x, w) {body} y = MatMul (b, w)", "float[4,8] x", "float[4,8] y", "float[8,8] w")
        found = lower_precision(model, dtype)
        assert (found.nodes, found.islands) == (2 if islands else 3, islands)
        checked(model)


def test_a_divisor_that_float16_would_make_zero() -> None:
    body = "a = MatMul (x, w) s = Sigmoid (a) d = Mul (s, k) b = Div (s, d) y = MatMul (b, w)"
    model = network(body, "float[4,8] x", "float[4,8] y", "float[8,8] w, float[1] k", size=1.0)
    held = next(v for v in model.graph.initializers if v.name == "k")
    model.graph.redirect(held, model.graph.add_initializer(_tensor(1e-4), "k"))
    found = lower_precision(model, "float16", seen=seen(model, samples((4, 8))))
    assert found.islands["Div(b)"] == "its input 'd' may be 0 in float16 where it is not"
    checked(model)


def test_a_bound_beyond_the_type_is_its_largest_number() -> None:
    body = "a = MatMul (x, w) low = Constant <value_float = 0.0> () high = Constant <value_float = 3.0e38> () "
    model = network(
        body + "b = Clip (a, low, high) y = MatMul (b, w)", "float[4,8] x", "float[4,8] y", "float[8,8] w", opset=13
    )
    found = lower_precision(model, "float16")
    checked(model)
    clip = next(n for n in model.all_nodes() if n.op_type == "Clip")
    assert (found.nodes, found.islands) == (3, {})
    assert [v.constant.numpy().item() for v in clip.inputs[1:] if v is not None and v.constant is not None] == [
        0,
        65504,
    ]


def test_what_goes_into_a_logarithm_stays_in_float32() -> None:
    body = """
        a = Conv (x, w) p = Mul (a, a) q = Add (p, k) l = Log (q) b = Conv (l, v) r = Relu (b) y = Conv (r, v)
    """
    weights = "float[8,3,1,1] w, float[8,8,1,1] v, float[1] k"
    model = network(body, "float[1,3,8,8] x", "float[1,8,8,8] y", weights)
    held = next(v for v in model.graph.initializers if v.name == "k")
    model.graph.redirect(held, model.graph.add_initializer(_tensor(1.0), "k"))
    lower_precision(model, "bfloat16", seen=seen(model, samples((1, 3, 8, 8))))
    checked(model)
    assert operators(model, DType.bfloat16) == Counter({"Conv": 2, "Relu": 1})
    assert types(model)["a"] == "float32"


def test_angles_stay_in_float32() -> None:
    model = network(
        "a = Mul (x, k) s = Sin (a) y = MatMul (s, w)", "float[4,8] x", "float[4,8] y", "float[8,8] w, float[8] k"
    )
    lower_precision(model, "bfloat16")
    checked(model)
    assert operators(model, DType.bfloat16) == Counter({"MatMul": 1})


def test_casts_must_pay() -> None:
    model = network("a = Relu (x) b = Mul (a, a) y = Tanh (b)", "float[4,8] x", "float[4,8] y")
    assert lower_precision(model, "float16").nodes == 0
    assert [n.op_type for n in model.all_nodes()] == ["Relu", "Mul", "Tanh"]


def test_bodies_of_nodes() -> None:
    """A body computes in the short type, too, and gives float32."""
    body = """
        a = MatMul (x, w)
        y = If (c) <
            then_branch = first () => (float[4,8] t) { t = MatMul (a, w) },
            else_branch = second () => (float[4,8] e) { e = Relu (a) }
        >
    """
    model = network(body, "float[4,8] x, bool c", "float[4,8] y", "float[8,8] w")
    lower_precision(model, "float16")
    checked(model)
    assert types(model) == {
        "x.float16": "float16",
        "a": "float16",
        "a.float32": "float32",
        "y": "float32",
        "t.float16": "float16",
        "t": "float32",
        "e": "float32",
    }


def test_an_operator_that_the_opset_has_in_float32_alone() -> None:
    """Conv takes bfloat16 from opset 22 on."""
    model = network(
        "a = Conv (x, w) y = Conv (a, w)", "float[1,3,4,4] x", "float[1,3,4,4] y", "float[3,3,1,1] w", opset=13
    )
    assert lower_precision(model, "bfloat16").nodes == 0


def test_what_the_recipe_keeps_and_what_the_target_lacks() -> None:
    model = _convolutions()
    found = lower_precision(model, "float16", kept={"Conv(a)"}, lacking={"Relu"})
    assert found.islands == {
        "Conv(a)": "the recipe keeps it",
        "Relu(r)": "the target has no float16 kernel for it",
    }
    assert operators(model, DType.float16) == Counter({"Conv": 1})


def test_the_same_bytes_again() -> None:
    first, second = _convolutions(), _convolutions()
    for model in (first, second):
        lower_precision(model, "float16")
    assert checked(first).SerializeToString(deterministic=True) == checked(second).SerializeToString(deterministic=True)


def test_what_is_asked_of_the_outputs() -> None:
    model = _convolutions()
    original, given = copied(model), samples((1, 3, 8, 8))
    lower_precision(model, "bfloat16")
    figures = compare_precision(model, original, given)
    assert figures["agreement"] == 1.0
    assert 40 < figures["sqnr"] < 70
    with pytest.raises(ParityError) as caught:
        compare_precision(model, original, given, {"sqnr": 100.0, "cosine": 0.5})
    assert str(caught.value) == (
        f"the outputs do not reach what is asked: sqnr {figures['sqnr']:.4g} for 100\n"
        "  help: give nodes another precision by a recipe with [precision], or ask for less"
    )
