"""Everything in an account but the multiply-accumulates."""

from __future__ import annotations

import json
from pathlib import Path

import ml_dtypes
import numpy as np
import onnx
import onnx.parser
import pytest

from graphopt.graph.accounting import account
from graphopt.graph.load import from_proto, load
from graphopt.graph.save import save

LIGHT = Path(onnx.__file__).parent / "backend" / "test" / "data" / "light"

TEXT = """<ir_version: 8, opset_import: ["" : 17, "com.example" : 3], producer_name: "by hand", producer_version: "1.2">
g (float[n,3] x, bool c) => (y)
<float[3,4] w = {1,2,3,4,5,6,7,8,9,10,11,12}> {
    k = Constant<value = int64[2] {0, 0}>()
    m = MatMul(x, w)
    o = com.example.Odd(m)
    y = If(c) <
        then_branch = t () => (float[n,4] p) {
            one = Constant<value_float = 1.0>()
            p = Add(m, one)
        },
        else_branch = e () => (float[n,4] q) {
            q = If(c) <then_branch = t2 () => (r) { r = Relu(m) }, else_branch = e2 () => (s) { s = Relu(m) }>
        }
    >
}"""


def test_counts_of_all_graphs() -> None:
    found = account(from_proto(onnx.parser.parse_model(TEXT)))
    assert found.operators == {"Add": 1, "If": 2, "MatMul": 1, "Relu": 2, "com.example::Odd": 1}
    assert found.nodes == 7
    assert found.constants == 3  # w, k, one
    assert found.parameters == 12 + 2 + 1
    assert found.weight_dtypes == {"float32": 13 * 4, "int64": 16}
    assert found.weight_bytes == 13 * 4 + 16
    assert found.depth == 2
    assert found.opsets == {"ai.onnx": 17, "com.example": 3}
    assert (found.ir_version, found.producer) == (8, "by hand 1.2")
    assert found.dynamic_dims == ("n",)
    assert found.file_bytes is None


def test_to_json_is_json() -> None:
    found = account(from_proto(onnx.parser.parse_model(TEXT))).to_json()
    assert json.loads(json.dumps(found))["operators"] == found["operators"]


@pytest.mark.parametrize(
    ("dtype", "name", "elements", "size"),
    [
        (ml_dtypes.int4, "int4", 5, 3),  # two to a byte
        (ml_dtypes.uint2, "uint2", 5, 2),  # four to a byte
        (ml_dtypes.bfloat16, "bfloat16", 5, 10),
        (ml_dtypes.float8_e4m3fn, "float8e4m3fn", 5, 5),
        (np.float64, "float64", 5, 40),
    ],
)
def test_bytes_are_those_of_a_file(dtype: type, name: str, elements: int, size: int) -> None:
    proto = onnx.parser.parse_model('<ir_version: 11, opset_import: ["" : 23]> g (float[1] x) => (y) { y = Relu(x) }')
    proto.graph.initializer.append(onnx.numpy_helper.from_array(np.zeros(elements, dtype), "w"))
    found = account(from_proto(proto))
    assert (found.parameters, found.weight_dtypes) == (elements, {name: size})


def test_strings_count_the_bytes_of_their_text() -> None:
    proto = onnx.parser.parse_model('<ir_version: 8, opset_import: ["" : 17]> g (float[1] x) => (y) { y = Relu(x) }')
    proto.graph.initializer.append(onnx.helper.make_tensor("s", onnx.TensorProto.STRING, [2], [b"ab", "é".encode()]))
    assert account(from_proto(proto)).weight_dtypes == {"string": 2 + 2}


def test_sparse_weights_count_what_is_stored() -> None:
    proto = onnx.parser.parse_model(
        '<ir_version: 8, opset_import: ["" : 17]> g (float[4,9] x) => (y) { y = Add(x, s) }'
    )
    values = onnx.numpy_helper.from_array(np.ones(3, np.float32), "s")
    indices = onnx.numpy_helper.from_array(np.array([1, 5, 7], np.int64), "places")
    proto.graph.sparse_initializer.append(onnx.helper.make_sparse_tensor(values, indices, [4, 9]))
    found = account(from_proto(proto))
    assert (found.constants, found.weight_dtypes) == (1, {"float32": 12, "int64": 24})


def external(name: str, size: int, offset: int) -> onnx.TensorProto:
    proto = onnx.TensorProto(name=name, data_type=onnx.TensorProto.FLOAT, dims=[size])
    proto.data_location = onnx.TensorProto.EXTERNAL
    for key, value in (("location", "w.bin"), ("offset", offset), ("length", 4 * size)):
        proto.external_data.add(key=key, value=str(value))
    return proto


def test_a_range_that_two_weights_share_counts_once(tmp_path: Path) -> None:
    proto = onnx.parser.parse_model(
        '<ir_version: 8, opset_import: ["" : 17]> g (float[6] x) => (y) { m = Mul(x, a) n = Mul(m, b) y = Add(n, c) }'
    )
    proto.graph.initializer.extend([external("a", 6, 0), external("b", 6, 0), external("c", 6, 24)])
    (tmp_path / "w.bin").write_bytes(np.arange(12, dtype=np.float32).tobytes())
    (tmp_path / "m.onnx").write_bytes(proto.SerializeToString())
    found = account(load(tmp_path / "m.onnx"))
    assert (found.constants, found.parameters, found.weight_bytes) == (3, 12, 48)


def test_file_bytes_have_the_data_file_in_them(tmp_path: Path) -> None:
    proto = onnx.parser.parse_model('<ir_version: 8, opset_import: ["" : 17]> g (float[6] x) => (y) { y = Mul(x, a) }')
    proto.graph.initializer.append(external("a", 6, 8))
    (tmp_path / "w.bin").write_bytes(bytes(40))
    (tmp_path / "m.onnx").write_bytes(proto.SerializeToString())
    model = load(tmp_path / "m.onnx")
    assert account(model, file=tmp_path / "m.onnx").file_bytes == len(proto.SerializeToString()) + 40
    save(model, tmp_path / "saved.onnx")
    sizes = [(tmp_path / name).stat().st_size for name in ("saved.onnx", "saved.onnx.data")]
    assert account(model, file=tmp_path / "saved.onnx").file_bytes == sum(sizes)


# Published figures for a picture of 224 x 224: ResNet-50 has 4.09 G multiply-accumulates, VGG-19 19.6 G, SqueezeNet 1.1
# 0.35 G, DenseNet-121 2.83 G. (The weights of these files are made by ConstantOfShape, so they hold few parameters.)
@pytest.mark.parametrize(
    ("name", "macs"),
    [
        ("light_resnet50", 4_089_184_256),
        ("light_vgg19", 19_632_062_464),
        ("light_squeezenet", 349_151_936),
        ("light_densenet121", 2_834_161_664),
    ],
)
def test_macs_of_published_networks(name: str, macs: int) -> None:
    found = account(load(LIGHT / f"{name}.onnx"))
    assert (found.macs, found.macs_unknown) == (macs, ())
