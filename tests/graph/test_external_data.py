"""Weights in files beside the model: mapped, confined to the model's folder, and written whole or not at all."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import ml_dtypes
import numpy as np
import onnx
import onnx.parser
import onnxruntime
import pytest
from onnx import ModelProto, TensorProto

from graphopt.errors import ModelError, OutputError
from graphopt.graph.graph import Value
from graphopt.graph.load import from_proto, load
from graphopt.graph.model import Model
from graphopt.graph.save import save
from graphopt.graph.tensor import Tensor
from graphopt.graph.validate import violations

SHORT = "\n  help: the data file is cut short or belongs to another model; export or download both again"
OUTSIDE = "\n  help: copy the data file beside the model (links are followed) and export with a relative location"
DATA = np.arange(3000, dtype=np.float32)


def reference(name: str = "w", dims: tuple[int, ...] = (1000,), dtype: int = 1, **entries: object) -> TensorProto:
    proto = TensorProto(name=name, data_type=dtype, dims=dims, data_location=TensorProto.EXTERNAL)
    for key, value in {"location": "w.bin", **entries}.items():
        proto.external_data.add(key=key, value=str(value))
    return proto


def model_with(*weights: TensorProto) -> ModelProto:
    adds = " ".join(f"v{i + 1} = Add(v{i}, {w.name})" for i, w in enumerate(weights))
    proto = onnx.parser.parse_model(
        f'<ir_version: 8, opset_import: ["" : 17]> g (float[1000] v0) => (v{len(weights)}) {{ {adds} }}'
    )
    proto.graph.initializer.extend(weights)
    return proto


def written(proto: ModelProto, folder: Path, data: bytes | None = None) -> Path:
    folder.mkdir(exist_ok=True)
    (folder / "m.onnx").write_bytes(proto.SerializeToString())
    (folder / "w.bin").write_bytes(DATA.tobytes() if data is None else data)
    return folder / "m.onnx"


def weight(model: Model, name: str) -> Tensor:
    value: Value = next(v for v in model.graph.initializers if v.name == name)
    assert value.initializer is not None
    return value.initializer


def run(path: Path) -> np.ndarray:
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    (found,) = session.run(None, {"v0": np.zeros(1000, np.float32)})
    return np.asarray(found)


def test_weights_are_mapped_not_read(tmp_path: Path) -> None:
    model = load(written(model_with(reference(offset=4000)), tmp_path))
    array = weight(model, "w").numpy()
    base: object = array
    while isinstance(base, np.ndarray) and not isinstance(base, np.memmap):
        base = base.base
    assert isinstance(base, np.memmap)
    assert not array.flags.writeable
    np.testing.assert_array_equal(array, DATA[1000:2000])
    assert model.external


@pytest.mark.parametrize(
    "dtype", [ml_dtypes.int4, ml_dtypes.uint2, ml_dtypes.bfloat16, ml_dtypes.float8_e5m2, np.bool_]
)
def test_every_width_reads_from_the_file(tmp_path: Path, dtype: type) -> None:
    array = (np.arange(21) % 2).astype(dtype)
    inline = onnx.numpy_helper.from_array(array, "w")
    proto = onnx.parser.parse_model('<ir_version: 13, opset_import: ["" : 25]> g (float[1] x) => (y) { y = Relu(x) }')
    proto.graph.initializer.append(reference(dims=(21,), dtype=inline.data_type, offset=5))
    path = written(proto, tmp_path, bytes(5) + inline.raw_data)
    assert weight(load(path), "w").numpy().tobytes() == array.tobytes()


def test_a_model_with_data_beside_it_is_saved_so(tmp_path: Path) -> None:
    model = load(written(model_with(reference("a"), reference("b", offset=4000)), tmp_path / "in"))
    (tmp_path / "out").mkdir()
    save(model, tmp_path / "out" / "small.onnx")
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == ["small.onnx", "small.onnx.data"]
    again = load(tmp_path / "out" / "small.onnx")
    assert violations(again) == []
    np.testing.assert_array_equal(weight(again, "a").numpy(), DATA[:1000])
    np.testing.assert_array_equal(weight(again, "b").numpy(), DATA[1000:2000])
    np.testing.assert_array_equal(run(tmp_path / "out" / "small.onnx"), DATA[:1000] + DATA[1000:2000])


def test_a_shared_range_is_written_once(tmp_path: Path) -> None:
    model = load(written(model_with(*(reference(f"w{i}") for i in range(50))), tmp_path))
    save(model, tmp_path / "out.onnx")
    assert (tmp_path / "out.onnx.data").stat().st_size == 4000
    np.testing.assert_array_equal(run(tmp_path / "out.onnx"), 50 * DATA[:1000])


def test_weights_are_aligned_for_mapping(tmp_path: Path) -> None:
    model = load(written(model_with(reference("a"), reference("b", offset=4000)), tmp_path))
    save(model, tmp_path / "out.onnx")
    offsets = [
        e.value
        for t in onnx.load(tmp_path / "out.onnx", load_external_data=False).graph.initializer
        for e in t.external_data
        if e.key == "offset"
    ]
    assert offsets == ["0", "4096"]


def test_small_weights_stay_in_the_model(tmp_path: Path) -> None:
    proto = model_with(reference("a"), onnx.numpy_helper.from_array(np.ones(1000, np.float32), "b"))
    proto.graph.initializer.append(onnx.numpy_helper.from_array(np.ones(9, np.float32), "small"))
    save(load(written(proto, tmp_path)), tmp_path / "out.onnx")
    kept = onnx.load(tmp_path / "out.onnx", load_external_data=False).graph.initializer
    assert [t.data_location for t in kept] == [TensorProto.EXTERNAL, TensorProto.EXTERNAL, TensorProto.DEFAULT]


def test_a_model_may_be_saved_over_itself(tmp_path: Path) -> None:
    path = written(model_with(reference(location="m.onnx.data")), tmp_path)
    (tmp_path / "w.bin").rename(tmp_path / "m.onnx.data")
    save(load(path), path)
    np.testing.assert_array_equal(run(path), DATA[:1000])


def test_data_in_a_constant_node(tmp_path: Path) -> None:
    """`onnx.save_model(..., convert_attribute=True)` writes such files."""
    proto = onnx.parser.parse_model(
        '<ir_version: 8, opset_import: ["" : 17]> g (float[1000] v0) => (y) { k = Constant() y = Add(v0, k) }'
    )
    proto.graph.node[0].attribute.add(name="value", type=onnx.AttributeProto.TENSOR).t.CopyFrom(reference())
    model = load(written(proto, tmp_path / "in"))
    (tmp_path / "out").mkdir()
    save(model, tmp_path / "out" / "m.onnx")
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == ["m.onnx", "m.onnx.data"]
    np.testing.assert_array_equal(run(tmp_path / "out" / "m.onnx"), DATA[:1000])


def test_data_in_a_subfolder(tmp_path: Path) -> None:
    path = written(model_with(reference(location="weights/w.bin")), tmp_path)
    (tmp_path / "weights").mkdir()
    (tmp_path / "w.bin").rename(tmp_path / "weights" / "w.bin")
    np.testing.assert_array_equal(weight(load(path), "w").numpy(), DATA[:1000])


def test_a_link_inside_the_folder_is_followed(tmp_path: Path) -> None:
    path = written(model_with(reference(location="link.bin")), tmp_path)
    (tmp_path / "link.bin").symlink_to("w.bin")
    np.testing.assert_array_equal(weight(load(path), "w").numpy(), DATA[:1000])


def test_a_model_reached_through_a_linked_folder(tmp_path: Path) -> None:
    written(model_with(reference()), tmp_path / "real")
    (tmp_path / "link").symlink_to("real")
    np.testing.assert_array_equal(weight(load(tmp_path / "link" / "m.onnx"), "w").numpy(), DATA[:1000])


# --- refused ---


def refused(path: Path) -> str:
    with pytest.raises(ModelError) as caught:
        load(path)
    return str(caught.value)


@pytest.mark.parametrize("location", ["../w.bin", "sub/../../w.bin", "/etc/passwd", ".."])
def test_a_path_that_leaves_the_folder(tmp_path: Path, location: str) -> None:
    path = written(model_with(reference(location=location)), tmp_path / "in")
    (tmp_path / "w.bin").write_bytes(DATA.tobytes())
    assert refused(path) == f"weight 'w' points outside the model's folder: {location!r}{OUTSIDE}"


def linked_file(folder: Path) -> None:
    (folder / "w.bin").symlink_to("../w.bin")


def linked_folder(folder: Path) -> None:
    (folder / "sub").symlink_to("..")


@pytest.mark.parametrize(("link", "location"), [(linked_file, "w.bin"), (linked_folder, "sub/w.bin")])
def test_a_link_that_leaves_the_folder(tmp_path: Path, link: Callable[[Path], None], location: str) -> None:
    path = written(model_with(reference(location=location)), tmp_path / "in")
    (tmp_path / "in" / "w.bin").rename(tmp_path / "w.bin")
    link(tmp_path / "in")
    assert refused(path) == f"weight 'w' points outside the model's folder: {location!r}{OUTSIDE}"


def test_a_missing_data_file(tmp_path: Path) -> None:
    path = written(model_with(reference()), tmp_path)
    (tmp_path / "w.bin").unlink()
    assert refused(path) == f"the data file 'w.bin' of weight 'w' is missing\n  help: put it into {tmp_path}"


def test_a_pipe_is_no_data_file(tmp_path: Path) -> None:
    path = written(model_with(reference()), tmp_path)
    (tmp_path / "w.bin").unlink()
    os.mkfifo(tmp_path / "w.bin")
    assert refused(path) == f"the data file 'w.bin' of weight 'w' is missing\n  help: put it into {tmp_path}"


def test_a_loop_of_links(tmp_path: Path) -> None:
    path = written(model_with(reference(location="loop")), tmp_path)
    (tmp_path / "loop").symlink_to("loop")
    assert refused(path).startswith("weight 'w' names a data file that cannot be read, 'loop': ")


@pytest.mark.parametrize("location", ["w\0.bin", "w" * 5000])
def test_a_name_that_no_file_can_have(tmp_path: Path, location: str) -> None:
    path = written(model_with(reference(location=location)), tmp_path)
    assert refused(path).startswith(f"weight 'w' names a data file that cannot be read, {location!r}: ")


def test_a_data_file_that_is_cut_short(tmp_path: Path) -> None:
    path = written(model_with(reference(offset=8004)), tmp_path)
    assert refused(path) == (
        f"weight 'w' needs 4000 bytes; the file says 4000 at offset 8004 of 'w.bin', which has 12000{SHORT}"
    )


def test_a_length_that_does_not_fit_the_shape(tmp_path: Path) -> None:
    path = written(model_with(reference(length=3996)), tmp_path)
    assert refused(path) == (
        f"weight 'w' needs 4000 bytes; the file says 3996 at offset 0 of 'w.bin', which has 12000{SHORT}"
    )


@pytest.mark.parametrize("text", ["-4", "4.0", "0x10", "four", "٤", "9" * 20])
def test_an_offset_that_is_no_size(tmp_path: Path, text: str) -> None:
    path = written(model_with(reference(offset=text)), tmp_path)
    assert refused(path) == f"weight 'w': external data has offset {text!r}, which is no size in bytes"


def test_a_shape_larger_than_any_file(tmp_path: Path) -> None:
    path = written(model_with(reference(dims=(2**31, 2**31))), tmp_path)
    assert refused(path) == (
        f"weight 'w' has the impossible shape [{2**31}, {2**31}]\n"
        "  help: the file is damaged; export or download it again"
    )


def test_text_in_an_external_file(tmp_path: Path) -> None:
    path = written(model_with(reference(dtype=TensorProto.STRING)), tmp_path)
    assert refused(path) == (
        "weight 'w' is text in an external file, where only numbers can be\n"
        "  help: the file is damaged; export or download it again"
    )


def test_a_model_from_memory_has_no_folder() -> None:
    with pytest.raises(ModelError) as caught:
        from_proto(model_with(reference()))
    assert str(caught.value) == (
        "weight 'w' lies in the file 'w.bin', but the model was not read from a folder\n"
        "  help: load the model from its file"
    )


# --- writing ---


def test_a_data_file_that_shrinks_while_it_is_copied(tmp_path: Path) -> None:
    model = load(written(model_with(reference()), tmp_path))
    (tmp_path / "w.bin").write_bytes(b"short")
    before = sorted(p.name for p in tmp_path.iterdir())
    with pytest.raises(OutputError) as caught:
        save(model, tmp_path / "out.onnx")
    assert str(caught.value) == (
        f"cannot write {tmp_path}/out.onnx.data: {tmp_path}/w.bin became shorter while it was read"
    )
    assert sorted(p.name for p in tmp_path.iterdir()) == before


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    model = load(written(model_with(reference()), tmp_path))
    with pytest.raises(OutputError) as caught:
        save(model, tmp_path / "gone" / "out.onnx")
    assert str(caught.value) == f"cannot write {tmp_path}/gone/out.onnx: No such file or directory"


def test_the_previous_output_outlives_a_failure(tmp_path: Path) -> None:
    path = written(model_with(reference()), tmp_path)
    save(load(path), tmp_path / "out.onnx")
    before = {p.name: p.read_bytes() for p in tmp_path.iterdir()}
    model = load(path)
    model.graph.inputs[0].declared = None  # what no pass may do: the second file of the two cannot be made
    with pytest.raises(AssertionError):
        save(model, tmp_path / "out.onnx")
    assert {p.name: p.read_bytes() for p in tmp_path.iterdir()} == before


@pytest.mark.slow
def test_weights_beyond_what_protobuf_holds_go_beside_the_model(tmp_path: Path) -> None:
    """2.4 GB in three weights that a pass computed; the model came without data beside it."""
    model = from_proto(model_with(onnx.numpy_helper.from_array(np.ones(1000, np.float32), "w")))
    for _ in range(3):
        model.graph.add_initializer(Tensor.of(np.zeros((200_000, 1000), np.float32)), "large")
    save(model, tmp_path / "out.onnx")
    assert (tmp_path / "out.onnx").stat().st_size < 10_000
    assert (tmp_path / "out.onnx.data").stat().st_size >= 2_400_000_000
    again = load(tmp_path / "out.onnx")
    assert [v.shape for v in again.graph.initializers] == [(1000,), *[(200_000, 1000)] * 3]
    np.testing.assert_array_equal(run(tmp_path / "out.onnx"), np.ones(1000, np.float32))
