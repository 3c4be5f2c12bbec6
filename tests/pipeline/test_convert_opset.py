"""The pass `convert-opset`, and the option that runs it before a recipe."""

from __future__ import annotations

import json
from pathlib import Path

import onnx
import pytest

import graphopt
from graphopt.errors import RewriteError
from tests.pipeline.command import here, save
from tests.pipeline.one_pass import BODY, HEAD, LOCAL, assert_described, described, run
from tests.traps.compiling import operators, parsed

GELU = """main (float[n,4] x) => (float[n,4] y) <float root = {1.4142135}, float one = {1}, float half = {0.5}> {
    a = Div(x, root)
    b = Erf(a)
    c = Add(b, one)
    d = Mul(x, c)
    y = Mul(d, half)
}"""


@pytest.mark.parametrize(("before", "after"), [(9, 13), (12, 13), (13, 17), (17, 14), (17, 23), (13, 26), (26, 17)])
def test_an_opset_up_and_down(tmp_path: Path, before: int, after: int) -> None:
    made, record = run(f'<ir_version: 8, opset_import: ["" : {before}]> {GELU}', tmp_path, "convert-opset", opset=after)
    assert (record.modified, record.contract, record.details) == (True, "real", {"from": before, "to": after})
    assert [(o.domain, o.version) for o in made.opset_import] == [("", after)]


def test_the_opset_that_it_has_is_no_change(tmp_path: Path) -> None:
    _, record = run(f"{HEAD} {GELU}", tmp_path, "convert-opset", opset=17)
    assert (record.modified, record.details) == (False, {"from": 17, "to": 17})


def test_attributes_become_inputs_in_bodies_as_well(tmp_path: Path) -> None:
    made, _ = run(
        """<ir_version: 8, opset_import: ["" : 11]>
        main (float[n,3] x, bool c) => (float[n,1] y) {
            s = ReduceSum<axes = [1]>(x)
            y = If(c) <then_branch = t () => (float[n,1] p) { p = ReduceSum<axes = [1]>(x) },
                       else_branch = e () => (float[n,1] q) { q = Neg(s) }>
        }""",
        tmp_path,
        "convert-opset",
        opset=13,
    )
    assert [n.op_type for n in made.graph.node if n.op_type != "Constant"] == ["ReduceSum", "If"]


@pytest.mark.parametrize("mode", ["nearest", "linear"])
@pytest.mark.parametrize("operator", ["Upsample", "Resize"])
def test_what_was_resized_before_there_was_a_choice(tmp_path: Path, operator: str, mode: str) -> None:
    run(
        f"""<ir_version: 8, opset_import: ["" : {9 if operator == "Upsample" else 10}]>
        main (float[1,1,3,3] x) => (float[1,1,5,7] y) <float[4] scales = {{1, 1, 1.7, 2.5}}> {{
            y = {operator}<mode = "{mode}">(x, scales)
        }}""",
        tmp_path,
        "convert-opset",
        opset=17,
    )


def test_a_default_that_a_caller_overrides_is_one_afterwards(tmp_path: Path) -> None:
    run(
        f"{HEAD} main (float[n,3] x, float[3] w = {{1, 2, 3}}) => (float[n,3] y) {{ y = Mul(x, w) }}",
        tmp_path,
        "convert-opset",
        opset=20,
    )


def test_what_is_written_beside_the_graph_survives_another_opset(tmp_path: Path) -> None:
    after, _ = run(
        described(f"{HEAD} main (float[n,3] x) => (float[n,3] y) {{ a = Neg(x) y = Exp(a) }}"),
        tmp_path,
        "convert-opset",
        opset=20,
    )
    assert_described(after)


