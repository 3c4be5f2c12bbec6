"""Names: fresh ones collide with nothing in any scope, given ones stay."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest

from graphopt.graph.load import from_proto
from graphopt.graph.save import to_proto
from graphopt.graph.validate import validate
from graphopt.passes.apply_rules import ApplyRules
from graphopt.rewrite.engine import Engine
from graphopt.rewrite.journal import Journal
from graphopt.rewrite.library import load_rules
from tests.traps.compiling import REAL, assert_same_outputs, compiled, made_feeds, operators, parsed

HEAD = '<ir_version: 8, opset_import: ["" : 17]>'

WEIGHTS = """<float[2,1,1,1] w = {2, 3},
    float[2] s = {3, 1}, float[2] b = {4, 5}, float[2] m = {1, -1}, float[2] v = {1, 2} MORE> {
        a = Conv(x, w)
        z = BatchNormalization(a, s, b, m, v)
    """


def with_conv_bn(header: str, more: str, body: str) -> onnx.ModelProto:
    return parsed(f"{header} {WEIGHTS.replace('MORE', more)} {body} }}")


@pytest.mark.parametrize("taken", ["z.w2", "z.b2"])
def test_a_fresh_name_spares_the_constant_that_a_body_captures(tmp_path: Path, taken: str) -> None:
    """The rule names its new weights after its output; both are taken by what the branches read from outside."""
    model = with_conv_bn(
        f"{HEAD} main (float[1,1,2,2] x, bool c) => (float[1,2,2,2] y)",
        f', float "{taken}" = {{100}}',
        f"""
        y = If(c) <
            then_branch = yes () => (float[1,2,2,2] p) {{ p = Add(z, "{taken}") }},
            else_branch = no () => (float[1,2,2,2] q) {{ q = Sub(z, "{taken}") }}
        >""",
    )
    after = compiled(model, tmp_path, tolerance=REAL)
    assert operators(after) == ["Conv", "If"]


def test_a_fresh_name_spares_what_a_body_defines(tmp_path: Path) -> None:
    model = with_conv_bn(
        f"{HEAD} main (float[1,1,2,2] x, bool c) => (float[1,2,2,2] y)",
        "",
        """
        y = If(c) <
            then_branch = yes () => (float[1,2,2,2] p)
                <float "z.w2" = {100}> { "z.b2" = Neg("z.w2") p = Add(z, "z.b2") },
            else_branch = no () => (float[1,2,2,2] q)
                <float "z.w2" = {200}> { "z.b2" = Neg("z.w2") q = Add(z, "z.b2") }
        >""",
    )
    after = compiled(model, tmp_path, tolerance=REAL)
    assert operators(after) == ["Conv", "If"]


def test_a_fresh_name_spares_what_a_function_uses(tmp_path: Path) -> None:
    model = parsed("""<ir_version: 8, opset_import: ["" : 17, "local" : 1]>
        main (float[1,1,2,2] x) => (float[1,2,2,2] y)
        <float[2,1,1,1] w = {2, 3},
         float[2] s = {3, 1}, float[2] b = {4, 5}, float[2] m = {1, -1}, float[2] v = {1, 2}> {
            a = Conv(x, w)
            z = BatchNormalization(a, s, b, m, v)
            y = local.twice(z)
        }
        <opset_import: ["" : 17], domain: "local">
        twice ("z.w2") => ("z.b2") { "z.b2" = Add("z.w2", "z.w2") }""")
    assert operators(compiled(model, tmp_path, tolerance=REAL)) == ["Conv", "Add"]
    after = compiled(model, tmp_path, tolerance=REAL, recipe=[ApplyRules(("fold",))])
    assert operators(after) == ["Conv", "twice"]
    assert [f.SerializeToString() for f in after.functions] == [f.SerializeToString() for f in model.functions]


def test_numbers_as_names_are_as_good_as_any(tmp_path: Path) -> None:
    model = parsed(f"""{HEAD}
        main (float[1,1,2,2] "0") => (float[1,2,2,2] "7")
        <float[2,1,1,1] "1" = {{2, 3}}, float[2] "2" = {{3, 1}}, float[2] "3" = {{4, 5}}, float[2] "4" = {{1, -1}},
         float[2] "5" = {{1, 2}}> {{
            "6" = Conv("0", "1")
            "8" = BatchNormalization("6", "2", "3", "4", "5")
            "9" = Identity("8")
            "7" = Relu("9")
        }}""")
    after = compiled(model, tmp_path, tolerance=REAL)
    assert operators(after) == ["Conv", "Relu"]


def test_unnamed_nodes_stay_unnamed(tmp_path: Path) -> None:
    after = compiled(
        f"{HEAD} main (float[n,3] x) => (float[n,3] y) {{ a = Identity(x) b = Neg(a) y = Relu(b) }}", tmp_path
    )
    assert [n.name for n in after.graph.node] == ["", ""]


def test_two_nodes_of_one_name_are_compiled_though_onnxruntime_objects(tmp_path: Path) -> None:
    model = parsed(f"""{HEAD}
        main (float[n,3] x) => (float[n,3] y) {{
            [twin] a = Identity(x)
            [twin] b = Neg(a)
            [twin] y = Relu(b)
        }}""")
    onnx.save(model, tmp_path / "model.onnx")
    loaded = from_proto(model)
    Engine(load_rules(), loaded, {}).run(Journal(), "test")
    validate(loaded)
    after = to_proto(loaded)
    assert [n.name for n in after.graph.node] == ["twin", "twin"]
    for proto in (model, after):
        for number, node in enumerate(proto.graph.node):
            node.name = f"{number}"
    assert_same_outputs(model, after, made_feeds(model))


def test_a_value_and_a_node_may_share_a_name(tmp_path: Path) -> None:
    after = compiled(
        f"""{HEAD}
        main (float[n,3] x) => (float[n,3] y) {{
            [b] a = Transpose(x)
            [a] b = Transpose(a)
            [x] y = Relu(b)
        }}""",
        tmp_path,
    )
    assert operators(after) == ["Relu"]


def test_siblings_may_use_the_same_names(tmp_path: Path) -> None:
    """Names of one branch are free in the other; constants that are computed in both take the place of their own."""
    after = compiled(
        f"""{HEAD}
        main (float[2] x, bool c) => (float[2] y) {{
            y = If(c) <
                then_branch = yes () => (float[2] p) {{
                    k = Constant<value = float[2] {{1, 2}}>() l = Neg(k) m = Identity(l) p = Add(x, m) }},
                else_branch = no () => (float[2] p) {{
                    k = Constant<value = float[2] {{3, 4}}>() l = Abs(k) m = Identity(l) p = Add(x, m) }}
            >
        }}""",
        tmp_path,
        feeds=[{"x": np.float32([5, 6]), "c": np.array(c)} for c in (True, False)],
    )
    bodies = [a.g for a in after.graph.node[0].attribute]
    bodies = [a.g for a in after.graph.node[0].attribute]
    assert [[n.op_type for n in body.node] for body in bodies] == [["Add"], ["Add"]]
