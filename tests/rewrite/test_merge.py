"""Common subexpressions: what is merged, what never is, and that the numbers stay."""

from __future__ import annotations

from collections import Counter

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper

from graphopt.graph.load import from_proto
from graphopt.graph.save import to_proto
from graphopt.graph.validate import interface_of_model, validate
from graphopt.rewrite.merge import merge_equal
from graphopt.testing.cases import model_of
from graphopt.testing.weights import samples
from tests.rules.oracle import assert_same_results


def merge(proto: onnx.ModelProto, *, runs: bool = True) -> tuple[int, int, onnx.ModelProto]:
    """How many nodes and weights went, and what is left, which computes the same bits."""
    copy = onnx.ModelProto()
    copy.CopyFrom(proto)
    model = from_proto(copy)
    interface = interface_of_model(model)
    nodes, weights = merge_equal(model)
    validate(model, interface)
    assert merge_equal(model) == (0, 0)
    after = to_proto(model)
    if runs:
        assert_same_results(proto, after, samples(proto), "exact")
    return nodes, weights, after


def merged(graph: str, opset: int = 17, *, runs: bool = True) -> tuple[int, int]:
    return merge(model_of(graph, opset), runs=runs)[:2]


def operators(graph: onnx.GraphProto) -> Counter[str]:
    return Counter(node.op_type for node in graph.node)


# --- nodes ---


@pytest.mark.parametrize(
    ("graph", "nodes"),
    [
        ("(float[N] x) => (float[N] z) { a = Relu (x) b = Relu (x) z = Add (a, b) }", 1),
        ("(float[N] x) => (float[N] z) { a = Relu (x) b = Neg (a) c = Relu (x) d = Neg (c) z = Add (b, d) }", 2),
        ("(float[N] x, float[N] y) => (float[N] z) { a = Add (x, y) b = Add (y, x) z = Mul (a, b) }", 1),
        ("(float[N] x, float[N] y) => (float[N] z) { a = Sub (x, y) b = Sub (y, x) z = Mul (a, b) }", 0),
        ("(float[2,3] x) => (float[2,3] z) { a = Softmax (x) b = Softmax <axis = -1> (x) z = Add (a, b) }", 1),
        ("(float[2,3] x) => (float[2,3] z) { a = Softmax <axis = 0> (x) b = Softmax (x) z = Add (a, b) }", 0),
        ("(float[2] x) => (float[2] z) { a = Clip (x, \"\", h) b = Clip (x, h) h = Relu (s) s = ReduceSum "
         "<keepdims = 0> (x) z = Add (a, b) }", 0),
        ("(float[3] x) => (float[3] z) <float c = {2}, float d = {2}> { a = Mul (x, c) b = Mul (d, x) z = Add (a, b) }",
         1),
        ("(float[3] x) => (float[3] z) { c = Constant <value_float = 2.0> () d = Constant <value = float {2}> () "
         "a = Mul (x, c) b = Mul (x, d) z = Add (a, b) }", 1),
        ("(float[3] x) => (float[3] z) <float c = {2}, float[1] d = {2}> { a = Mul (x, c) b = Mul (x, d) "
         "z = Add (a, b) }", 0),
        ("(float[2,4] x) => (float[2,2] z) { a, b = Split <axis = 1> (x) c, d = Split <axis = 1> (x) "
         "e = Sub (a, d) f = Sub (c, b) z = Add (e, f) }", 2),
    ],
)  # fmt: skip
def test_equal_nodes(graph: str, nodes: int):
    assert merged(graph)[0] == nodes


@pytest.mark.parametrize(
    "nodes",
    [
        "a = RandomNormalLike (x) b = RandomNormalLike (x)",
        "a = RandomUniformLike (x) b = RandomUniformLike (x)",
        "a = RandomNormal <shape = [3]> () b = RandomNormal <shape = [3]> ()",
        "a = RandomUniform <shape = [3], seed = 1.0> () b = RandomUniform <shape = [3], seed = 1.0> ()",
        "a = Bernoulli (p) b = Bernoulli (p)",
        "a = Dropout (x, r, t) b = Dropout (x, r, t)",
    ],
)
def test_random_numbers_are_drawn_as_often_as_before(nodes: str):
    graph = (
        f"(float[3] x) => (float[3] z) <float r = {{0.5}}, bool t = {{1}}> {{ p = Sigmoid (x) {nodes} z = Sub (a, b) }}"
    )
    assert merged(graph, runs=False)[0] == 0


