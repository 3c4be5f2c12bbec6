"""Passes that ship, as recipes have them: what they change, what they tell, and what they refuse."""

from __future__ import annotations

from pathlib import Path

import pytest

from graphopt.errors import RecipeError
from graphopt.pipeline.recipe import parse_recipe
from tests.pipeline.one_pass import BODY, HEAD, LOCAL, assert_described, described, run
from tests.traps.compiling import operators

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


# --- unpack-sequences ---


def test_what_reads_an_element_of_a_sequence_reads_the_tensor(tmp_path: Path) -> None:
    after, record = run(
        f"""{HEAD} main (float[4,n] x) => (float[2,n] y) <int64 two = {{2}}, int64 i = {{0}}, int64 j = {{1}}> {{
            s = SplitToSequence(x, two)
            a = SequenceAt(s, i)
            b = SequenceAt(s, j)
            y = Sub(b, a)
        }}""",
        tmp_path,
        "unpack-sequences",
    )
    assert (record.modified, record.contract, record.details) == (True, "exact", {"readers": 2})
    assert operators(after) == ["Split", "Sub"]


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


def test_what_is_written_beside_the_graph_survives_inlining(tmp_path: Path) -> None:
    text = f"""{LOCAL} main (float[n,3] x) => (float[n,3] y) {{ a = Neg(x) y = local.f(a) }}
        {BODY} f (v) => (w) {{ w = Exp(v) }}"""
    after, _ = run(described(text), tmp_path, "inline-functions")
    assert_described(after)
    assert [(m.key, m.value) for m in after.graph.node[0].metadata_props][:1] == [("line", "12")]
