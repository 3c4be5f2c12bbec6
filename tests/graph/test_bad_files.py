"""Files that are no model, or contradict themselves: one clear error each."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import onnx
import onnx.parser
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import AttributeProto, ModelProto, NodeProto, TensorProto

from graphopt.errors import ModelError
from graphopt.graph.accounting import account
from graphopt.graph.load import from_proto, load
from graphopt.graph.save import save
from graphopt.graph.validate import violations

NEWEST = onnx.defs.onnx_opset_version()
AGAIN = "\n  help: the file is damaged; export or download it again"
NO_MODEL = (
    "PATH is not an ONNX model, or is cut short\n"
    "  help: a model is a binary protobuf file, whole; export or download it again"
)


def error_of(path: Path) -> str:
    with pytest.raises(ModelError) as caught:
        load(path)
    return str(caught.value).replace(str(path), "PATH")


def parsed(text: str) -> ModelProto:
    return onnx.parser.parse_model(f'<ir_version: 8, opset_import: ["" : 17]> {text}')


def relu() -> ModelProto:
    return parsed("g (float[2] x) => (float[2] y) { y = Relu(x) }")


def refused(proto: ModelProto, folder: Path) -> str:
    path = folder / "model.onnx"
    path.write_bytes(proto.SerializeToString())
    return error_of(path)


def test_a_missing_file(tmp_path: Path) -> None:
    assert error_of(tmp_path / "model.onnx") == "there is no file PATH"


def test_a_folder(tmp_path: Path) -> None:
    assert error_of(tmp_path) == "PATH is a folder, not a model file\n  help: name the .onnx file inside it"


def test_an_empty_file(tmp_path: Path) -> None:
    (tmp_path / "model.onnx").touch()
    assert error_of(tmp_path / "model.onnx") == "PATH is empty\n  help: export or download the model again"


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_that_may_not_be_read(tmp_path: Path) -> None:
    (tmp_path / "model.onnx").write_bytes(b"")
    (tmp_path / "model.onnx").chmod(0)
    assert error_of(tmp_path / "model.onnx") == "cannot read PATH: Permission denied"


@pytest.mark.parametrize("text", ["hello, this is no model\n" * 10, '{"ir_version": 8}', "<html></html>"])
def test_a_text_file(tmp_path: Path, text: str) -> None:
    (tmp_path / "model.onnx").write_text(text)
    assert error_of(tmp_path / "model.onnx") == NO_MODEL


def test_another_protobuf_file(tmp_path: Path) -> None:
    (tmp_path / "model.onnx").write_bytes(onnx.numpy_helper.from_array(np.zeros(3)).SerializeToString())
    assert error_of(tmp_path / "model.onnx") == "PATH holds no ONNX graph\n  help: export or download the model again"


def test_a_model_that_is_cut_short_anywhere(tmp_path: Path) -> None:
    proto = relu()
    proto.graph.initializer.append(onnx.numpy_helper.from_array(np.zeros((50, 50), np.float32), "w"))
    whole = proto.SerializeToString()
    path = tmp_path / "model.onnx"
    for length in range(1, len(whole), 97):
        path.write_bytes(whole[:length])
        assert error_of(path) in (NO_MODEL, "PATH holds no ONNX graph\n  help: export or download the model again")


@given(st.data())
@settings(max_examples=300, deadline=None)
def test_a_damaged_model_is_an_error_or_a_model(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    """Whatever bytes change, nothing but our own errors comes out."""
    proto = parsed(
        """g (float[n,3] x, bool c) => (float[n,3] y) <float[3] w = {1, 2, 3}> {
            k = Constant<value = int64[2] {-1, 3}>()
            a = Mul(x, w)
            b = Reshape(a, k)
            y = If(c) <then_branch = t () => (p) { p = Add(b, w) }, else_branch = e () => (q) { q = Relu(b) }>
        }"""
    )
    raw = bytearray(proto.SerializeToString())
    for _ in range(data.draw(st.integers(1, 3))):
        raw[data.draw(st.integers(0, len(raw) - 1))] = data.draw(st.integers(0, 255))
    path = tmp_path_factory.mktemp("damaged") / "model.onnx"
    path.write_bytes(raw)
    try:
        model = load(path)
    except ModelError:
        return
    assert violations(model) == []
    account(model)
    save(model, path)


# --- versions and operators ---


def test_an_unknown_opset(tmp_path: Path) -> None:
    proto = relu()
    proto.opset_import[0].version = 999
    assert refused(proto, tmp_path) == (
        f"the model imports opset 999 of domain ai.onnx; the installed onnx {onnx.__version__} knows 1 to {NEWEST}\n"
        "  help: install a newer onnx, or export the model for an older opset"
    )


def test_an_unknown_ir_version(tmp_path: Path) -> None:
    proto = relu()
    proto.ir_version = 99
    assert refused(proto, tmp_path) == (
        f"the model has IR version 99; the installed onnx {onnx.__version__} knows up to {int(onnx.IR_VERSION)}\n"
        "  help: install a newer onnx, or export the model for an older IR version"
    )


def test_no_opset(tmp_path: Path) -> None:
    proto = relu()
    del proto.opset_import[:]
    assert refused(proto, tmp_path) == "the model imports no opset for domain ai.onnx\n  at: node Relu(y)"


def test_an_unknown_operator(tmp_path: Path) -> None:
    assert refused(parsed("g (float[2] x) => (y) { [here] y = Rleu(x) }"), tmp_path) == (
        "there is no operator Rleu in opset 17\n  at: node here\n  help: did you mean 'Relu'?"
    )


def test_an_operator_that_its_opset_lacks(tmp_path: Path) -> None:
    assert refused(parsed("g (float[2] x) => (y) { y = Gelu(x) }"), tmp_path) == (
        "there is no operator Gelu in opset 17\n  at: node Gelu(y)\n  help: did you mean 'Gelu'?"
    )


def test_an_operator_that_nobody_knows(tmp_path: Path) -> None:
    assert refused(parsed("g (float[2] x) => (y) { y = Zzzzz(x) }"), tmp_path) == (
        "there is no operator Zzzzz in opset 17\n"
        "  at: node Zzzzz(y)\n"
        "  help: a custom operator needs a domain of its own"
    )


def test_an_unknown_operator_in_a_body(tmp_path: Path) -> None:
    text = (
        "g (bool c, float[2] x) => (y) { y = If(c) <then_branch = t () => (p) { [deep] p = Rleu(x) }, "
        "else_branch = e () => (q) { q = Relu(x) }> }"
    )
    assert refused(parsed(text), tmp_path) == (
        "there is no operator Rleu in opset 17\n  at: node deep\n  help: did you mean 'Relu'?"
    )


def test_an_unknown_attribute(tmp_path: Path) -> None:
    assert refused(parsed("g (float[2] x) => (y) { y = Relu<alpha = 1.0>(x) }"), tmp_path) == (
        "Unrecognized attribute: alpha for operator Relu\n  at: node Relu(y)"
    )


def test_too_many_inputs(tmp_path: Path) -> None:
    assert refused(parsed("g (float[2] x) => (y) { y = Relu(x, x) }"), tmp_path) == (
        "Node with schema(::Relu:14) has input size 2 not in range [min=1, max=1].\n  at: node Relu(y)"
    )


# --- names and order ---


def test_a_cycle(tmp_path: Path) -> None:
    text = "g (float[2] x) => (y) { [one] a = Add(x, b) [two] b = Relu(a) y = Abs(b) }"
    assert refused(parsed(text), tmp_path) == (
        "the graph has a cycle: one -> two -> one\n  help: a model must be free of cycles; export it again"
    )


def test_a_cycle_through_a_body(tmp_path: Path) -> None:
    text = (
        "g (bool c, float[2] x) => (y) { [if] y = If(c) <then_branch = t () => (p) { p = Add(x, y) }, "
        "else_branch = e () => (q) { q = Relu(x) }> }"
    )
    assert refused(parsed(text), tmp_path) == (
        "the graph has a cycle: if -> if\n  help: a model must be free of cycles; export it again"
    )


def test_a_long_cycle_is_cut_in_the_middle(tmp_path: Path) -> None:
    chain = " ".join(f"[n{i}] v{i} = Abs(v{(i - 1) % 50})" for i in range(50))
    assert refused(parsed(f"g (float[2] x) => (v49) {{ {chain} }}"), tmp_path) == (
        "the graph has a cycle: n0 -> n49 -> n48 -> … -> n2 -> n1 -> n0\n"
        "  help: a model must be free of cycles; export it again"
    )


def test_a_value_that_nobody_defines(tmp_path: Path) -> None:
    assert refused(parsed("g (float[2] x) => (y) { [sum] y = Add(x, gone) }"), tmp_path) == (
        "the value 'gone' is read but never defined\n  at: sum"
    )


def test_an_output_that_nobody_defines(tmp_path: Path) -> None:
    assert refused(parsed("g (float[2] x) => (gone) { y = Abs(x) }"), tmp_path) == (
        "the value 'gone' is read but never defined\n  at: outputs of graph 'g'"
    )


def test_a_value_that_is_defined_twice(tmp_path: Path) -> None:
    assert refused(parsed("g (float[2] x) => (y) { y = Abs(x) y = Relu(x) }"), tmp_path) == (
        "the value 'y' is defined twice\n  at: graph 'g'"
    )


def test_an_inner_value_is_not_seen_outside(tmp_path: Path) -> None:
    text = (
        "g (bool c, float[2] x) => (z) { y = If(c) <then_branch = t () => (p) { p = Abs(x) }, "
        "else_branch = e () => (q) { q = Relu(x) }> [out] z = Add(y, p) }"
    )
    assert refused(parsed(text), tmp_path) == "the value 'p' is read but never defined\n  at: out"


def test_a_weight_without_a_name(tmp_path: Path) -> None:
    proto = relu()
    proto.graph.initializer.append(onnx.numpy_helper.from_array(np.zeros(2, np.float32)))
    assert refused(proto, tmp_path) == "an input or weight has no name\n  at: graph 'g'"


# --- shapes and data ---


def test_shapes_that_contradict(tmp_path: Path) -> None:
    text = "g (float[2] x, float[3] z) => (y) { [sum] y = Add(x, z) }"
    assert refused(parsed(text), tmp_path) == (
        "PATH contradicts itself: (op_type:Add, node name: sum): Incompatible dimensions\n"
        "  help: ONNX Runtime refuses it too; export the model again"
    )


def test_types_that_contradict(tmp_path: Path) -> None:
    text = "g (float[2] x, int64[2] z) => (y) { [sum] y = Add(x, z) }"
    assert refused(parsed(text), tmp_path).startswith("PATH contradicts itself: (op_type:Add, node name: sum): ")


def test_a_declared_output_shape_that_inference_denies_is_only_noted(tmp_path: Path) -> None:
    """ONNX Runtime runs such a model, and real exporters write them."""
    proto = parsed("g (float[2] x) => (float[3] y) { [relu] y = Relu(x) }")
    (note,) = from_proto(proto).notes
    assert note == (
        "shape inference objects, though ONNX Runtime loads the model: (op_type:Relu, node name: relu): "
        "Inferred shape and existing shape differ in dimension 0: (2) vs (3)"
    )


def test_an_unknown_element_type(tmp_path: Path) -> None:
    proto = relu()
    proto.graph.input[0].type.tensor_type.elem_type = 77
    assert refused(proto, tmp_path) == "value 'x' has the unknown element type 77"


@pytest.mark.parametrize(
    ("tensor", "message"),
    [
        (
            TensorProto(name="w", dims=[2], data_type=1, raw_data=b"1234567"),
            f"weight 'w' has 7 bytes of data; its shape [2] needs 8{AGAIN}",
        ),
        (
            TensorProto(name="w", dims=[2], data_type=1, raw_data=b"123456789"),
            f"weight 'w' has 9 bytes of data; its shape [2] needs 8{AGAIN}",
        ),
        (
            TensorProto(name="w", dims=[5], data_type=TensorProto.INT4, raw_data=b"12"),
            f"weight 'w' has 2 bytes of data; its shape [5] needs 3{AGAIN}",
        ),
        (
            TensorProto(name="w", dims=[2, 2], data_type=1, float_data=[1.0]),
            f"weight 'w' has 1 values of data; its shape [2, 2] needs 4{AGAIN}",
        ),
        (
            TensorProto(name="w", dims=[2], data_type=1, int32_data=[1, 2]),
            f"weight 'w' has 0 values of data; its shape [2] needs 2{AGAIN}",
        ),
        (
            TensorProto(name="w", dims=[2], data_type=TensorProto.COMPLEX64, float_data=[1, 2]),
            f"weight 'w' has 2 values of data; its shape [2] needs 4{AGAIN}",
        ),
        (
            TensorProto(name="w", dims=[2], data_type=TensorProto.STRING, string_data=[b"a"]),
            f"weight 'w' has 1 values of data; its shape [2] needs 2{AGAIN}",
        ),
        (
            TensorProto(name="w", dims=[2], data_type=1),
            f"weight 'w' has 0 values of data; its shape [2] needs 2{AGAIN}",
        ),
        (TensorProto(name="w", dims=[-2], data_type=1), f"weight 'w' has the impossible shape [-2]{AGAIN}"),
        (
            TensorProto(name="w", dims=[2**62, 2**62], data_type=1),
            f"weight 'w' has the impossible shape [{2**62}, {2**62}]{AGAIN}",
        ),
        (
            TensorProto(name="w", dims=[0, 2**62], data_type=1),
            f"weight 'w' has the impossible shape [0, {2**62}]{AGAIN}",
        ),
        (TensorProto(name="w", dims=[2], data_type=99), "weight 'w' has the unknown element type 99"),
        (
            TensorProto(name="w", dims=[1], data_type=1, float_data=[1], segment=TensorProto.Segment(begin=0, end=1)),
            "weight 'w' is one segment of a larger one\n  help: export the model with weights in one piece",
        ),
    ],
)
def test_data_that_does_not_fit_its_shape(tmp_path: Path, tensor: TensorProto, message: str) -> None:
    proto = relu()
    proto.graph.initializer.append(tensor)
    assert refused(proto, tmp_path) == message


def test_an_attribute_whose_data_does_not_fit_its_shape(tmp_path: Path) -> None:
    proto = relu()
    proto.opset_import.add(domain="com.example", version=1)
    node = NodeProto(op_type="Odd", domain="com.example", name="here", output=["k"])
    tensor = TensorProto(dims=[2], data_type=1, raw_data=b"12")
    node.attribute.append(AttributeProto(name="table", type=AttributeProto.TENSOR, t=tensor))
    proto.graph.node.append(node)
    assert refused(proto, tmp_path) == (
        f"attribute 'table' of node here has 2 bytes of data; its shape [2] needs 8{AGAIN}"
    )
