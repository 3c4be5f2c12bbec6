"""Sequences whose elements are known: what reads an element reads the tensor."""

from __future__ import annotations

from collections import Counter

import onnx
import pytest

from graphopt.graph.load import from_proto
from graphopt.graph.save import to_proto
from graphopt.graph.validate import interface_of_model, validate
from graphopt.rewrite.sequences import unpack_sequences
from graphopt.testing.cases import model_of
from graphopt.testing.weights import samples
from tests.rules.oracle import assert_same_results


def unpack(graph: str, opset: int = 17) -> tuple[int, dict[str, int], onnx.ModelProto]:
    """How many readers there were, and the operators that are left, which compute the same bits."""
    proto = model_of(graph, opset)
    model = from_proto(proto)
    interface = interface_of_model(model)
    count = unpack_sequences(model)
    validate(model, interface)
    after = to_proto(model)
    onnx.checker.check_model(after, full_check=True)
    assert_same_results(proto, after, samples(proto), "exact")
    return count, dict(Counter(n.op_type for n in after.graph.node if n.op_type != "Constant")), after


def split(sizes: str, nodes: str, signature: str = "(float[7,2] x) => (float[n,2] z)", axis: str = "") -> str:
    return f"""{signature}
    <int64{"" if sizes.isdigit() else "[2]"} sizes = {{{sizes}}}, int64 i = {{0}}, int64 j = {{1}}, int64 k = {{-1}}>
    {{ s = SplitToSequence {axis} (x, sizes) {nodes} }}"""


@pytest.mark.parametrize("opset", [11, 13, 17, 18, 21])
@pytest.mark.parametrize(
    ("sizes", "parts"), [("3, 4", [3, 4]), ("4", [4, 3]), ("3", [3, 3, 1]), ("7", [7]), ("9", [7]), ("0, 7", [0, 7])]
)
def test_a_split(sizes: str, parts: list[int], opset: int):
    count, left, after = unpack(
        split(sizes, "a = SequenceAt (s, i) b = SequenceAt (s, k) z = Concat <axis = 0> (b, a)"), opset
    )
    assert (count, left) == (2, {"Split": 1, "Concat": 1})
    node = next(n for n in after.graph.node if n.op_type == "Split")
    assert len(node.output) == len(parts)
    stated = [list(a.ints) for a in node.attribute if a.name == "split"]
    given = [onnx.numpy_helper.to_array(t).tolist() for t in after.graph.initializer if t.name in node.input]
    assert (stated or given) == [parts]


def test_parts_of_one_each():
    graph = """(float[2,3] x) => (float[2,1] z) <int64 j = {1}>
    { s = SplitToSequence <axis = -1> (x) z = SequenceAt (s, j) }"""
    count, left, after = unpack(graph)
    assert (count, left, [o.name for o in after.graph.output]) == (1, {"Split": 1, "Identity": 1}, ["z"])


STAYS = {
    "a part that is not known": split(
        "3, 4", "z = SequenceAt (s, p)", "(float[7,2] x, int64 p) => (float[n,2] z)"
    ).replace("z = SequenceAt (s, p)", "q = Mul (p, i) z = SequenceAt (s, q)"),
    "a size that is not known": """(float[7,2] x, int64 p) => (float[n,2] z) <int64 i = {0}, int64 o = {3}>
        { q = Mul (p, i) m = Add (q, o) s = SplitToSequence (x, m) z = SequenceAt (s, i) }""",
    "parts of a dynamic dim": split("3", "z = SequenceAt (s, i)", "(float[N,2] x) => (float[n,2] z)"),
    "parts that lose the axis": """(float[2,3] x) => (float[2] z) <int64 j = {1}>
        { s = SplitToSequence <axis = 1, keepdims = 0> (x) z = SequenceAt (s, j) }""",
    "a new axis": split(
        "3", "z = ConcatFromSequence <axis = 0, new_axis = 1> (s)", "(float[6,2] x) => (float[2,3,2] z)"
    ),
    "a reader of the whole": split(
        "3",
        """a = SequenceAt (s, i) t = SequenceInsert (s, a) l = SequenceLength (t) f = Cast <to = 1> (l)
        z = Add (a, f)""",
    ),
}


