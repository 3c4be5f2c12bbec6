"""Raw exports made presentable: names, inputs that were dropped, outputs that no node makes, and what is wiped."""

from __future__ import annotations

from collections.abc import Callable

import onnx
import onnx.checker
import onnx.parser
import pytest

from graphopt.exporting.exporters import ExporterRefused
from graphopt.exporting.tidy import doubt_shapes, tidy
from graphopt.graph.dtypes import DType
from graphopt.graph.interface import TensorSpec
from graphopt.graph.load import from_proto
from graphopt.graph.save import to_proto

HEADER = '<ir_version: 10, opset_import: ["" : 17, "own" : 1]>\n'

F = DType.float32


def spec(name: str, *shape: int | str) -> TensorSpec:
    return TensorSpec(name, F, shape)


def tidied(
    text: str,
    inputs: list[TensorSpec],
    outputs: list[str],
    *,
    by_name: bool = False,
    before: Callable[[onnx.ModelProto], None] = lambda proto: None,
) -> onnx.ModelProto:
    proto = onnx.parser.parse_model(HEADER + text)
    before(proto)
    model = from_proto(proto)
    tidy(model, inputs, outputs, by_name=by_name)
    result = to_proto(model)
    onnx.checker.check_model(result, full_check=True)
    return result


def names(values: object) -> list[str]:
    return [value.name for value in values]  # type: ignore[attr-defined]


SUB = "g (float[2] {}, float[2] {}) => (float[2] r) {{ r = Sub ({}, {}) }}"


def test_inputs_and_outputs_are_renamed_in_their_order() -> None:
    result = tidied(SUB.format(*"pqpq"), [spec("x", 2), spec("y", 2)], ["z"])
    assert names(result.graph.input) == ["x", "y"]
    assert names(result.graph.output) == ["z"]
    assert list(result.graph.node[0].input) == ["x", "y"]


def test_names_may_be_swapped() -> None:
    result = tidied(SUB.format(*"xyxy"), [spec("y", 2), spec("x", 2)], ["r"])
    assert names(result.graph.input) == ["y", "x"]
    assert list(result.graph.node[0].input) == ["y", "x"]


def test_who_bears_a_wanted_name_gets_another() -> None:
    """A weight, an inner value, and a value inside a body that captures what is renamed."""
    result = tidied(
        """g (float[2] p, bool c) => (float[2] r) <float[2] x = {1, 2}> {
            out = Add (p, x)
            r = If (c) <
                then_branch = a () => (float[2] t) { z = Neg (out) t = Add (z, x) },
                else_branch = b () => (float[2] e) { e = Identity (p) }>
        }""",
        [spec("x", 2), TensorSpec("z", DType.bool, ())],
        ["out"],
    )
    assert names(result.graph.input) == ["x", "z"]
    assert names(result.graph.output) == ["out"]
    assert names(result.graph.initializer) == ["x_1"]
    add, branch = result.graph.node
    assert (list(add.input), list(add.output)) == (["x", "x_1"], ["out_1"])
    then = next(a.g for a in branch.attribute if a.name == "then_branch")
    assert list(then.node[0].input) == ["out_1"]
    assert then.node[0].output[0] == "z_1"
    assert list(then.node[1].input) == ["z_1", "x_1"]


def test_what_no_node_makes_and_what_is_given_twice_is_copied() -> None:
    result = tidied(
        "g (float[2] x) => (float[2] x, float[2] w, float[2] n, float[2] n) <float[2] w = {1, 2}> { n = Neg (x) }",
        [spec("x", 2)],
        ["a", "b", "c", "d"],
    )
    assert names(result.graph.output) == ["a", "b", "c", "d"]
    copies = {node.output[0]: node.input[0] for node in result.graph.node if node.op_type == "Identity"}
    assert copies == {"a": "x", "b": "w", "d": "c"}


