"""Bodies of If, Loop and Scan: what they capture, return and hold; and functions of the model."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest

from graphopt.passes.apply_rules import ApplyRules
from graphopt.passes.eliminate_common_subexpressions import EliminateCommonSubexpressions
from tests.traps.compiling import REAL, compiled, operators, parsed
from tests.traps.oracles import Arrays

HEAD = '<ir_version: 8, opset_import: ["" : 17]>'

X = np.float32([[1, -2, 3], [4, 5, -6]])


def both_ways(**more: object) -> list[Arrays]:
    return [{"x": X, "c": np.array(c), **more} for c in (True, False)]


def bodies(model: onnx.ModelProto, operator: str) -> list[list[str]]:
    """Operators of the bodies of the first such node."""
    node = next(n for n in model.graph.node if n.op_type == operator)
    return [[n.op_type for n in a.g.node] for a in node.attribute if a.HasField("g")]


BRANCHES = {
    "an initializer of its own": ("p = Identity(k)", "float[2,3] k = {1,2,3,4,5,6}"),
    "a value from outside": ("p = Identity(a)", ""),
    "a weight from outside": ("p = Identity(w)", ""),
    "an input of the model": ("p = Identity(x)", ""),
    "a constant": ("p = Constant<value = float[2,3] {1,2,3,4,5,6}>()", ""),
    "a computed constant": ("q = Neg(w) p = Neg(q)", ""),
}


@pytest.mark.parametrize("condition", ["the caller's", "true", "false"])
@pytest.mark.parametrize("case", BRANCHES)
def test_what_a_branch_returns(tmp_path: Path, case: str, condition: str) -> None:
    nodes, weight = BRANCHES[case]
    own = f"<{weight}>" if weight else ""
    flag = "" if condition == "the caller's" else f", bool c = {{{int(condition == 'true')}}}"
    after = compiled(
        f"""{HEAD}
        main (float[2,3] x{", bool c" if not flag else ""}) => (float[2,3] y)
        <float[2,3] w = {{6, 5, 4, 3, 2, 1}}{flag}> {{
            a = Relu(x)
            d = Identity(c)
            y = If(d) <
                then_branch = yes () => (float[2,3] p) {own} {{ {nodes} }},
                else_branch = no () => (float[2,3] p) {{ p = Sub(a, w) }}
            >
        }}""",
        tmp_path,
        feeds=both_ways() if not flag else [{"x": X}],
    )
    assert ("If" in operators(after)) == (condition == "the caller's")


def test_an_if_of_several_outputs_some_of_them_unread(tmp_path: Path) -> None:
    compiled(
        f"""{HEAD}
        main (float[2,3] x, bool c) => (float[2,3] y, float[2,3] z) <float[2,3] w = {{6, 5, 4, 3, 2, 1}}> {{
            y, unread, z = If(c) <
                then_branch = yes () => (float[2,3] p, float[2,3] q, float[2,3] r) {{
                    p = Identity(w) q = Neg(x) r = Neg(p) }},
                else_branch = no () => (float[2,3] p, float[2,3] q, float[2,3] r) {{
                    q = Identity(x) p = Identity(q) r = Identity(q) }}
            >
        }}""",
        tmp_path,
        feeds=both_ways(),
    )


def test_what_a_body_captures_is_read(tmp_path: Path) -> None:
    """The Conv's own output is read by a branch alone: BatchNormalization must not take it away."""
    after = compiled(
        f"""{HEAD}
        main (float[1,1,2,2] x, bool c) => (float[1,2,2,2] y)
        <float[2,1,1,1] w = {{2, 3}}, float[2] s = {{3, 1}}, float[2] b = {{4, 5}}, float[2] m = {{1, -1}},
         float[2] v = {{1, 2}}> {{
            a = Conv(x, w)
            n = BatchNormalization(a, s, b, m, v)
            y = If(c) <
                then_branch = yes () => (float[1,2,2,2] p) {{ p = Sub(n, a) }},
                else_branch = no () => (float[1,2,2,2] p) {{ p = Add(n, n) }}
            >
        }}""",
        tmp_path,
        tolerance=REAL,
    )
    assert operators(after) == ["Conv", "BatchNormalization", "If"]