NO_OPSET = "\n  help: opsets: 7 to 26"
REFUSED = {
    "too old": (f"{HEAD} {GELU}", 6, f"there is no opset 6 to convert to{NO_OPSET}"),
    "negative": (f"{HEAD} {GELU}", -1, f"there is no opset -1 to convert to{NO_OPSET}"),
    "not there yet": (f"{HEAD} {GELU}", 1000, f"there is no opset 1000 to convert to{NO_OPSET}"),
    "functions": (
        f"{LOCAL} main (float[n,3] x) => (float[n,3] y) {{ y = local.f(x) }} {BODY} f (v) => (w) {{ w = Exp(v) }}",
        20,
        "a model with functions of its own cannot be brought to another opset",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_an_opset_that_there_is_no_way_to(tmp_path: Path, case: str) -> None:
    model, opset, message = REFUSED[case]
    with pytest.raises(RewriteError) as error:
        run(model, tmp_path, "convert-opset", opset=opset)
    newest = onnx.defs.onnx_opset_version()
    assert str(error.value) == message.replace("7 to 26", f"7 to {newest}")
    assert not (tmp_path / "out").exists()


def test_an_operator_that_onnx_has_no_way_back_for(tmp_path: Path) -> None:
    with pytest.raises(RewriteError) as error:
        run(f"{HEAD} {GELU}", tmp_path, "convert-opset", opset=13)
    assert str(error.value) == (
        "onnx cannot convert the model from opset 17 to 13: No Adapter From Version $14 for Div\n"
        "  help: export the model at that opset, or keep the one that it has"
    )
    assert not (tmp_path / "out").exists()


def test_an_operator_that_the_opset_does_not_have(tmp_path: Path) -> None:
    text = f"""{HEAD} main (float[n,4] x) => (float[n,4] y) <float[4] w = {{1, 2, 3, 4}}> {{
        y = LayerNormalization(x, w)
    }}"""
    with pytest.raises(RewriteError) as error:
        run(text, tmp_path, "convert-opset", opset=16)
    assert str(error.value) == (
        "onnx cannot convert the model from opset 17 to 16: No Previous Version of LayerNormalization exists\n"
        "  help: export the model at that opset, or keep the one that it has"
    )
    assert not (tmp_path / "out").exists()


def test_operators_of_other_domains_pass_through(tmp_path: Path) -> None:
    """Nobody here can run it, so that nothing is compared."""
    model = parsed("""<ir_version: 8, opset_import: ["" : 17, "strange" : 3]>
        main (float[n,3] x) => (float[n,3] y) { a = Neg(x) b = strange.Thing<level = 3>(a, "") y = Relu(b) }""")
    result = graphopt.compile(save(model, tmp_path / "m.onnx"), tmp_path / "out", opset=20, targets=())
    after = onnx.load(tmp_path / "out" / "model.onnx")
    assert result.parity is None
    assert [n.op_type for n in after.graph.node] == ["Neg", "Thing", "Relu"]
    assert after.graph.node[1].attribute == model.graph.node[1].attribute
    assert sorted((o.domain, o.version) for o in after.opset_import) == [("", 20), ("strange", 3)]


# --- --opset ---


def test_the_option_opset_comes_before_the_recipe(tmp_path: Path) -> None:
    save(f"{HEAD} {GELU}", tmp_path / "model.onnx")
    kept = here("compile", "model.onnx", "-o", "kept", folder=tmp_path)
    assert (kept.code, kept.err) == (0, "")
    assert "Gelu" not in operators(onnx.load(tmp_path / "kept" / "model.onnx"))
    ended = here("compile", "model.onnx", "-o", "out", "--opset", "20", folder=tmp_path)
    assert (ended.code, ended.err) == (0, "")
    after = onnx.load(tmp_path / "out" / "model.onnx")
    assert (operators(after), after.opset_import[0].version) == (["Gelu"], 20)
    report = json.loads((tmp_path / "out" / "report.json").read_text())
    assert [p["name"] for p in report["passes"]][:3] == ["inline-functions", "convert-opset", "inline-functions"]


def test_functions_are_inlined_before_another_opset(tmp_path: Path) -> None:
    text = f"{LOCAL} main (float[n,3] x) => (float[n,3] y) {{ y = local.f(x) }} {BODY} f (v) => (w) {{ w = Exp(v) }}"
    save(text, tmp_path / "model.onnx")
    ended = here("compile", "model.onnx", "-o", "out", "--opset", "20", folder=tmp_path)
    assert (ended.code, ended.err) == (0, "")
    assert operators(onnx.load(tmp_path / "out" / "model.onnx")) == ["Exp"]


@pytest.mark.parametrize("opset", ["3", "1000"])
def test_an_option_opset_that_there_is_not(tmp_path: Path, opset: str) -> None:
    save(f"{HEAD} {GELU}", tmp_path / "model.onnx")
    ended = here("compile", "model.onnx", "-o", "out", "--opset", opset, folder=tmp_path)
    newest = onnx.defs.onnx_opset_version()
    assert ended.code == 2
    assert ended.err == f"error: there is no opset {opset} to convert to\n  help: opsets: 7 to {newest}\n"
    assert not (tmp_path / "out").exists()
