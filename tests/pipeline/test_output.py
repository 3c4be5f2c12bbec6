"""The output folder: whole or not at all, and nobody else's files touched."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

import graphopt
from graphopt.errors import OutputError, UsageError
from graphopt.pipeline.output import staging
from tests.pipeline.command import EARLIER, SMALL, contents, save, write

OURS = {"model.onnx", "report.json", "journal.jsonl", "engines", "engines/onnxruntime"}


def test_a_new_folder_appears_with_its_parents(tmp_path: Path) -> None:
    source = save(SMALL, tmp_path / "source.onnx")
    graphopt.compile(source, tmp_path / "a" / "b" / "out")
    assert {str(p.relative_to(tmp_path)) for p in tmp_path.rglob("*")} == {
        "source.onnx",
        "a",
        "a/b",
        "a/b/out",
        *(f"a/b/out/{name}" for name in OURS),
        "a/b/out/engines/onnxruntime/model.json",
    }


def test_it_has_the_permissions_of_anything_new(tmp_path: Path) -> None:
    source = save(SMALL, tmp_path / "source.onnx")
    before = os.umask(0o027)
    try:
        graphopt.compile(source, tmp_path / "out")
    finally:
        os.umask(before)
    modes = {str(p.relative_to(tmp_path)): p.stat().st_mode & 0o777 for p in tmp_path.rglob("*")}
    assert {modes[name] for name in ("out", "out/engines", "out/engines/onnxruntime")} == {0o750}
    assert {modes[f"out/{name}"] for name in ("model.onnx", "report.json", "journal.jsonl")} == {0o640}


def test_what_an_earlier_run_left_is_replaced_and_the_rest_stays(tmp_path: Path) -> None:
    source = save(SMALL, tmp_path / "source.onnx")
    out = write(
        tmp_path / "out",
        {
            **EARLIER,
            "model.onnx.data": b"old",
            "engines/tensorrt-rtx/model.engine": b"old",
            "engines/mine.bin": b"mine",
        },
    )
    graphopt.compile(source, out)
    left = contents(out)
    assert set(left) == {*OURS, "engines/onnxruntime/model.json", "engines/mine.bin", "notes.txt"}
    assert left["notes.txt"] == EARLIER["notes.txt"]
    assert left["engines/mine.bin"] == b"mine"
    assert not any(left[name] == content for name, content in EARLIER.items() if name != "notes.txt")


def test_a_link_to_a_folder_is_a_folder(tmp_path: Path) -> None:
    source = save(SMALL, tmp_path / "source.onnx")
    (tmp_path / "real").mkdir()
    (tmp_path / "out").symlink_to("real")
    graphopt.compile(source, tmp_path / "out")
    assert (tmp_path / "out").is_symlink()
    assert (tmp_path / "real" / "model.onnx").is_file()


@pytest.mark.parametrize("name", ["model.onnx", "model.onnx.data", "report.json", "journal.jsonl"])
def test_a_folder_where_a_file_is_to_be(tmp_path: Path, name: str) -> None:
    write(tmp_path / "out", {f"{name}/inside": b""})
    with pytest.raises(UsageError) as error, staging(tmp_path / "out"):
        pass
    assert str(error.value) == (
        f"{tmp_path}/out/{name} is a folder, where a file is to be written\n  help: name another folder"
    )


def test_a_file_where_a_folder_is_to_be(tmp_path: Path) -> None:
    write(tmp_path / "out", {"engines": b""})
    with pytest.raises(UsageError) as error, staging(tmp_path / "out"):
        pass
    assert str(error.value) == f"{tmp_path}/out/engines is a file, where a folder is to be\n  help: name another folder"


def test_a_link_to_nowhere_is_no_folder(tmp_path: Path) -> None:
    (tmp_path / "out").symlink_to("nowhere")
    with pytest.raises(UsageError) as error, staging(tmp_path / "out"):
        pass
    assert str(error.value) == f"the output {tmp_path}/out is a file\n  help: name a folder"


def test_the_model_that_is_compiled_is_not_replaced(tmp_path: Path) -> None:
    source = save(SMALL, tmp_path / "model.onnx")
    before = contents(tmp_path)
    with pytest.raises(UsageError) as error:
        graphopt.compile(source, tmp_path)
    assert str(error.value) == (
        f"the output would take the place of {source}, which is being compiled\n  help: name another folder"
    )
    assert contents(tmp_path) == before


def test_the_data_of_the_model_that_is_compiled_is_not_replaced(tmp_path: Path) -> None:
    """Not even by its absence: a run without external data removes what looks like that of an earlier one."""
    weight = numpy_helper.from_array(np.ones(1024, np.float32), "w")
    x, y = (helper.make_tensor_value_info(name, TensorProto.FLOAT, [1024]) for name in "xy")
    graph = helper.make_graph([helper.make_node("Add", ["x", "w"], ["y"])], "g", [x], [y], [weight])
    model = helper.make_model(graph, ir_version=8, opset_imports=[helper.make_opsetid("", 17)])
    source = tmp_path / "other.onnx"
    onnx.save(model, source, save_as_external_data=True, location="model.onnx.data", size_threshold=0)
    before = contents(tmp_path)
    with pytest.raises(UsageError) as error:
        graphopt.compile(source, tmp_path)
    assert str(error.value) == (
        f"the output would take the place of {tmp_path}/model.onnx.data, which is being compiled\n"
        "  help: name another folder"
    )
    assert contents(tmp_path) == before


def test_an_error_leaves_nothing_and_takes_back_the_folders_that_were_made(tmp_path: Path) -> None:
    def fail() -> None:
        with staging(tmp_path / "a" / "b") as folder:
            write(folder.folder, {"model.onnx": b"new", "engines/x/model.json": b"new"})
            raise OutputError("no")

    with pytest.raises(OutputError):
        fail()
    assert contents(tmp_path) == {}


def test_an_error_speaks_of_the_folder_that_was_named(tmp_path: Path) -> None:
    with pytest.raises(OutputError) as error, staging(tmp_path / "out") as folder:
        raise OutputError(f"cannot write {folder.folder}/model.onnx", where=f"{folder.folder}/x")
    assert str(error.value) == f"cannot write {tmp_path}/out/model.onnx\n  at: {tmp_path}/out/x"


def publish_beside(out: Path, new: dict[str, bytes], meanwhile: dict[str, bytes]) -> None:
    with staging(out) as folder:
        write(folder.folder, new)
        write(out, meanwhile)
        folder.publish()


def test_a_move_that_fails_is_taken_back_with_all_before_it(tmp_path: Path) -> None:
    """The fourth of five files cannot be moved: three are in their places by then, two of which took that of others."""
    out = write(tmp_path / "out", {"engines/x/a.json": b"old", "model.onnx": b"old", "report.json": b"old"})
    before = contents(out)
    new = {
        "engines/x/a.json": b"new",
        "journal.jsonl": b"new",
        "model.onnx": b"new",
        "zz": b"new",
        "report.json": b"new",
    }
    with pytest.raises(OutputError) as error:
        publish_beside(out, new, {"zz/somebody made this meanwhile": b""})
    assert str(error.value) == f"cannot write into {out}: Is a directory"
    assert contents(out) == {**before, "zz": None, "zz/somebody made this meanwhile": b""}


def test_what_was_moved_before_is_not_lost_where_links_are_impossible(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Some file systems have no hard links, and none of those is at hand: so the call fails as it does there."""

    def refuse(*paths: object, **options: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "link", refuse)
    out = write(tmp_path / "out", {"model.onnx": b"old"})
    with pytest.raises(OutputError):
        publish_beside(out, {"model.onnx": b"new", "zz": b"new"}, {"zz/somebody made this meanwhile": b""})
    assert (out / "model.onnx").read_bytes() == b"old"
