"""Definitions of the standard in the place of what a target does not take."""

from __future__ import annotations

import numpy as np
import onnx
import pytest

from graphopt.graph.load import from_proto
from graphopt.graph.save import to_proto
from graphopt.graph.validate import interface_of_model, validate
from graphopt.legalize.lowering import inline_refused
from graphopt.testing.weights import samples
from tests.legalize.widening import operators, parsed
from tests.rules.oracle import assert_same_results


def inlined(graph: str, opset: int = 21) -> tuple[int, list[str], onnx.ModelProto]:
    proto = parsed(graph, opset)
    model = from_proto(proto)
    interface = interface_of_model(model)
    count = inline_refused(model, "tensorrt-rtx")
    validate(model, interface)
    after = to_proto(model)
    onnx.checker.check_model(after, full_check=True)
    assert_same_results(proto, after, samples(proto), "real")
    return count, operators(after), after


def test_an_operator_that_the_target_lacks_is_spelled_out() -> None:
    count, made, after = inlined(
        '(float[3,5] x, int64[3] t) => (float[n] y) { y = SoftmaxCrossEntropyLoss<reduction="none">(x, t) }'
    )
    assert count == 2  # it is made of a NegativeLogLikelihoodLoss, which the target lacks as well
    assert not {"SoftmaxCrossEntropyLoss", "NegativeLogLikelihoodLoss"} & set(made)
    froms = {p.value for n in after.graph.node for p in n.metadata_props if p.key == "graphopt.from"}
    assert froms == {"SoftmaxCrossEntropyLoss(y)"}


def test_attributes_that_are_left_to_their_defaults_reach_the_definition() -> None:
    graph = "(float[2,6] x, float[6] s) => (float[2,6] y, float[2,1] m) { y, m = LayerNormalization(x, s) }"
    count, made, after = inlined(graph)
    assert count == 1
    assert "LayerNormalization" not in made
    constants = [onnx.numpy_helper.to_array(a.t) for n in after.graph.node for a in n.attribute if a.name == "value"]
    assert np.float32(1e-5) in [c.item() for c in constants if c.dtype == np.float32]


@pytest.mark.parametrize(
    ("graph", "spelled_out"),
    [
        ("(float[2,6] x, float[6] s) => (float[2,6] y) { y = LayerNormalization(x, s) }", False),
        ("(float[2,6] x, float[6] s) => (float[2,6] y, float[2,1] m) { y, m = LayerNormalization(x, s) }", True),
        ("(float[2,6] x) => (float[2,6] y) { y = Gelu(x) }", False),
        ("(float[2,6] x) => (float[2,6] y) { y = Celu(x) }", False),
        ("(int8[2,6] x, int8 a, int8 b) => (int8[2,6] y) { y = Clip(x, a, b) }", True),
        ("(float[2,6] x) => (float[2,6] y) { y = Clip(x) }", False),
    ],
)
def test_what_the_target_takes_stays_whole(graph: str, spelled_out: bool) -> None:
    count, _, _ = inlined(graph)
    assert (count > 0) == spelled_out


@pytest.mark.parametrize(
    ("dtype", "shape", "extra", "spelled_out"),
    [
        ("float16", "1,2,8,64", "", False),
        ("float16", "1,2,8,64", "is_causal=1", False),
        ("float16", "1,2,8,8", "", True),  # no kernel for heads of 8
        ("float16", "1,2,8,512", "", True),
        ("float", "1,2,8,64", "", True),  # none in float32
        ("float16", "1,2,8,64", "softcap=2.0", True),
    ],
)
def test_attention_stays_where_there_is_a_kernel(dtype: str, shape: str, extra: str, spelled_out: bool) -> None:
    graph = f"""({dtype}[{shape}] q, {dtype}[{shape}] k, {dtype}[{shape}] v) => ({dtype}[{shape}] y) {{
        y = Attention<{extra}>(q, k, v) }}"""
    model = from_proto(parsed(graph.replace("<>", ""), 24))
    assert (inline_refused(model, "tensorrt-rtx") > 0) == spelled_out


def test_a_node_in_a_body_is_spelled_out_in_that_body() -> None:
    count, made, after = inlined(
        """(int8[4] x, int8 a, bool c) => (int8[4] y) {
            y = If(c) <then_branch = t () => (int8[4] u) { u = Clip(x, a) },
                       else_branch = e () => (int8[4] v) { v = Clip(x, , a) }> }"""
    )
    assert (count, made) == (2, ["If"])
    assert "Clip" not in [n.op_type for a in after.graph.node[0].attribute for n in a.g.node]


def test_a_target_that_lacks_nothing_changes_nothing() -> None:
    model = from_proto(parsed("(float[3,5] x, int64[3] t) => (float y) { y = SoftmaxCrossEntropyLoss(x, t) }"))
    assert inline_refused(model, "onnxruntime") == 0
