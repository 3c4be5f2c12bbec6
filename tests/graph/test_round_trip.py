"""What is loaded and saved again is what it was."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from pathlib import Path

import ml_dtypes
import numpy as np
import onnx
import onnx.parser
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from onnx import TensorProto, helper, numpy_helper

from graphopt.graph.dtypes import DType
from graphopt.graph.load import from_proto, load
from graphopt.graph.save import save, to_bytes, to_proto
from graphopt.graph.tensor import Tensor
from graphopt.graph.validate import interface_of_model, violations

DATA = Path(onnx.__file__).parent / "backend" / "test" / "data"


def plain(proto: onnx.ModelProto) -> onnx.ModelProto:
    """The same model with the default domain spelled one way, which is all that loading and saving may change."""
    copy = onnx.ModelProto()
    copy.CopyFrom(proto)
    for graph in graphs(copy.graph):
        for node in graph.node:
            if node.domain in ("", "ai.onnx"):
                node.ClearField("domain")
    for opset in copy.opset_import:
        opset.domain = "" if opset.domain == "ai.onnx" else opset.domain
    return copy


def graphs(graph: onnx.GraphProto) -> Iterator[onnx.GraphProto]:
    yield graph
    for node in graph.node:
        for attribute in node.attribute:
            if attribute.HasField("g"):
                yield from graphs(attribute.g)
            for body in attribute.graphs:
                yield from graphs(body)


def survives(proto: onnx.ModelProto) -> None:
    kept = onnx.ModelProto()
    kept.CopyFrom(proto)
    model = from_proto(proto)
    assert violations(model, interface_of_model(model)) == []
    assert plain(to_proto(model)) == plain(kept)


def parsed(text: str) -> onnx.ModelProto:
    return onnx.parser.parse_model(text)


def relu(ir_version: int = 11, opset: int = 23) -> onnx.ModelProto:
    return parsed(f'<ir_version: {ir_version}, opset_import: ["" : {opset}]> g (float[2] x) => (y) {{ y = Relu(x) }}')


def test_every_operator_of_the_standard_survives() -> None:
    """The test models of onnx itself: each operator, in each element type, as a node and expanded as a function."""
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        from onnx.backend.test.case.node import collect_testcases

        cases = collect_testcases(None)
    assert len(cases) > 1500
    changed: list[str] = []
    for case in cases:
        case.model.ir_version = max(case.model.ir_version, 4)
        model = from_proto(case.model)
        if violations(model, interface_of_model(model)) or plain(to_proto(model)) != plain(case.model):
            changed.append(case.name)
    assert changed == []


@pytest.mark.parametrize("path", sorted(DATA.glob("*/*/model.onnx")), ids=lambda p: p.parent.name)
def test_exported_models_survive(path: Path) -> None:
    before, model = onnx.load(path), load(path, overridable="keep")
    before.ir_version = max(before.ir_version, 4)
    assert plain(to_proto(model)) == plain(before)


def test_doc_strings_survive() -> None:
    proto = relu()
    proto.doc_string, proto.graph.doc_string, proto.graph.node[0].doc_string = (
        "of the model",
        "of the graph",
        "of a node",
    )
    proto.graph.input[0].doc_string, proto.graph.output[0].doc_string = "of an input", "of an output"
    proto.graph.initializer.append(numpy_helper.from_array(np.zeros(2, np.float32), "w"))
    proto.graph.initializer[0].doc_string = "of a weight"
    survives(proto)


def test_metadata_survives() -> None:
    proto = parsed(
        """<ir_version: 11, opset_import: ["" : 23]>
        g (float[2] x) => (float[2] y) <float[2] m> { m = Abs(x) y = Relu(m) }"""
    )
    graph = proto.graph
    for holder in (proto, graph, graph.node[0], graph.input[0], graph.output[0], graph.value_info[0]):
        holder.metadata_props.add(key="by", value=type(holder).__name__)
        holder.metadata_props.add(key="empty", value="")
    survives(proto)


def test_headers_survive() -> None:
    proto = relu()
    proto.producer_name, proto.producer_version, proto.domain, proto.model_version = "me", "2.1", "org.example", 7
    proto.opset_import.add(domain="org.example", version=3)
    proto.opset_import.add(domain="ai.onnx.ml", version=5)
    survives(proto)


def test_functions_survive() -> None:
    survives(
        parsed(
            """<ir_version: 10, opset_import: ["" : 21, "local" : 1]>
            g (float[2] x) => (float[2] y) { a = local.twice <k = 3.0> (x) y = local.twice:other(a) }
            <domain: "local", opset_import: ["" : 21], overload: "", doc_string: "adds">
            twice <k: float = 2.0> (x) => (z) { f = Constant<value_float: float = @k>() m = Mul(x, f) z = Add(m, x) }
            <domain: "local", opset_import: ["" : 21], overload: "other">
            twice (x) => (z) { z = Add(x, x) }"""
        )
    )


def test_nodes_of_other_domains_survive() -> None:
    survives(
        parsed(
            """<ir_version: 8, opset_import: ["" : 17, "com.example" : 2]>
            g (float[2] x) => (y, z) {
                [odd] y, , z = com.example.Odd <i = 1, f = 2.5, s = "text", is = [1, 2], fs = [0.5], ss = ["a", "b"],
                    t = float[2] {1.0, 2.0}, body = inner (float[2] p) => (float[2] q) { q = com.example.Other(p, x) }>
                    (x, , x)
            }"""
        )
    )


def test_attributes_of_every_kind_survive() -> None:
    proto = parsed('<ir_version: 8, opset_import: ["" : 17, "e" : 1]> g (float[2] x) => (y) { y = e.Odd(x) }')
    weight = numpy_helper.from_array(np.arange(3, dtype=np.int8), "inside")
    sparse = helper.make_sparse_tensor(
        numpy_helper.from_array(np.ones(1, np.float32), "v"), numpy_helper.from_array(np.array([2]), "i"), [4]
    )
    kind = helper.make_tensor_type_proto(TensorProto.FLOAT, ["n", 3, None])
    body = parsed('<ir_version: 8, opset_import: ["" : 17]> b (float p) => (float q) { q = Abs(p) }').graph
    held = {
        **{"empty": "", "bytes": b"\xff\x00\xfe", "many": [b"\xff", "é"], "nan": float("nan"), "low": -(2**63)},
        **{"t": weight, "ts": [weight, weight], "sp": sparse, "sps": [sparse], "tp": kind, "tps": [kind, kind]},
        **{"g": body, "gs": [body, body]},
    }
    for name, value in held.items():
        proto.graph.node[0].attribute.append(helper.make_attribute(name, value, doc_string=f"about {name}"))
    proto.graph.node[0].attribute.append(helper.make_attribute("none", [], attr_type=onnx.AttributeProto.INTS))
    for attribute in proto.graph.node[0].attribute:
        if attribute.type in (onnx.AttributeProto.GRAPH, onnx.AttributeProto.GRAPHS):
            attribute.ClearField("doc_string")
    for graph in list(graphs(proto.graph))[1:]:
        graph.node[0].output[0] = graph.output[0].name = "q"
    survives(proto)


def test_sparse_initializers_survive() -> None:
    proto = relu()
    proto.graph.sparse_initializer.append(
        helper.make_sparse_tensor(
            numpy_helper.from_array(np.ones(2, np.float32), "s"), numpy_helper.from_array(np.array([0, 5]), "i"), [3, 4]
        )
    )
    proto.graph.node.append(helper.make_node("Abs", ["s"], ["z"]))
    proto.graph.output.append(helper.make_tensor_value_info("z", TensorProto.FLOAT, [3, 4]))
    survives(proto)


def test_quantization_annotations_survive() -> None:
    proto = relu()
    proto.graph.initializer.append(numpy_helper.from_array(np.float32(0.5), "scale"))
    annotation = proto.graph.quantization_annotation.add(tensor_name="y")
    annotation.quant_parameter_tensor_names.add(key="SCALE_TENSOR", value="scale")
    survives(proto)


def test_training_info_survives() -> None:
    proto = relu()
    proto.training_info.add().algorithm.CopyFrom(relu().graph)
    proto.training_info[0].update_binding.add(key="w", value="y")
    survives(proto)


@pytest.mark.parametrize("dtype", [d for d in DType if d is not DType.string], ids=lambda d: d.name)
def test_weights_of_every_dtype_survive(dtype: DType) -> None:
    """In raw bytes and in typed fields, five elements so that packed types end in the middle of a byte."""
    array = np.array([0, 1, 1, 0, 1]).astype(dtype.numpy)
    raw = numpy_helper.from_array(array, "raw")
    proto = relu(ir_version=onnx.IR_VERSION)
    proto.graph.initializer.append(raw)
    if raw.data_type <= TensorProto.BFLOAT16:
        proto.graph.initializer.append(helper.make_tensor("typed", int(dtype), [5], array))
    survives(proto)
    for value in from_proto(proto).graph.initializers:
        assert value.initializer is not None
        assert value.dtype is dtype
        assert value.initializer.numpy().tobytes() == array.tobytes()


FLOATS = [np.float16, np.float32, np.float64, ml_dtypes.bfloat16, ml_dtypes.float8_e4m3fn, ml_dtypes.float8_e5m2]
INTEGERS = [np.int8, np.uint8, np.int16, np.int64, np.uint64, np.bool_]
PACKED = [ml_dtypes.int4, ml_dtypes.uint4, ml_dtypes.int2, ml_dtypes.uint2, ml_dtypes.float4_e2m1fn]


@given(
    st.sampled_from(FLOATS + INTEGERS + PACKED),
    hnp.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=5),
    st.integers(0, 2**32 - 1),
)
def test_a_computed_weight_reads_back_as_it_was(dtype: type, shape: tuple[int, ...], seed: int) -> None:
    bits = np.random.default_rng(seed).integers(0, 2, (*shape, 1))
    array = bits.reshape(shape).astype(dtype)
    tensor = Tensor.of(array)
    back = numpy_helper.to_array(tensor.to_proto("w"))
    assert (back.dtype, back.shape) == (array.dtype, shape)
    assert np.array_equal(back.astype(np.float64), array.astype(np.float64))
    assert len(tensor.raw_bytes()) == tensor.nbytes


def test_texts_that_are_not_utf8_survive() -> None:
    proto = relu()
    proto.graph.initializer.append(helper.make_tensor("s", TensorProto.STRING, [2], [b"\xff\xfe", "é".encode()]))
    survives(proto)
    (value,) = from_proto(proto).graph.initializers
    assert value.initializer is not None
    assert value.initializer.numpy().tolist() == ["\udcff\udcfe", "é"]
    computed = Tensor.of(value.initializer.numpy()).to_proto("s")
    assert list(computed.string_data) == [b"\xff\xfe", "é".encode()]


SEQUENCES = """<ir_version: 8, opset_import: ["" : 17]>
g (seq(float[n]) s, optional(float[2]) o, float[2] x, int64 i) => (float[n] y, seq(float[2]) z, bool h) {
    y = SequenceAt(s, i)
    z = SequenceConstruct(x, x)
    h = OptionalHasElement(o)
}"""


def test_sequences_and_optionals_survive() -> None:
    survives(parsed(SEQUENCES))


BODIES = """<ir_version: 8, opset_import: ["" : 17]>
g (float[n,3] x, bool c, int64 trips, float[5,n,3] steps) => (y, last, all, z) <float[3] w = {1, 2, 3}> {
    a = Mul(x, w)
    y = If(c) <
        then_branch = t () => (float[n,3] p) <float[3] inner = {1, 1, 1}> {
            b = Add(a, inner)
            p = If(c) <then_branch = tt () => (pp) { pp = Sub(b, w) }, else_branch = te () => (pq) { pq = Neg(a) }>
        },
        else_branch = e () => (float[n,3] q) { q = Relu(a) }
    >
    last, all = Scan(a, steps) <num_scan_inputs = 1, body = s (float[n,3] h, float[n,3] e) =>
        (float[n,3] k, float[n,3] o) {
        k = Add(h, e)
        o = Mul(k, w)
    }>
    z = Loop(trips, c, x) <body = l (int64 i, bool on, float[n,3] v) => (bool go, float[n,3] u) {
        go = Identity(c)
        u = Add(v, a)
    }>
}"""


def test_bodies_with_captures_survive() -> None:
    survives(parsed(BODIES))


def test_a_capture_is_a_use() -> None:
    model = from_proto(parsed(BODIES))
    made = {v.name: v for n in model.all_nodes() for v in n.outputs if v is not None}
    weight = next(iter(model.graph.initializers))
    assert sorted(n.op_type for n in made["a"].uses) == ["Add", "Add", "Neg", "Relu", "Scan"]
    assert sorted(n.op_type for n in weight.uses) == ["Mul", "Mul", "Sub"]


def test_both_branches_may_use_one_name() -> None:
    survives(
        parsed(
            """<ir_version: 8, opset_import: ["" : 17]>
            g (bool c, float[2] x) => (float[2] y) {
                y = If(c) <
                    then_branch = t () => (float[2] r) { r = Abs(x) },
                    else_branch = e () => (float[2] r) { r = Neg(x) }
                >
            }"""
        )
    )


def test_the_edge_of_a_graph_survives() -> None:
    """An input that is an output, an initializer that is one, a value under two outputs, an unused input."""
    survives(
        parsed(
            """<ir_version: 8, opset_import: ["" : 17]>
            g (float[2] x, float[2] unused) => (float[2] x, float[2] w, float[2] y, float[2] y2)
            <float[2] w = {1, 2}> { y = Relu(x) y2 = Identity(y) }"""
        )
    )


def test_absent_inputs_and_outputs_survive() -> None:
    survives(
        parsed(
            """<ir_version: 8, opset_import: ["" : 17]>
            g (float[2] x, float hi, float[5,1,3] s, float[1,4,3] w, float[1,4,4] r) => (float[2] y, float[1,1,4] h) {
                y = Clip(x, , hi)
                , h = RNN<hidden_size = 4>(s, w, r)
            }"""
        )
    )


def test_unnamed_nodes_and_equal_node_names_survive() -> None:
    proto = parsed(
        '<ir_version: 8, opset_import: ["" : 17]> g (float[2] x) => (y) { [n] a = Abs(x) [n] b = Abs(a) y = Abs(b) }'
    )
    survives(proto)


def test_types_that_the_file_declares_survive() -> None:
    proto = parsed(
        """<ir_version: 8, opset_import: ["" : 17]>
        g (float[n,3] x) => (float[n,3] y) <float[mine,3] m> { m = Abs(x) y = Abs(m) }"""
    )
    proto.graph.output[0].type.tensor_type.shape.dim[0].denotation = "DATA_BATCH"
    survives(proto)


def test_a_second_declaration_of_an_input_is_left_out() -> None:
    proto = relu()
    proto.graph.value_info.add().CopyFrom(proto.graph.input[0])
    proto.graph.value_info[0].type.tensor_type.shape.dim[0].dim_param = "other"
    assert to_proto(from_proto(proto)).graph.input == proto.graph.input


def test_unsorted_nodes_are_put_in_order_with_a_note() -> None:
    proto = parsed(
        '<ir_version: 8, opset_import: ["" : 17]> g (float[2] x) => (y) { y = Abs(b) b = Neg(a) a = Exp(x) }'
    )
    model = from_proto(proto)
    assert [n.op_type for n in model.graph.nodes] == ["Exp", "Neg", "Abs"]
    assert model.notes == ["the nodes of the file were not in execution order; they are now"]
    assert violations(model) == []


DEFAULTS = """<ir_version: %d, opset_import: ["" : 17]>
g (float[2] x, float[2] w) => (float[2] y) <float[2] w = {1, 2}, float[2] v = {3, 4}> { a = Mul(x, w) y = Add(a, v) }"""


def test_a_default_that_can_be_overridden_is_no_constant() -> None:
    proto = parsed(DEFAULTS % 8)
    survives(proto)
    model = from_proto(parsed(DEFAULTS % 8))
    w, v = model.graph.initializers
    assert (w.constant, w.initializer is not None, v.constant is v.initializer) == (None, True, True)
    assert model.notes == []


def test_a_default_can_be_frozen_on_request() -> None:
    model = from_proto(parsed(DEFAULTS % 8), overridable="freeze")
    assert [v.name for v in model.graph.inputs] == ["x"]
    assert model.notes == ["1 initializer that was listed as an input is taken as constant, as asked"]
    assert violations(model) == []


def test_what_ir_version_3_forces_to_be_an_input_is_a_constant() -> None:
    model = from_proto(parsed(DEFAULTS % 3))
    assert [v.name for v in model.graph.inputs] == ["x"]
    assert all(v.constant is not None for v in model.graph.initializers)
    assert model.notes == ["1 initializer that was listed as an input is taken as constant, as IR version 3 demands"]
    saved = to_proto(model)
    assert (saved.ir_version, [i.name for i in saved.graph.input]) == (4, ["x"])


def test_ir_version_3_can_be_kept_as_it_is() -> None:
    model = from_proto(parsed(DEFAULTS % 3), overridable="keep")
    assert [v.name for v in model.graph.inputs] == ["x", "w"]
    assert model.notes == []


def test_the_same_model_gives_the_same_bytes(tmp_path: Path) -> None:
    proto = parsed(BODIES)
    proto.metadata_props.add(key="b", value="1")
    proto.metadata_props.add(key="a", value="2")
    (tmp_path / "m.onnx").write_bytes(proto.SerializeToString())
    save(load(tmp_path / "m.onnx"), tmp_path / "one.onnx")
    save(load(tmp_path / "one.onnx"), tmp_path / "two.onnx")
    assert (tmp_path / "one.onnx").read_bytes() == (tmp_path / "two.onnx").read_bytes() == to_bytes(from_proto(proto))
    assert sorted(p.name for p in tmp_path.iterdir()) == ["m.onnx", "one.onnx", "two.onnx"]


def test_question_marks_for_unknown_sizes_are_not_one_name() -> None:
    before = helper.make_model(
        helper.make_graph(
            [helper.make_node("Relu", ["x"], ["y"])],
            "g",
            [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["?", 3, "?"])],
            [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["?", 3, "n"])],
        )
    )
    after = to_proto(from_proto(before))
    dims = [
        d.dim_param or d.dim_value
        for v in (*after.graph.input, *after.graph.output)
        for d in v.type.tensor_type.shape.dim
    ]
    assert dims == [0, 3, 0, 0, 3, "n"]
