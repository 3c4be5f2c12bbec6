"""Constants in all their forms, inputs that are absent, and what must not be folded."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from graphopt.graph.load import from_proto
from graphopt.rewrite.fold import fold_graph, hold_as_weights
from tests.traps.compiling import compiled, operators, parsed

HEAD = '<ir_version: 8, opset_import: ["" : 17]>'

FORMS: dict[str, Any] = {
    "value": helper.make_tensor("", TensorProto.FLOAT, [2], [0.1, 2.0]),
    "value_float": 0.1,
    "value_floats": [0.1, 2.0],
    "value_int": 3,
    "value_ints": [3, -4],
    "value_string": "a",
    "value_strings": ["a", "b"],
}

TYPES = {"value_i": TensorProto.INT64, "value_s": TensorProto.STRING}


@pytest.mark.parametrize("form", FORMS)
def test_each_form_of_constant_has_its_type(tmp_path: Path, form: str) -> None:
    """Float forms are float32 and integer forms int64; lists have rank 1, single values rank 0."""
    dtype = TYPES.get(form[:7], TensorProto.FLOAT)
    shape = [2] if form == "value" or form.endswith("s") else []
    nodes = [
        helper.make_node("Constant", [], ["k"], **{form: FORMS[form]}),
        helper.make_node("Identity", ["k"], ["i"]),
        helper.make_node("Identity", ["x"], ["t"]),
        helper.make_node("Equal" if dtype == TensorProto.STRING else "Mul", ["t", "i"], ["y"]),
        helper.make_node("Identity", ["i"], ["shown"]),
    ]
    made = TensorProto.BOOL if dtype == TensorProto.STRING else dtype
    graph = helper.make_graph(
        nodes,
        "forms",
        [helper.make_tensor_value_info("x", dtype, ["n", 2])],
        [helper.make_tensor_value_info("y", made, ["n", 2]), helper.make_tensor_value_info("shown", dtype, shape)],
    )
    model = helper.make_model(graph, ir_version=9, opset_imports=[helper.make_opsetid("", 19)])
    text = np.array([["a", "b"], ["c", "a"]], object)
    feeds = [{"x": text}] if dtype == TensorProto.STRING else None
    after = compiled(model, tmp_path, feeds=feeds, reference=dtype != TensorProto.STRING)
    assert operators(after) in (["Mul"], ["Equal"])


def test_a_sparse_constant_stays(tmp_path: Path) -> None:
    values = helper.make_tensor("v", TensorProto.FLOAT, [2], [5.0, 6.0])
    indices = helper.make_tensor("i", TensorProto.INT64, [2], [1, 3])
    nodes = [
        helper.make_node("Constant", [], ["k"], sparse_value=helper.make_sparse_tensor(values, indices, [4])),
        helper.make_node("Add", ["x", "k"], ["y"]),
    ]
    x, y = (helper.make_tensor_value_info(name, TensorProto.FLOAT, [4]) for name in "xy")
    model = helper.make_model(
        helper.make_graph(nodes, "sparse", [x], [y]), ir_version=8, opset_imports=[helper.make_opsetid("", 17)]
    )
    after = compiled(model, tmp_path, reference=False)
    assert [n.op_type for n in after.graph.node] == ["Constant", "Add"]


ABSENT = {
    "Conv without a bias": """
        main (float[1,1,2,2] x) => (float[1,2,2,2] y)
        <float[2,1,1,1] w = {2, 3},
         float[2] s = {3, 1}, float[2] b = {4, 5}, float[2] m = {1, 2}, float[2] v = {1, 2}> {
            a = Conv(x, w, "")
            y = BatchNormalization(a, s, b, m, v)
        }""",
    "Clip without a lower bound": 'main (float[n,3] x) => (float[n,3] y) <float h = {0.5}> { y = Clip(x, "", h) }',
    "Clip of a constant": """
        main (float[3] x) => (float[3] y) <float[3] w = {-1, 0, 1}, float h = {0.5}> {
            c = Clip(w, "", h)
            y = Add(x, c)
        }""",
    "Resize without a region": """
        main (float[1,1,2,2] x) => (float[1,1,4,4] y) <float[4] s = {1, 1, 2, 2}> {
            y = Resize<mode = "nearest">(x, "", s)
        }""",
    "Resize to sizes": """
        main (float[1,1,2,2] x) => (float[1,1,3,5] y) <int64[4] s = {1, 1, 3, 5}> {
            t = Identity(s)
            y = Resize<mode = "nearest">(x, "", "", t)
        }""",
    "Slice without axes": """
        main (float[4,4] x) => (float[2,4] y) <int64[1] b = {0}, int64[1] e = {4}, int64[1] s = {2}> {
            y = Slice(x, b, e, "", s)
        }""",
    "Pad without a value": """
        main (float[1,1,2,2] x) => (float[1,1,4,4] y)
        <int64[8] p = {0,0,1,1,0,0,1,1}, float[1,1,1,1] w = {2}> {
            a = Pad(x, p, "")
            y = Conv(a, w)
        }""",
    "Dropout without a ratio": """
        main (float[n,3] x) => (float[n,3] y) <bool t = {0}> {
            a = Dropout(x, "", t)
            y = Relu(a)
        }""",
    "an LSTM without its first output": """
        main (float[2,1,2] x) => (float[1,1,1] y)
        <float[1,4,2] w = {1,2,3,4,5,6,7,8}, float[1,4,1] r = {1,2,3,4}> {
            i = Identity(x)
            "", y = LSTM<hidden_size = 1>(i, w, r, "", "", "", "", "")
        }""",
}


@pytest.mark.parametrize("case", ABSENT)
def test_an_absent_input_is_no_input(tmp_path: Path, case: str) -> None:
    after = compiled(f"{HEAD} {ABSENT[case]}", tmp_path, tolerance=2e-5)
    assert "BatchNormalization" not in operators(after)


LIFTED = [("x[] * c[1]", "float x", "float[1] y"), ("c[1,1] * x[n]", "float[n] x", "float[1,n] y")]


@pytest.mark.parametrize("operator", ["Mul", "Add", "Div"])
@pytest.mark.parametrize(("case", "given", "made"), LIFTED, ids=[c[0] for c in LIFTED])
def test_a_constant_of_one_element_lifts_the_rank(
    tmp_path: Path, case: str, given: str, made: str, operator: str
) -> None:
    rank = "1,1" if "1,1" in case else "1"
    compiled(
        f"""{HEAD}
        main ({given}) => ({made}) <float[{rank}] one = {{1}}> {{
            a = Identity(x)
            b = {operator}(a, one)
            y = Identity(b)
        }}""",
        tmp_path,
    )


def test_a_reshape_that_lifts_a_scalar_stays(tmp_path: Path) -> None:
    after = compiled(
        f"{HEAD} main (float x) => (float[1] y) <int64[1] s = {{1}}> {{ a = Neg(x) y = Reshape(a, s) }}", tmp_path
    )
    assert operators(after) == ["Neg", "Reshape"]


def test_random_numbers_are_drawn_anew_and_twice(tmp_path: Path) -> None:
    """Two draws of equal attributes are two values, and none is a constant; without a seed nothing can be compared."""
    model = parsed(f"""{HEAD}
        main (float[50] x) => (float[50] y, float[50] z) <float[50] w = {{{",".join("0" * 50)}}}> {{
            a = RandomNormalLike(x)
            b = RandomNormalLike(x)
            y = Sub(a, b)
            c = RandomUniformLike(w)
            d = RandomUniform<shape = [50]>()
            e = Identity(c)
            z = Sub(e, d)
        }}""")
    after = compiled(model, tmp_path, feeds=[])
    assert operators(after) == [
        "RandomNormalLike",
        "RandomNormalLike",
        "Sub",
        "RandomUniformLike",
        "RandomUniform",
        "Sub",
    ]


def test_dequantized_weights_stay_integers(tmp_path: Path) -> None:
    after = compiled(
        f"""{HEAD}
        main (float[n,2] x) => (float[n,2] y) <int8[2,2] w = {{1, 2, 3, 4}}, float s = {{0.5}}, int8 z = {{0}}> {{
            d = DequantizeLinear(w, s, z)
            y = MatMul(x, d)
        }}""",
        tmp_path,
        reference=False,  # it has no DequantizeLinear before opset 19
    )
    assert operators(after) == ["DequantizeLinear", "MatMul"]


def grown(shape: str) -> onnx.ModelProto:
    return parsed(f"""{HEAD}
        main (float[n] x) => (float[n] y) <int64[1] s = {{{shape}}}> {{
            zeros = ConstantOfShape(s)
            sum = ReduceSum<keepdims = 0>(zeros)
            ones = Exp(zeros)
            top = ReduceMax<keepdims = 0>(ones)
            a = Add(x, sum)
            b = Add(a, top)
            y = Relu(b)
        }}""")


def test_what_a_large_constant_comes_down_to_is_folded_and_it_is_not(tmp_path: Path) -> None:
    """32 MB of zeros on the way to two numbers: the numbers go into the file."""
    model = grown(str(8 << 20))
    after = compiled(model, tmp_path, reference=False)
    assert operators(after) == ["Add", "Relu"]
    assert after.ByteSize() < 1000


@pytest.mark.parametrize(("budget", "nodes"), [(3999, ["ConstantOfShape", "Neg", "Mul"]), (4000, ["Mul"])], ids=str)
def test_a_constant_may_outgrow_the_budget_by_nothing(tmp_path: Path, budget: int, nodes: list[str]) -> None:
    """1000 float32 take 4000 bytes; the 8 bytes of the shape that they free count for them."""
    model = parsed(f"""{HEAD}
        main (float[n,1000] x) => (float[n,1000] y) <int64[1] s = {{1000}}> {{
            twos = ConstantOfShape<value = float[1] {{2}}>(s)
            factors = Neg(twos)
            y = Mul(x, factors)
        }}""")
    before = 8
    after = compiled(model, tmp_path, fold_budget=budget - before)
    assert operators(after) == nodes


def test_folding_one_of_two_readers_frees_nothing() -> None:
    """The weight stays for the second reader, which is no constant: so the transposed copy is all growth."""
    text = f"""{HEAD}
        main (float[10,100] x) => (float[10,100] y, float[10,10] z) <float[100,10] w = {{{",".join("1" * 1000)}}}> {{
            t = Transpose(w)
            y = Mul(x, t)
            z = MatMul(x, w)
        }}"""
    for allowance, folded in ((7999, 0), (8000, 1)):
        model = from_proto(parsed(text))
        assert fold_graph(model, allowance)[0] == folded


def test_a_weight_that_folding_frees_pays_for_its_successor() -> None:
    text = f"""{HEAD}
        main (float[10,100] x) => (float[10,100] y) <float[100,10] w = {{{",".join("1" * 1000)}}}> {{
            t = Transpose(w)
            y = Mul(x, t)
        }}"""
    model = from_proto(parsed(text))
    assert fold_graph(model, 4000) == (1, [])
    assert [v.name for v in model.graph.initializers] == ["t"]


def test_an_integer_that_no_constant_of_the_opset_can_hold_stays_computed(tmp_path: Path) -> None:
    """Before opset 9 a Constant is of floats; the shape is an output, and so has to come from a node."""
    after = compiled(
        """<ir_version: 4, opset_import: ["" : 8]>
        main (float[2,3] x) => (float[2,3] y, int64[2] s, float[2] f) <float[2] w = {1, 2}> {
            y = Relu(x)
            s = Shape(x)
            f = Neg(w)
        }""",
        tmp_path,
    )
    assert [n.op_type for n in after.graph.node if n.output[0] in ("s", "f")] == ["Shape", "Constant"]


def test_folding_what_is_an_output_counts_as_a_change() -> None:
    """One node goes and another comes: Split into two constants, both outputs, makes even more of them."""
    model = from_proto(
        parsed(f"""{HEAD}
        main (float[2] x) => (float[2] y, float[1] a, float[1] b) <float[2] w = {{1, 2}}> {{
            y = Neg(x)
            a, b = Split<axis = 0>(w)
        }}""")
    )
    assert fold_graph(model, 100) == (1, [])
    assert [n.op_type for n in model.graph.nodes] == ["Neg", "Constant", "Constant"]


def test_what_hangs_on_a_constant_that_was_found_is_known_as_well(tmp_path: Path) -> None:
    """Inference does not see through the first Identity: only folding shows where the Reshape goes, and its Shape."""
    after = compiled(
        f"""{HEAD}
        main (float[4,6] x) => (float[2,12] y, int64[2] s, float[2,12] z) <int64[2] t = {{2, 12}}> {{
            u = Identity(t)
            y = Reshape(x, u)
            a = Relu(y)
            s = Shape(a)
            b = Identity(t)
            z = Reshape(a, b)
        }}""",
        tmp_path,
    )
    assert operators(after) == ["Reshape", "Relu"]
    assert [n.op_type for n in after.graph.node if n.output[0] == "s"] == ["Constant"]


@pytest.mark.parametrize(
    ("reader", "nodes"),
    [
        ("y = Gather(w, i)", ["Gather", "MatMul", "Transpose"]),
        ("u = Transpose(w) y = Gather(u, i)", ["Gather", "MatMul"]),
    ],
    ids=["reads it as it is", "reads it transposed as well"],
)
def test_a_weight_is_not_written_a_second_time_transposed(tmp_path: Path, reader: str, nodes: list[str]) -> None:
    """An embedding of words that the last layer reads transposed: the copy would be as large as the embedding."""
    words = ",".join("1" * 1030)
    model = parsed(f"""{HEAD}
        main (int64[n] i, float[n,10] x) => (float[n,k] y, float[n,103] z) <float[103,10] w = {{{words}}}> {{
            {reader}
            t = Transpose(w)
            z = MatMul(x, t)
        }}""")
    after = compiled(model, tmp_path)
    assert sorted(operators(after)) == nodes


def test_what_constant_nodes_hold_is_kept_as_weights(tmp_path: Path) -> None:
    model = parsed(f"""{HEAD}
        main (float[n,2] x, bool c) => (float[n,2] y, float[2] shown) {{
            one = Constant<value_float = 1.5>()
            shown = Constant<value = float[2] {{3, 4}}>()
            a = Mul(x, one)
            b = Add(a, shown)
            y = If(c) <
                then_branch = yes () => (float[n,2] p) {{ k = Constant<value_floats = [5.0, 6.0]>() p = Pow(b, k) }},
                else_branch = no () => (float[n,2] q) {{ q = Cos(b) }}
            >
        }}""")
    after = compiled(model, tmp_path, tolerance=2e-5)
    assert [(n.op_type, list(n.output)) for n in after.graph.node if not n.input] == [("Constant", ["shown"])]
    yes = next(a.g for n in after.graph.node for a in n.attribute if a.name == "then_branch")
    assert [n.op_type for n in yes.node] == ["Pow"]
    assert [t.name for t in (*after.graph.initializer, *yes.initializer)] == ["one", "k"]


def test_weights_in_constant_nodes_count_for_the_budget() -> None:
    """4000 bytes in a Constant node, which folding frees, pay for the 4000 bytes of its successor."""
    text = f"""{HEAD}
        main (float[10,100] x) => (float[10,100] y) {{
            w = Constant<value = float[100,10] {{{",".join("1" * 1000)}}}>()
            t = Transpose(w)
            y = Mul(x, t)
        }}"""
    model = from_proto(parsed(text))
    assert hold_as_weights(model) == 1
    assert fold_graph(model, 4000) == (1, [])
    assert hold_as_weights(model) == 0
