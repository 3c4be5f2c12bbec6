"""Files: old versions of the format, data outside of the model, and what surrounds the graph."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

import graphopt
from graphopt.graph.interface import interface_of
from tests.traps.compiling import REAL, assert_same_interface, compiled, made_feeds, operators, parsed
from tests.traps.oracles import assert_equal, by_onnxruntime

LIGHT = Path(onnx.__file__).parent / "backend" / "test" / "data" / "light"

OLD = """<ir_version: 3, opset_import: ["" : 8]>
main (float[1,1,2,2] x, float[2,1,1,1] w, float[2] s, float[2] b, float[2] m, float[2] v, int64[2] shape)
=> (float[2,4] y)
<float[2,1,1,1] w = {2, 3}, float[2] s = {3, 1}, float[2] b = {4, 5}, float[2] m = {1, -1}, float[2] v = {1, 2},
 int64[2] shape = {2, 4}> {
    a = Conv(x, w)
    n = BatchNormalization(a, s, b, m, v)
    y = Reshape(n, shape)
}"""


def test_inputs_that_the_old_format_forces_are_constants(tmp_path: Path) -> None:
    model = parsed(OLD)
    onnx.save(model, tmp_path / "model.onnx")
    result = graphopt.compile(tmp_path / "model.onnx", tmp_path / "out")
    after = onnx.load(tmp_path / "out" / "model.onnx")
    onnx.checker.check_model(after, full_check=True)
    assert result.notes == ("6 initializers that were listed as inputs are taken as constant, as IR version 3 demands",)
    assert operators(after) == ["Conv", "Reshape"]
    assert [i.name for i in after.graph.input] == ["x"]
    assert after.ir_version == 4
    feeds = made_feeds(model)
    assert_equal(by_onnxruntime(model, feeds), by_onnxruntime(after, feeds), REAL)


def test_inputs_that_the_old_format_forces_are_kept_when_asked(tmp_path: Path) -> None:
    model = parsed(OLD)
    after = compiled(
        model,
        tmp_path,
        feeds=[made_feeds(model)],
        reference=False,  # it computes old BatchNormalizations with statistics of training
        overridable="keep",
    )
    assert_same_interface(model, after)
    assert operators(after) == ["Conv", "BatchNormalization", "Reshape"]
    model.ir_version = 4  # in files of version 3 ONNX Runtime takes no other value for a weight
    feeds = {**made_feeds(model), "s": np.float32([-1, 4])}
    assert_equal(by_onnxruntime(model, feeds), by_onnxruntime(after, feeds))


CLASSICS = [
    pytest.param(path, id=path.stem, marks=[pytest.mark.slow] if path.stem in ("light_vgg19", "light_zfnet512") else [])
    for path in sorted(LIGHT.glob("*.onnx"))
]


@pytest.mark.parametrize("path", CLASSICS)
def test_classic_networks_of_old_opsets(tmp_path: Path, path: Path) -> None:
    """Opset 7 to 9; their weights come out of ConstantOfShape, and a file of 0.2 MB must not become one of 500."""
    result = graphopt.compile(path, tmp_path / "out", targets=(), check="end", samples=1)
    assert result.parity is not None
    assert result.ok
    written = tmp_path / "out" / "model.onnx"
    assert written.stat().st_size <= path.stat().st_size + (1 << 20)
    before, after = onnx.load(path), onnx.load(written)
    assert interface_of(after).inputs == interface_of(before).inputs
    assert interface_of(after).outputs == interface_of(before).outputs


def external(name: str, shape: list[int], offset: int, length: int, location: str = "weights.bin") -> onnx.TensorProto:
    proto = TensorProto(name=name, data_type=TensorProto.FLOAT, dims=shape, data_location=TensorProto.EXTERNAL)
    for key, value in (("location", location), ("offset", offset), ("length", length)):
        proto.external_data.add(key=key, value=str(value))
    return proto


def test_one_range_of_external_data_under_two_names_is_written_once(tmp_path: Path) -> None:
    values = np.arange(1024, dtype=np.float32)
    (tmp_path / "weights.bin").write_bytes(b"....." * 0 + values.tobytes())
    weights = [external("a", [32, 32], 0, 4096), external("b", [1024], 0, 4096), external("c", [512], 2048, 2048)]
    model = helper.make_model(
        helper.make_graph(
            [
                helper.make_node("Identity", ["x"], ["i"]),
                helper.make_node("MatMul", ["i", "a"], ["p"]),
                helper.make_node("ReduceSum", ["b"], ["q"], keepdims=0),
                helper.make_node("ReduceMax", ["c"], ["r"], keepdims=0),
                helper.make_node("Sum", ["p", "q", "r"], ["y"]),
                helper.make_node("Concat", ["b", "c", "z"], ["u"], axis=0),
            ],
            "shared",
            [
                helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 32]),
                helper.make_tensor_value_info("z", TensorProto.FLOAT, ["k"]),
            ],
            [
                helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", 32]),
                helper.make_tensor_value_info("u", TensorProto.FLOAT, ["m"]),
            ],
            weights,
        ),
        ir_version=8,
        opset_imports=[helper.make_opsetid("", 17)],
    )
    source = tmp_path / "model.onnx"
    source.write_bytes(model.SerializeToString())
    result = graphopt.compile(source, tmp_path / "out")
    assert result.ok
    written = tmp_path / "out" / "model.onnx"
    data = tmp_path / "out" / "model.onnx.data"
    after = onnx.load(written, load_external_data=False)
    assert operators(after) == ["MatMul", "Sum", "Concat"]
    places = {t.name: {e.key: e.value for e in t.external_data} for t in after.graph.initializer}
    assert places["a"]["offset"] == places["b"]["offset"]
    assert data.stat().st_size <= 4096 + 4096 + 2048
    feeds = made_feeds(model)
    assert_equal(by_onnxruntime(str(source), feeds), by_onnxruntime(str(written), feeds))
    assert (tmp_path / "weights.bin").read_bytes() == values.tobytes()


def test_what_surrounds_the_graph_survives(tmp_path: Path) -> None:
    """Versions, metadata, doc strings, opsets that nothing uses, and annotations."""
    model = parsed("""<ir_version: 8, opset_import: ["" : 17, "unused" : 2], producer_name: "p", producer_version: "v",
        domain: "d", model_version: 5, doc_string: "model", metadata_props: ["key": "value", "other": ""]>
        main (float[n,3] x) => (float[n,3] y) { a = Identity(x) y = Relu(a) }""")
    model.graph.doc_string = "graph"
    model.graph.input[0].doc_string = "input"
    model.graph.output[0].doc_string = "output"
    model.graph.node[1].doc_string = "node"
    model.graph.quantization_annotation.add(tensor_name="y").quant_parameter_tensor_names.add(key="k", value="x")
    after = compiled(model, tmp_path)
    del model.graph.node[0]
    for proto in (model, after):
        proto.graph.node[0].input[0] = "x"
        proto.graph.node[0].ClearField("domain")
    assert after == model


def test_sparse_weights_survive(tmp_path: Path) -> None:
    values = helper.make_tensor("w", TensorProto.FLOAT, [2], [5.0, 6.0])
    indices = helper.make_tensor("i", TensorProto.INT64, [2], [1, 3])
    x, y = (helper.make_tensor_value_info(name, TensorProto.FLOAT, [4]) for name in "xy")
    nodes = [helper.make_node("Identity", ["x"], ["i"]), helper.make_node("Add", ["i", "w"], ["y"])]
    graph = helper.make_graph(nodes, "sparse", [x], [y])
    graph.sparse_initializer.append(helper.make_sparse_tensor(values, indices, [4]))
    model = helper.make_model(graph, ir_version=8, opset_imports=[helper.make_opsetid("", 17)])
    onnx.save(model, tmp_path / "model.onnx")
    graphopt.compile(tmp_path / "model.onnx", tmp_path / "out")
    after = onnx.load(tmp_path / "out" / "model.onnx")
    assert operators(after) == ["Add"]
    assert list(after.graph.sparse_initializer) == list(model.graph.sparse_initializer)


def test_nodes_that_are_out_of_order_are_sorted(tmp_path: Path) -> None:
    model = parsed("""<ir_version: 8, opset_import: ["" : 17]>
        main (float[n,3] x) => (float[n,3] y) { a = Neg(x) b = Exp(a) y = Relu(b) }""")
    ordered = parsed(onnx.printer.to_text(model))
    nodes = list(model.graph.node)
    del model.graph.node[:]
    model.graph.node.extend(reversed(nodes))
    (tmp_path / "model.onnx").write_bytes(model.SerializeToString())
    result = graphopt.compile(tmp_path / "model.onnx", tmp_path / "out", check="none")
    after = onnx.load(tmp_path / "out" / "model.onnx")
    assert operators(after) == ["Neg", "Exp", "Relu"]
    assert result.notes == ("the nodes of the file were not in execution order; they are now",)
    feeds = made_feeds(ordered)
    assert_equal(by_onnxruntime(ordered, feeds), by_onnxruntime(after, feeds))


@pytest.mark.parametrize(("imported", "used"), [("ai.onnx", ""), ("", "ai.onnx"), ("ai.onnx", "ai.onnx")])
def test_the_default_domain_has_two_spellings(tmp_path: Path, imported: str, used: str) -> None:
    model = parsed("""<ir_version: 8, opset_import: ["" : 17]>
        main (float[n,3] x) => (float[n,3] y) { a = Identity(x) y = Relu(a) }""")
    model.opset_import[0].domain = imported
    for node in model.graph.node:
        node.domain = used
    (tmp_path / "model.onnx").write_bytes(model.SerializeToString())
    graphopt.compile(tmp_path / "model.onnx", tmp_path / "out")
    assert operators(onnx.load(tmp_path / "out" / "model.onnx")) == ["Relu"]


def test_weights_keep_their_form_in_the_file(tmp_path: Path) -> None:
    """Typed fields stay typed fields, and raw bytes stay raw: a compile that changes nothing changes no byte."""
    typed = helper.make_tensor("typed", TensorProto.FLOAT, [3], [1, 2, 3])
    raw = numpy_helper.from_array(np.float32([4, 5, 6]), "raw")
    x, y = (helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n", 3]) for name in "xy")
    nodes = [
        helper.make_node("Mul", ["x", "typed"], ["a"], name="first"),
        helper.make_node("Add", ["a", "raw"], ["y"], name="second"),
    ]
    graph = helper.make_graph(nodes, "plain", [x], [y], [typed, raw])
    model = helper.make_model(graph, ir_version=8, opset_imports=[helper.make_opsetid("", 17)])
    assert compiled(model, tmp_path) == model