@pytest.mark.parametrize("case", STAYS)
def test_a_split_that_stays(case: str):
    assert unpack(STAYS[case])[0] == 0


def test_a_split_in_a_body():
    graph = """(float[4,2] x, bool c) => (float[2,2] z) <int64 two = {2}, int64 i = {0}, int64 j = {1}>
    {
        s = SplitToSequence (x, two)
        z = If (c) < then_branch = yes () => (float[2,2] p) { a = SequenceAt (s, i) p = Neg (a) },
                     else_branch = no () => (float[2,2] q) { q = SequenceAt (s, j) } >
    }"""
    count, left, _ = unpack(graph)
    assert (count, left) == (2, {"Split": 1, "If": 1})


@pytest.mark.parametrize(
    ("nodes", "left"),
    [
        ("s = SequenceConstruct (x, v) a = SequenceAt (s, j) z = Sub (a, x)", {"Sub": 1}),
        (
            "s = SequenceConstruct (x, v) t = SequenceInsert (s, u) a = SequenceAt (t, k) z = Sub (a, x)",
            {"Abs": 1, "Sub": 1},
        ),
        ("s = SequenceConstruct (x, v) t = SequenceInsert (s, u, i) a = SequenceAt (t, j) z = Sub (a, v)", {"Sub": 1}),
        (
            "s = SequenceConstruct (x, v) t = SequenceInsert (s, u, k) a = SequenceAt (t, j) z = Sub (a, x)",
            {"Abs": 1, "Sub": 1},
        ),
        ("s = SequenceConstruct (x, v) t = SequenceErase (s, i) a = SequenceAt (t, i) z = Sub (a, x)", {"Sub": 1}),
        ("s = SequenceConstruct (x, v) t = SequenceErase (s) a = SequenceAt (t, k) z = Sub (a, v)", {"Sub": 1}),
        ("e = SequenceEmpty () s = SequenceInsert (e, v) a = SequenceAt (s, i) z = Sub (a, x)", {"Sub": 1}),
        (
            "s = SequenceConstruct (x, v) l = SequenceLength (s) f = Cast <to = 1> (l) z = Mul (x, f)",
            {"Cast": 1, "Mul": 1},
        ),
    ],
)
def test_sequences_that_are_put_together(nodes: str, left: dict[str, int]):
    keeps = "u = Abs (x)" if "(s, u" in nodes else ""
    graph = f"""(float[2,3] x, float[2,3] v) => (float[2,3] z)
    <int64 i = {{0}}, int64 j = {{1}}, int64 k = {{-1}}> {{ {keeps} {nodes} }}"""
    count, found, _ = unpack(graph)
    assert count >= 1
    assert {op: n for op, n in found.items() if op != "Abs" or "Abs" in left} == left


def test_elements_that_are_joined():
    graph = """(float[2,3] x, float[2,3] v) => (float[2,9] z) <int64 i = {0}>
    { s = SequenceConstruct (x, v) t = SequenceInsert (s, v, i) z = ConcatFromSequence <axis = -1> (t) }"""
    count, left, after = unpack(graph)
    assert (count, left) == (1, {"Concat": 1})
    assert after.graph.node[0].input == ["v", "x", "v"]


def test_an_element_that_is_an_output_and_read_as_well():
    graph = """(float[2] x, float[2] v) => (float[2] a, float[2] z) <int64 j = {1}>
    { s = SequenceConstruct (x, v) a = SequenceAt (s, j) z = Neg (a) }"""
    count, left, after = unpack(graph)
    assert (count, left, [o.name for o in after.graph.output]) == (1, {"Identity": 1, "Neg": 1}, ["a", "z"])


def test_a_sequence_that_a_loop_takes_stays():
    graph = """(float[2] x) => (float[6] z) <int64 n = {3}, bool yes = {1}>
    {
        e = SequenceEmpty ()
        s = Loop (n, yes, e) < body = b (int64 i, bool c, seq(float[2]) l) => (bool d, seq(float[2]) m)
            { d = Identity (c) m = SequenceInsert (l, x) } >
        z = ConcatFromSequence <axis = 0> (s)
    }"""
    assert unpack(graph)[0] == 0