def test_what_hangs_on_random_numbers_is_two_things():
    graph = """(float[3] x) => (float[3] z)
    { a = RandomNormalLike (x) b = RandomNormalLike (x) c = Relu (a) d = Relu (b) z = Sub (c, d) }"""
    assert merged(graph, runs=False)[0] == 0


def test_operators_of_other_domains_are_left_alone():
    graph = "(float[3] x) => (float[3] z) { a = test.Odd (x) b = test.Odd (x) z = Sub (a, b) }"
    assert merged(graph, runs=False)[0] == 0


def test_outputs_of_the_graph_keep_their_names():
    both = "(float[3] x) => (float[3] a, float[3] b) { a = Relu (x) b = Relu (x) }"
    assert merged(both)[0] == 0
    first = "(float[3] x) => (float[3] a, float[3] z) { a = Relu (x) b = Relu (x) z = Neg (b) }"
    assert merged(first)[0] == 1


def test_outputs_of_a_body_stay():
    graph = """(float[3] x, bool c) => (float[3] z)
    {
        a = Relu (x)
        y = If (c) <
            then_branch = yes () => (float[3] p) { p = Relu (x) },
            else_branch = no () => (float[3] q) { r = Relu (x) q = Neg (r) }
        >
        z = Add (a, y)
    }"""
    nodes, _, after = merge(model_of(graph))
    assert nodes == 1
    bodies = {a.name: operators(a.g) for n in after.graph.node for a in n.attribute}
    assert bodies == {"then_branch": {"Relu": 1}, "else_branch": {"Neg": 1}}


def test_a_body_reads_what_was_computed_before_it_and_nothing_else():
    graph = """(float[3] x, bool c) => (float[3] z)
    {
        y = If (c) <
            then_branch = yes () => (float[3] p) { s = Relu (x) p = Neg (s) },
            else_branch = no () => (float[3] q) { t = Relu (x) q = Abs (t) }
        >
        a = Relu (x)
        z = Add (a, y)
    }"""
    nodes, _, after = merge(model_of(graph))
    holder = next(n for n in after.graph.node if n.op_type == "If")
    inside = sum((operators(a.g) for a in holder.attribute), Counter[str]())
    # The order of independent nodes is free: either the outer Relu is first and both bodies read it, or none does.
    assert (nodes, inside["Relu"], operators(after.graph)["Relu"]) in {(0, 2, 1), (2, 0, 1)}


def test_nodes_of_a_loop_that_hang_on_its_round_are_not_those_outside():
    graph = """(float[3] x) => (float[3] z)
    <int64 rounds = {3}, bool go = {1}>
    {
        a = Neg (x)
        y = Loop (rounds, go, x) <body = b (int64 i, bool c, float[3] v) => (bool d, float[3] w)
            { d = Identity (c) n = Neg (v) m = Neg (x) w = Add (n, m) }>
        z = Add (a, y)
    }"""
    nodes, _, after = merge(model_of(graph))
    assert nodes == 1
    loop = next(n for n in after.graph.node if n.op_type == "Loop")
    assert operators(loop.attribute[0].g)["Neg"] == 1


def test_minus_0_and_0_are_two_numbers():
    graph = """(float[3] x) => (float[3] z)
    <float c = {0}, float d = {-0.0}> { a = Pow (c, x) e = Div (x, c) f = Div (x, d) z = Sub (e, f) }"""
    assert merged(graph, runs=False)[0] == 0


def test_minus_0_as_an_attribute_is_not_the_default():
    graph = """(float[2] x) => (float[4] z)
    { a = Pad <pads = [1, 1]> (x) b = Pad <pads = [1, 1], value = -0.0> (x) c = Reciprocal (a) d = Reciprocal (b)
      e = Max (c, d) f = Clip (e) z = Sub (c, d) }"""
    assert merged(graph, 10, runs=False)[0] == 0


