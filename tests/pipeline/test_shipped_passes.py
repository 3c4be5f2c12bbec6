"""Passes that ship, as recipes have them: what they change, what they tell, and what they refuse."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import onnx
import pytest

import graphopt
from graphopt.errors import RecipeError, RewriteError
from graphopt.pipeline.recipe import parse_recipe
from tests.pipeline.command import here, save
from tests.traps.compiling import REAL, assert_same_interface, assert_same_outputs, made_feeds, operators, parsed

HEAD = '<ir_version: 8, opset_import: ["" : 17]>'
LOCAL = '<ir_version: 8, opset_import: ["" : 17, "local" : 1]>'
BODY = '<opset_import: ["" : 17], domain: "local">'


def run(model: onnx.ModelProto | str, folder: Path, name: str, **options: Any) -> tuple[onnx.ModelProto, Any]:
    """What one pass of a recipe makes of a model, which computes the same, and the record of that pass."""
    proto = parsed(model) if isinstance(model, str) else model
    source = save(proto, folder / "source.onnx")
    lines = [f"{key} = {json.dumps(value)}" for key, value in options.items()]
    recipe = parse_recipe("\n".join(["[[pass]]", f'use = "{name}"', *lines]), "one", "one.toml")
    result = graphopt.compile(source, folder / "out", recipe=recipe)
    after = onnx.load(folder / "out" / "model.onnx")
    assert_same_interface(proto, after)
    for seed in (1, 2):
        assert_same_outputs(proto, after, made_feeds(proto, seed), reference=False, tolerance=REAL)
    return after, result.passes[0]


WRONG = {
    "no opset": ('use = "convert-opset"', "the option opset of the pass convert-opset: Field required"),
    "a text": (
        'use = "convert-opset"\nopset = "x"',
        "the option opset of the pass convert-opset: Input should be a valid integer",
    ),
    "a fraction": (
        'use = "convert-opset"\nopset = 17.5',
        "the option opset of the pass convert-opset: Input should be a valid integer",
    ),
    "a truth": (
        'use = "convert-opset"\nopset = true',
        "the option opset of the pass convert-opset: Input should be a valid integer",
    ),
    "an option of inlining": (
        'use = "inline-functions"\nopset = 17',
        "the pass inline-functions has no option 'opset'",
    ),
    "an option of branches": (
        'use = "inline-branches"\ndeep = true',
        "the pass inline-branches has no option 'deep'",
    ),
    "an option of merging": (
        'use = "eliminate-common-subexpressions"\nweights = false',
        "the pass eliminate-common-subexpressions has no option 'weights'",
    ),
    "nearly a name": ('use = "inline-function"', "there is no pass 'inline-function'"),
}


@pytest.mark.parametrize("case", WRONG)
def test_options_that_are_wrong(case: str) -> None:
    text, message = WRONG[case]
    with pytest.raises(RecipeError) as error:
        parse_recipe(f"[[pass]]\n{text}", "r", "r.toml")
    hints = {
        "has no option": "\n  help: it has no options",
        "there is no": "\n  help: did you mean 'inline-functions'?",
    }
    hint = next((h for part, h in hints.items() if part in message), "")
    assert str(error.value) == f"{message}\n  at: r.toml, pass 1{hint}"


# --- eliminate-common-subexpressions, inline-branches ---


def test_what_is_equal_is_computed_and_kept_once(tmp_path: Path) -> None:
    after, record = run(
        f"""{HEAD} main (float[n,3] x) => (float[n,3] y) <float[3] v = {{1, 2, 3}}, float[3] w = {{1, 2, 3}}> {{
            a = Mul(x, v)
            b = Mul(w, x)
            y = Sub(a, b)
        }}""",
        tmp_path,
        "eliminate-common-subexpressions",
    )
    assert (record.modified, record.contract, record.details) == (True, "exact", {"nodes": 1, "initializers": 1})
    assert operators(after) == ["Mul", "Sub"]
    assert len(after.graph.initializer) == 1


def test_what_differs_is_left_alone(tmp_path: Path) -> None:
    after, record = run(
        f"{HEAD} main (float[n,3] x) => (float[n,3] y) {{ a = Neg(x) b = Abs(x) y = Sub(a, b) }}",
        tmp_path,
        "eliminate-common-subexpressions",
    )
    assert (record.modified, record.details) == (False, {"nodes": 0, "initializers": 0})
    assert operators(after) == ["Neg", "Abs", "Sub"]


def test_the_branch_that_is_taken_stands_in_place_of_the_if(tmp_path: Path) -> None:
    after, record = run(
        f"""{HEAD} main (float[n,3] x, bool d) => (float[n,3] y) <bool c = {{0}}> {{
            a = If(c) <then_branch = t () => (float[n,3] p) {{ p = Neg(x) }},
                       else_branch = e () => (float[n,3] q) {{ q = Exp(x) }}>
            y = If(d) <then_branch = t2 () => (float[n,3] r) {{ r = Abs(a) }},
                       else_branch = e2 () => (float[n,3] s) {{ s = Sin(a) }}>
        }}""",
        tmp_path,
        "inline-branches",
    )
    assert (record.modified, record.contract, record.details) == (True, "exact", {"branches": 1})
    assert operators(after) == ["Exp", "If"]


# --- inline-functions ---

FUNCTIONS = {
    "one that is called twice": (
        "a = local.f(x) y = local.f(a)",
        f"{BODY} f (v) => (w) {{ w = Neg(v) }}",
        2,
        ["Neg", "Neg"],
    ),
    "one that calls another": (
        "y = local.f(x)",
        f"{BODY} g (v) => (w) {{ w = Exp(v) }} "
        '<opset_import: ["" : 17, "local" : 1], domain: "local"> f (v) => (w) { u = local.g(v) w = local.g(u) }',
        1,
        ["Exp", "Exp"],
    ),
    "an attribute that is given": (
        "y = local.f<alpha = 0.3>(x)",
        f"{BODY} f <alpha> (v) => (w) {{ w = LeakyRelu <alpha : float = @alpha>(v) }}",
        1,
        ["LeakyRelu"],
    ),
    "an attribute that has a default": (
        "y = local.f(x)",
        f"{BODY} f <alpha : float = 0.7> (v) => (w) {{ w = LeakyRelu <alpha : float = @alpha>(v) }}",
        1,
        ["LeakyRelu"],
    ),
    "an attribute that is left out, so that the operator's default counts": (
        "y = local.f(x)",
        f"{BODY} f <alpha> (v) => (w) {{ w = LeakyRelu <alpha : float = @alpha>(v) }}",
        1,
        ["LeakyRelu"],
    ),
    "an attribute that has a default, through another function": (
        "y = local.g(x)",
        f"{BODY} f <alpha : float = 0.7> (v) => (w) {{ w = LeakyRelu <alpha : float = @alpha>(v) }} "
        '<opset_import: ["" : 17, "local" : 1], domain: "local"> g <beta : float = 0.5> (v) => (w) '
        "{ u = local.f<alpha : float = @beta>(v) w = local.f(u) }",
        1,
        ["LeakyRelu", "LeakyRelu"],
    ),
    "names that the model has as well": (
        "w = Abs(x) v = local.f(w) y = Sub(w, v)",
        f"{BODY} f (x) => (v) {{ w = Neg(x) v = Sin(w) }}",
        1,
        ["Abs", "Neg", "Sin", "Sub"],
    ),
    "an input that is left out": (
        'y = local.f(x, "")',
        f"{BODY} f (v, low) => (w) {{ w = Clip(v, low) }}",
        1,
        ["Clip"],
    ),
    "an input of which the body makes nothing else": (
        "y = local.f(x)",
        f"{BODY} f (v) => (w) {{ w = Identity(v) }}",
        1,
        ["Identity"],
    ),
}


@pytest.mark.parametrize("case", FUNCTIONS)
def test_functions_stand_where_they_are_called(tmp_path: Path, case: str) -> None:
    nodes, functions, calls, left = FUNCTIONS[case]
    after, record = run(
        f"{LOCAL} main (float[n,3] x) => (float[n,3] y) {{ {nodes} }} {functions}", tmp_path, "inline-functions"
    )
    assert (record.modified, record.contract, record.details) == (True, "exact", {"calls": calls})
    assert operators(after) == left
    assert not after.functions


def test_a_function_that_nobody_calls_goes(tmp_path: Path) -> None:
    after, record = run(
        f"{LOCAL} main (float[n,3] x) => (float[n,3] y) {{ y = Neg(x) }} {BODY} f (v) => (w) {{ w = Exp(v) }}",
        tmp_path,
        "inline-functions",
    )
    assert (record.modified, record.details) == (True, {"calls": 0})
    assert not after.functions


def test_a_model_without_functions_stays_as_it_is(tmp_path: Path) -> None:
    _, record = run(f"{HEAD} main (float[n,3] x) => (float[n,3] y) {{ y = Neg(x) }}", tmp_path, "inline-functions")
    assert (record.modified, record.details) == (False, {"calls": 0})


def test_functions_that_bodies_call_and_functions_with_bodies(tmp_path: Path) -> None:
    after, record = run(
        f"""{LOCAL} main (float[n,3] x, bool c) => (float[n,3] y) <float[3] w = {{1, 2, 3}}> {{
            a = local.choose(x, c)
            y = If(c) <then_branch = t () => (float[n,3] p) {{ q = local.f(a) p = Mul(q, w) }},
                       else_branch = e () => (float[n,3] r) {{ r = local.f(x) }}>
        }}
        {BODY} f <alpha : float = 0.7> (v) => (w) {{ w = LeakyRelu<alpha : float = @alpha>(v) }}
        <opset_import: ["" : 17, "local" : 1], domain: "local">
        choose (v, c) => (w) {{
            u = Neg(v)
            w = If(c) <then_branch = t () => (p) {{ p = local.f(u) }}, else_branch = e () => (q) {{ q = Abs(u) }}>
        }}""",
        tmp_path,
        "inline-functions",
    )
    assert record.details == {"calls": 3}
    assert operators(after) == ["Neg", "If", "If"]
    inner = [[n.op_type for n in a.g.node] for node in after.graph.node for a in node.attribute]
    assert inner == [["LeakyRelu"], ["Abs"], ["LeakyRelu", "Mul"], ["LeakyRelu"]]


def described(text: str) -> onnx.ModelProto:
    """A model with all that is written beside a graph."""
    model = parsed(text)
    model.producer_name, model.producer_version, model.doc_string = "somebody", "1.2", "a model"
    model.domain, model.model_version = "of.somebody", 3
    model.metadata_props.add(key="licence", value="free")
    model.graph.doc_string = "a graph"
    model.graph.node[0].doc_string = "a node"
    model.graph.node[0].name = "first"
    model.graph.node[0].metadata_props.add(key="line", value="12")
    return model


def assert_described(after: onnx.ModelProto) -> None:
    assert (after.producer_name, after.producer_version, after.doc_string) == ("somebody", "1.2", "a model")
    assert (after.domain, after.model_version) == ("of.somebody", 3)
    assert ("licence", "free") in [(m.key, m.value) for m in after.metadata_props]
    assert after.graph.doc_string == "a graph"
    assert (after.graph.node[0].name, after.graph.node[0].doc_string) == ("first", "a node")


def test_what_is_written_beside_the_graph_survives_inlining(tmp_path: Path) -> None:
    text = f"""{LOCAL} main (float[n,3] x) => (float[n,3] y) {{ a = Neg(x) y = local.f(a) }}
        {BODY} f (v) => (w) {{ w = Exp(v) }}"""
    after, _ = run(described(text), tmp_path, "inline-functions")
    assert_described(after)
    assert [(m.key, m.value) for m in after.graph.node[0].metadata_props][:1] == [("line", "12")]


# --- convert-opset ---

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