def test_shapes_that_may_not_follow_a_dynamic_axis_are_forgotten() -> None:
    proto = onnx.parser.parse_model(
        HEADER
        + """g (float[n] x) => (float[2, 3] a, float[m] b) <float[2] i> {
            i = Neg (x)
            a = own.op (i)
            b = Abs (i)
        }"""
    )
    model = from_proto(proto)
    doubt_shapes(model, {"a": {0}, "b": {0}})
    result = to_proto(model)
    assert [dim.dim_value for dim in result.graph.output[0].type.tensor_type.shape.dim] == [0, 3]
    assert [dim.dim_param for dim in result.graph.output[1].type.tensor_type.shape.dim] == ["m"]
    assert list(result.graph.value_info) == []


def test_an_input_that_a_trace_dropped_is_put_back() -> None:
    result = tidied(
        "g (float[n] y) => (float[n] r) { r = Neg (y) }",
        [spec("x", "n", 3), spec("y", "n")],
        ["r"],
        by_name=True,
    )
    assert names(result.graph.input) == ["x", "y"]
    dims = result.graph.input[0].type.tensor_type.shape.dim
    assert (dims[0].dim_param, dims[1].dim_value) == ("n", 3)


@pytest.mark.parametrize(
    ("inputs", "outputs", "by_name", "text"),
    [
        (["x"], ["r"], False, "its model has 2 inputs, and the call 1 tensors"),
        (["a", "b", "c"], ["r"], False, "its model has 2 inputs, and the call 3 tensors"),
        (["p"], ["r"], True, "its model has the inputs p, q"),
        (["p", "q"], ["r", "s"], False, "its model has 1 outputs, and the module 2"),
    ],
)
def test_another_number_is_a_refusal(inputs: list[str], outputs: list[str], by_name: bool, text: str) -> None:
    with pytest.raises(ExporterRefused) as caught:
        tidied(
            SUB.format(*"pqpq"),
            [spec(name, 2) for name in inputs],
            outputs,
            by_name=by_name,
        )
    assert str(caught.value) == text


def test_nothing_tells_of_the_machine() -> None:
    """Metadata and doc strings everywhere; which of the user's modules a node came from stays."""
    secret = "/home/someone/project/net.py"

    def litter(proto: onnx.ModelProto) -> None:
        proto.metadata_props.add(key="path", value=secret)
        proto.doc_string = proto.graph.doc_string = secret
        proto.graph.metadata_props.add(key="pkg.torch.export.ExportedProgram.graph_signature", value=secret)
        for info in (*proto.graph.input, *proto.graph.output, *proto.graph.value_info):
            info.doc_string = secret
            info.metadata_props.add(key="k", value=secret)
        body = proto.graph.node[1].attribute[0].g
        body.doc_string = secret
        body.metadata_props.add(key="k", value=secret)
        for node in (*proto.graph.node, *body.node, *proto.functions[0].node):
            node.doc_string = secret
            node.metadata_props.add(key="pkg.torch.onnx.stack_trace", value=secret)
            node.metadata_props.add(key="namespace", value=": net.Net/conv: torch.nn.modules.conv.Conv2d")
        proto.functions[0].doc_string = secret
        proto.functions[0].metadata_props.add(key="k", value=secret)

    result = tidied(
        """
        g (float[2] x, bool c) => (float[2] r) <float[2] w = {1, 2}, float[2] m> {
            m = own.twice (x)
            r = If (c) <
                then_branch = a () => (float[2] t) { t = Add (m, w) },
                else_branch = b () => (float[2] e) { e = Identity (m) }>
        }
        <domain: "own", opset_import: ["" : 17]> twice (p) => (q) { q = Add (p, p) }""",
        [spec("x", 2), TensorSpec("c", DType.bool, ())],
        ["r"],
        before=litter,
    )
    assert secret.encode() not in result.SerializeToString()
    namespaces = [p.value for node in result.graph.node for p in node.metadata_props if p.key == "namespace"]
    assert namespaces == [": net.Net/conv: torch.nn.modules.conv.Conv2d"] * 2
