"""What is equal, what is decided and what is called, where names, defaults and chance are in the way."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest

import graphopt
from tests.traps.compiling import REAL, compiled, defaults, operators, parsed

HEAD = '<ir_version: 8, opset_import: ["" : 17]>'
X = np.float32([[1, -2, 3], [4, 5, -6]])


def test_equal_results_under_two_outputs_keep_both_names(tmp_path: Path) -> None:
    compiled(
        f"{HEAD} main (float[n,3] x) => (float[n,3] y, float[n,3] z) {{ y = Exp(x) z = Exp(x) }}",
        tmp_path,
        reference=False,
    )


def test_equal_weights_one_of_which_a_caller_overrides(tmp_path: Path) -> None:
    feeds = [{"x": X}, {"x": X, "v": np.float32([4, 5, 6])}]
    after = compiled(
        f"""{HEAD} main (float[2,3] x, float[3] v = {{1, 2, 3}}) => (float[2,3] y) <float[3] w = {{1, 2, 3}}> {{
            a = Mul(x, v)
            b = Mul(x, w)
            y = Div(a, b)
        }}""",
        tmp_path,
        feeds=feeds,
        reference=False,
        tolerance=REAL,
    )
    assert list(defaults(after)) == ["v"]


def test_equal_weights_one_of_which_is_an_output(tmp_path: Path) -> None:
    compiled(
        f"""{HEAD} main (float[n,3] x) => (float[n,3] y, float[3] v)
        <float[3] v = {{1, 2, 3}}, float[3] w = {{1, 2, 3}}> {{
            a = Mul(x, v)
            b = Sub(x, w)
            y = Mul(a, b)
        }}""",
        tmp_path,
        reference=False,
        tolerance=REAL,
    )


NEARLY = {
    "axes that stay and axes that go": (
        ("ReduceSum(x, axes)", "float[2,1]"),
        ("ReduceSum<keepdims = 0>(x, axes)", "float[2]"),
    ),
    "no axes that mean all, or none": (
        ("ReduceSum(x, empty)", "float[1,1]"),
        ("ReduceSum<noop_with_empty_axes = 1>(x, empty)", "float[2,n]"),
    ),
    "the first and the last of equals": (
        ("ArgMax<axis = 1>(x)", "int64[2,1]"),
        ("ArgMax<axis = 1, select_last_index = 1>(x)", "int64[2,1]"),
    ),
    "0 and -0 as what is divided by": (("Div(x, zero)", "float[2,n]"), ("Div(x, minus)", "float[2,n]")),
    "two slopes": (("LeakyRelu(x)", "float[2,n]"), ("LeakyRelu<alpha = 0.0101>(x)", "float[2,n]")),
    "from the first and from the second axis": (("Shape(x)", "int64[2]"), ("Shape<start = 1>(x)", "int64[1]")),
}


@pytest.mark.parametrize("case", NEARLY)
def test_what_is_nearly_equal_is_two_things(tmp_path: Path, case: str) -> None:
    (first, of_first), (second, of_second) = NEARLY[case]
    compiled(
        f"""{HEAD} main (float[2,n] x) => ({of_first} y, {of_second} z)
        <int64[1] axes = {{1}}, int64[0] empty = {{}}, float zero = {{0}}, float minus = {{-0.0}}> {{
            a = {first}
            b = {second}
            y = Neg(a)
            z = Neg(b)
        }}""",
        tmp_path,
        feeds=[{"x": np.float32([[2, 2, 1], [3, -2, 3]])}],
        reference=False,
    )


RANDOM = {
    "RandomNormalLike": "RandomNormalLike(x)",
    "RandomUniformLike": "RandomUniformLike(x)",
    "RandomNormal": "RandomNormal<shape = [2, 3]>()",
    "RandomUniform": "RandomUniform<shape = [2, 3]>()",
    "Bernoulli": "Bernoulli(p)",
    "Dropout in training": "Dropout(x, half, yes)",
}


@pytest.mark.parametrize("case", RANDOM)
def test_chance_is_no_function(tmp_path: Path, case: str) -> None:
    """Drawn as often as before, and not once for all: nothing to compare, so the nodes are counted."""
    operator = RANDOM[case].split("(")[0].split("<")[0]
    model = parsed(f"""{HEAD} main (float[2,3] x) => (float[2,3] y) <float half = {{0.5}}, bool yes = {{1}}> {{
        p = Sigmoid(x)
        a = {RANDOM[case]}
        b = {RANDOM[case]}
        d = Sub(a, b)
        y = Mul(d, p)
    }}""")
    onnx.save(model, tmp_path / "model.onnx")
    graphopt.compile(tmp_path / "model.onnx", tmp_path / "out", targets=(), check="none")
    after = onnx.load(tmp_path / "out" / "model.onnx")
    assert operators(after).count(operator) == 2


def test_a_decided_branch_with_names_of_the_graph_around_it_and_of_its_sibling(tmp_path: Path) -> None:
    """Names in bodies may be those of siblings: outside they would meet."""
    after = compiled(
        f"""{HEAD} main (float[n,3] x) => (float[n,3] y) <bool yes = {{1}}, bool no = {{0}}> {{
            a = If(yes) <then_branch = t () => (float[n,3] r) <float[3] w = {{1, 2, 3}}> {{ q = Mul(x, w) r = Exp(q) }},
                        else_branch = e () => (float[n,3] r) {{ r = Neg(x) }}>
            b = If(no) <then_branch = t2 () => (float[n,3] r) {{ r = Abs(x) }},
                       else_branch = e2 () => (float[n,3] r) <float[3] w = {{4, 5, 6}}> {{ q = Mul(a, w) r = Sin(q) }}>
            y = Sub(a, b)
        }}""",
        tmp_path,
        reference=False,
        tolerance=REAL,
    )
    assert operators(after) == ["Mul", "Exp", "Mul", "Sin", "Sub"]


def test_a_decided_branch_that_gives_several_outputs_of_the_graph(tmp_path: Path) -> None:
    after = compiled(
        f"""{HEAD} main (float[n,3] x) => (float[n,3] y, float[3] w, float[n,3] z)
        <bool yes = {{1}}, float[3] k = {{1, 2, 3}}> {{
            y, w, z = If(yes) <
                then_branch = t () => (float[n,3] a, float[3] b, float[n,3] c)
                    {{ a = Identity(x) b = Identity(k) c = Exp(x) }},
                else_branch = e () => (float[n,3] d, float[3] f, float[n,3] g)
                    {{ d = Neg(x) f = Neg(k) g = Neg(x) }}>
        }}""",
        tmp_path,
        reference=False,
    )
    assert "If" not in operators(after)


def test_a_condition_with_a_default_decides_nothing(tmp_path: Path) -> None:
    after = compiled(
        f"""{HEAD} main (float[2,3] x, bool c = {{1}}) => (float[2,3] y) {{
            y = If(c) <then_branch = t () => (float[2,3] p) {{ p = Neg(x) }},
                       else_branch = e () => (float[2,3] q) {{ q = Exp(x) }}>
        }}""",
        tmp_path,
        feeds=[{"x": X}, {"x": X, "c": np.array(False)}],
        reference=False,
    )
    assert operators(after) == ["If"]


def test_a_condition_that_folding_finds(tmp_path: Path) -> None:
    """Shape, Gather, Equal: what exporters write for the choice that a network makes by the rank of its input."""
    after = compiled(
        f"""{HEAD} main (float[n,3] x) => (float[n,3] y) <int64 one = {{1}}, int64 three = {{3}}> {{
            s = Shape(x)
            d = Gather(s, one)
            c = Equal(d, three)
            y = If(c) <then_branch = t () => (float[n,3] p) {{ p = Neg(x) }},
                       else_branch = e () => (float[n,3] q) {{ q = Exp(x) }}>
        }}""",
        tmp_path,
        reference=False,
    )
    assert operators(after) == ["Neg"]


def test_functions_that_hold_what_rules_look_for(tmp_path: Path) -> None:
    """A Conv outside and a BatchNormalization in a function meet once the function stands where it is called; so do
    equal calls."""
    after = compiled(
        """<ir_version: 8, opset_import: ["" : 17, "local" : 1]>
        main (float[1,1,2,2] x) => (float[1,2,2,2] y)
        <float[2,1,1,1] w = {2, 3}, float[2] s = {3, 1}, float[2] b = {4, 5},
         float[2] m = {1, -1}, float[2] v = {1, 2}> {
            a = Conv(x, w)
            c = local.norm<epsilon = 0.01>(a, s, b, m, v)
            r = local.twice(c)
            t = local.twice(c)
            y = Mul(r, t)
        }
        <opset_import: ["" : 17], domain: "local">
        norm <epsilon> (a, s, b, m, v) => (y) { y = BatchNormalization<epsilon : float = @epsilon>(a, s, b, m, v) }
        <opset_import: ["" : 17], domain: "local">
        twice (a) => (y) { y = Sin(a) }""",
        tmp_path,
        reference=False,
        tolerance=REAL,
    )
    assert operators(after) == ["Conv", "Sin", "Mul"]


def test_a_function_that_draws_is_called_as_often_as_before(tmp_path: Path) -> None:
    model = parsed("""<ir_version: 8, opset_import: ["" : 17, "local" : 1]>
        main (float[2,3] x) => (float[2,3] y) { a = local.draw(x) b = local.draw(x) y = Sub(a, b) }
        <opset_import: ["" : 17], domain: "local">
        draw (v) => (w) { w = RandomNormalLike(v) }""")
    onnx.save(model, tmp_path / "model.onnx")
    graphopt.compile(tmp_path / "model.onnx", tmp_path / "out", targets=(), check="none")
    assert operators(onnx.load(tmp_path / "out" / "model.onnx")) == ["RandomNormalLike", "RandomNormalLike", "Sub"]


def test_equal_statistics_in_training_stay_apart(tmp_path: Path) -> None:
    """ONNX Runtime writes the new statistics over the old ones, and whatever shares their place."""
    after = compiled(
        f"""{HEAD} main (float[2,2,3] x) => (float[2,2,3] y)
        <float[2] s = {{2, 3}}, float[2] b = {{2, 3}}, float[2] m = {{2, 3}}, float[2] v = {{2, 3}}> {{
            y, r, q = BatchNormalization<training_mode = 1>(x, s, b, m, v)
        }}""",
        tmp_path,
        reference=False,
        tolerance=REAL,
    )
    assert len(after.graph.initializer) == 4


@pytest.mark.parametrize("opset", [13, 18])
def test_slices_that_become_a_split_use_what_the_opset_has(tmp_path: Path, opset: int) -> None:
    compiled(
        f"""<ir_version: 8, opset_import: ["" : {opset}]> main (float[n,4] x) => (float[n,2] y)
        <int64[1] zero = {{0}}, int64[1] two = {{2}}, int64[1] four = {{4}}, int64[1] one = {{1}}> {{
            a = Slice(x, zero, two, one)
            b = Slice(x, two, four, one)
            y = Sub(a, b)
        }}""",
        tmp_path,
        reference=False,
    )


def test_dims_that_may_be_1_keep_their_expand(tmp_path: Path) -> None:
    """The caller may give one row or two: then Expand is what makes two of one."""
    feeds = [{"x": X[:1], "z": X[:rows]} for rows in (1, 2)]
    after = compiled(
        f"""{HEAD} main (float[1,3] x, float[n,3] z) => (float[2,3] y) <int64[2] s = {{2, 3}}> {{
            e = Expand(x, s)
            y = Add(e, z)
        }}""",
        tmp_path,
        feeds=feeds,
        reference=False,
    )
    assert operators(after) == ["Expand", "Add"]