def test_rules_work_inside_bodies_with_weights_from_outside(tmp_path: Path) -> None:
    after = compiled(
        f"""{HEAD}
        main (float[1,1,2,2] x, bool c) => (float[1,2,2,2] y, float[2] shown)
        <float[2,1,1,1] w = {{2, 3}}, float[2] s = {{3, 1}}, float[2] b = {{4, 5}}, float[2] m = {{1, -1}},
         float[2] v = {{1, 2}}> {{
            shown = Neg(s)
            y = If(c) <
                then_branch = yes () => (float[1,2,2,2] p) {{
                    a = Conv(x, w) n = BatchNormalization(a, s, b, m, v) i = Identity(n) p = Relu(i) }},
                else_branch = no () => (float[1,2,2,2] p) {{ a = Conv(x, w) p = Identity(a) }}
            >
        }}""",
        tmp_path,
        tolerance=REAL,
    )
    assert bodies(after, "If") == [["Conv", "Relu"], ["Conv"]]


def test_a_conv_outside_and_its_batch_normalization_inside_do_not_meet(tmp_path: Path) -> None:
    after = compiled(
        f"""{HEAD}
        main (float[1,1,2,2] x, bool c) => (float[1,2,2,2] y)
        <float[2,1,1,1] w = {{2, 3}}, float[2] s = {{3, 1}}, float[2] b = {{4, 5}}, float[2] m = {{1, -1}},
         float[2] v = {{1, 2}}> {{
            a = Conv(x, w)
            y = If(c) <
                then_branch = yes () => (float[1,2,2,2] p) {{ p = BatchNormalization(a, s, b, m, v) }},
                else_branch = no () => (float[1,2,2,2] p) {{ p = Identity(a) }}
            >
        }}""",
        tmp_path,
        tolerance=REAL,
    )
    assert operators(after) == ["Conv", "If"]


def test_captures_through_two_bodies(tmp_path: Path) -> None:
    compiled(
        f"""{HEAD}
        main (float[2,3] x, bool c) => (float[2,3] y) <float[3] w = {{1, 2, 3}}> {{
            i = Identity(w)
            k = Neg(i)
            y = If(c) <
                then_branch = yes () => (float[2,3] p) {{
                    j = Identity(k)
                    p = If(c) <
                        then_branch = deep () => (float[2,3] q) {{ l = Identity(j) q = Add(x, l) }},
                        else_branch = other () => (float[2,3] q) {{ q = Sub(x, j) }}
                    >
                }},
                else_branch = no () => (float[2,3] p) {{ p = Identity(x) }}
            >
        }}""",
        tmp_path,
        feeds=both_ways(),
    )


LOOP = f"""{HEAD}
main (int64 trips, bool go, float[2,3] x) => (float[2,3] y, float[n,2,3] all) <float[3] w = {{1, 2, 3}}> {{
    k = Neg(w)
    y, all = Loop(trips, go, x) <
        body = step (int64 i, bool on, float[2,3] s) => (bool still, float[2,3] t, float[2,3] seen) {{
            still = Identity(on)
            a = Add(s, k)
            t = Identity(a)
            seen = Identity(s)
        }}
    >
}}"""


@pytest.mark.parametrize("trips", [0, 1, 3])
@pytest.mark.parametrize("go", [True, False])
def test_a_loop_of_any_number_of_trips(tmp_path: Path, trips: int, go: bool) -> None:
    """ONNX Runtime alone: the evaluator concatenates what is to be stacked."""
    after = compiled(LOOP, tmp_path, feeds=[{"x": X, "trips": np.array(trips), "go": np.array(go)}], reference=False)
    assert operators(after) == ["Loop"]


@pytest.mark.parametrize("trips", [0, 2])
def test_a_loop_of_a_constant_number_of_trips(tmp_path: Path, trips: int) -> None:
    compiled(
        LOOP.replace("int64 trips, bool go, ", "").replace(
            "<float", f"<int64 trips = {{{trips}}}, bool go = {{1}}, float", 1
        ),
        tmp_path,
        feeds=[{"x": X}],
        reference=False,
    )


def test_a_state_that_grows_has_no_fixed_shape(tmp_path: Path) -> None:
    """Each trip doubles the state: what its shape is before the loop says nothing about it inside."""
    compiled(
        f"""{HEAD}
        main (int64 trips, float[2] x) => (float[n] y, int64[1] size) <bool go = {{1}}> {{
            y, size = Loop(trips, go, x, one) <
                body = step (int64 i, bool on, float[k] s, int64[1] old) => (bool still, float[m] t, int64[1] new) {{
                    still = Identity(on)
                    t = Concat<axis = 0>(s, s)
                    new = Shape(s)
                }}
            >
            one = Constant<value_ints = [1]>()
        }}""".replace("            one = Constant<value_ints = [1]>()\n", "").replace(
            "y, size = Loop", "one = Constant<value_ints = [1]>()\n            y, size = Loop"
        ),
        tmp_path,
        feeds=[{"x": np.float32([1, 2]), "trips": np.array(t)} for t in (0, 1, 3)],
    )