def test_nan_is_one_constant():
    proto = model_of("(float[3] x) => (float[3] z) { a = Max (x, c) b = Max (x, d) z = Add (a, b) }")
    for name in ("c", "d"):
        proto.graph.initializer.append(numpy_helper.from_array(np.array(np.nan, np.float32), name))
    assert merge(proto)[0] == 1


def test_a_default_that_a_caller_overrides_is_merged_with_nothing():
    graph = """(float[3] x, float c = {2}, float d = {2}) => (float[3] z)
    <float e = {2}> { a = Mul (x, c) b = Mul (x, d) f = Mul (x, e) g = Add (a, b) z = Add (f, g) }"""
    assert merged(graph) == (0, 0)


def test_what_is_known_of_either_shape_is_known():
    graph = """(float[N,3] x) => (float[N,3] z)
    { a = Relu (x) b = Relu (x) c = Neg (b) z = Add (a, c) }"""
    model = from_proto(model_of(graph))
    first, second = (o for n in model.all_nodes() if n.op_type == "Relu" for o in n.outputs if o is not None)
    first.shape, second.shape = ("N", None), (None, 3)
    assert merge_equal(model) == (1, 0)
    assert next(n for n in model.all_nodes() if n.op_type == "Relu").outputs[0].shape == ("N", 3)  # pyright: ignore


# --- weights ---


def weights_model(**arrays: np.ndarray) -> onnx.ModelProto:
    names = list(arrays)
    nodes = [helper.make_node("Cast", [n], [f"{n}_cast"], to=1) for n in names]
    nodes += [helper.make_node("Flatten", [f"{n}_cast"], [f"{n}_out"], axis=0) for n in names]
    outputs = [helper.make_tensor_value_info(f"{n}_out", 1, None) for n in names]
    tensors = [numpy_helper.from_array(a, n) for n, a in arrays.items()]
    graph = helper.make_graph(nodes, "g", [], outputs, tensors)
    return helper.make_model(graph, ir_version=8, opset_imports=[helper.make_opsetid("", 17)])


def large(last: float = 0) -> np.ndarray:
    array = np.arange(5000, dtype=np.float32)
    array[-1] = last
    return array


@pytest.mark.parametrize(
    ("first", "second", "weights"),
    [
        (np.arange(6), np.arange(6), 1),
        (np.arange(6), np.arange(6).reshape(2, 3), 0),
        (np.arange(6), np.arange(6, dtype=np.int32), 0),
        (np.zeros(2, np.float32), -np.zeros(2, np.float32), 0),
        (np.full(2, np.nan, np.float32), np.full(2, np.nan, np.float32), 1),
        (np.zeros((0, 3), np.float32), np.zeros((0, 3), np.float32), 1),
        (np.zeros((0, 3), np.float32), np.zeros((3, 0), np.float32), 0),
        (large(), large(), 1),
        (large(), large(1), 0),
    ],
)
def test_equal_weights(first: np.ndarray, second: np.ndarray, weights: int):
    assert merge(weights_model(first=first, second=second))[1] == weights


def test_a_weight_that_is_an_output_stays():
    proto = weights_model(first=np.arange(3, dtype=np.float32), second=np.arange(3, dtype=np.float32))
    proto.graph.output.append(helper.make_tensor_value_info("second", 1, [3]))
    assert merge(proto)[1] == 0


def test_weights_of_two_branches_stay_where_they_are():
    graph = """(float[3] x, bool c) => (float[3] z)
    {
        z = If (c) <
            then_branch = yes () => (float[3] p) <float[3] w = {1, 2, 3}, float[3] v = {1, 2, 3}>
                { s = Add (x, w) p = Mul (s, v) },
            else_branch = no () => (float[3] q) <float[3] u = {1, 2, 3}> { q = Sub (x, u) }
        >
    }"""
    assert merged(graph)[1] == 1