def test_a_scan(tmp_path: Path) -> None:
    compiled(
        f"""{HEAD}
        main (float[3] start, float[n,3] x) => (float[3] y, float[n,3] sums) <float[3] w = {{1, 2, 3}}> {{
            k = Neg(w)
            y, sums = Scan<num_scan_inputs = 1, body = step (float[3] s, float[3] e) => (float[3] t, float[3] o) {{
                a = Add(s, e)
                b = Mul(a, k)
                t = Identity(b)
                o = Identity(b)
            }}>(start, x)
        }}""",
        tmp_path,
        tolerance=REAL,
    )


def test_random_numbers_in_a_body_are_drawn_at_each_trip(tmp_path: Path) -> None:
    model = parsed(f"""{HEAD}
        main (float[4] x) => (float[4] y) <int64 trips = {{3}}, bool go = {{1}}> {{
            y = Loop(trips, go, x) <
                body = step (int64 i, bool on, float[4] s) => (bool still, float[4] t) {{
                    still = Identity(on)
                    r = RandomNormal<shape = [4]>()
                    t = Add(s, r)
                }}
            >
        }}""")
    after = compiled(model, tmp_path, feeds=[])
    assert bodies(after, "Loop") == [["Identity", "RandomNormal", "Add"]]


def test_bodies_of_functions_stand_where_they_are_called(tmp_path: Path) -> None:
    model = parsed("""<ir_version: 8, opset_import: ["" : 17, "local" : 1]>
        main (float[n,3] x) => (float[n,3] y) <float[3] w = {1, 2, 3}> {
            a = Identity(x)
            k = local.shifted<by = 2.0>(w)
            y = local.shifted<by = 1.0>(a)
        }
        <opset_import: ["" : 17], domain: "local">
        shifted<by>(v) => (s) {
            d = Constant<value_float : float = @by>()
            i = Identity(v)
            s = Add(i, d)
        }""")
    after = compiled(model, tmp_path)
    assert operators(after) == ["Add"]
    assert not after.functions
    assert [(o.domain, o.version) for o in after.opset_import if not o.domain] == [("", 17)]


def test_a_function_that_is_named_like_an_operator_is_not_one(tmp_path: Path) -> None:
    model = parsed("""<ir_version: 8, opset_import: ["" : 17, "local" : 1]>
        main (float[n,3] x) => (float[n,3] y) <float[3] w = {1, 2, 3}> {
            a = local.Identity(x)
            y = local.Transpose(a)
        }
        <opset_import: ["" : 17], domain: "local">
        Identity (v) => (s) { s = Neg(v) }
        <opset_import: ["" : 17], domain: "local">
        Transpose (v) => (s) { s = Exp(v) }""")
    after = compiled(model, tmp_path)
    assert operators(after) == ["Neg", "Exp"]
    kept = compiled(model, tmp_path, recipe=[ApplyRules(("simplify",)), EliminateCommonSubexpressions()])
    assert [n.op_type for n in kept.graph.node] == ["Identity", "Transpose"]


def test_a_custom_operator_stays_with_all_that_it_reads(tmp_path: Path) -> None:
    """Nobody here can run it: it is carried through, with its attributes, and parity is not claimed."""
    import graphopt

    model = parsed("""<ir_version: 8, opset_import: ["" : 17, "strange" : 3]>
        main (float[n,3] x) => (float[n,3] y) <float[3] w = {1, 2, 3}> {
            a = Identity(x)
            k = Neg(w)
            b = strange.Thing<mode = "odd", level = 3>(a, "", k)
            y = Relu(b)
        }""")
    onnx.save(model, tmp_path / "model.onnx")
    result = graphopt.compile(tmp_path / "model.onnx", tmp_path / "out", targets=())
    assert result.parity is None
    assert result.parity_skipped is not None
    after = onnx.load(tmp_path / "out" / "model.onnx")
    assert [n.op_type for n in after.graph.node] == ["Thing", "Relu"]
    assert after.graph.node[0].input[:] == ["x", "", "k"]
    assert after.graph.node[0].attribute == model.graph.node[2].attribute
    assert {(o.domain, o.version) for o in after.opset_import} == {("", 17), ("strange", 3)}
