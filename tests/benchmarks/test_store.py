from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from benchmarks.optimize.store import NotKept, Store, digest, files_of, size_of


def test_what_was_made_is_found_by_what_it_depends_on(tmp_path: Path) -> None:
    store = Store(tmp_path / "kept")

    def work(folder: Path) -> Mapping[str, object]:
        (folder / "model.onnx").write_bytes(b"123")
        return {"nodes": 3}

    assert store.find("made", {"onnx": "1"}, 120.0) is None
    assert store.make(("made", {"onnx": "1"}, 120.0), work) == {"nodes": 3}
    assert store.find("made", {"onnx": "1"}, 120.0) == {"nodes": 3}
    assert (store.place("made", {"onnx": "1"}, 120.0) / "model.onnx").read_bytes() == b"123"
    assert store.find("made", {"onnx": "2"}, 120.0) is None


def test_nothing_is_kept_of_work_that_is_interrupted(tmp_path: Path) -> None:
    store = Store(tmp_path)

    def work(folder: Path) -> Mapping[str, object]:
        (folder / "model.onnx").write_bytes(b"12")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        store.make(("made",), work)
    assert store.find("made") is None
    assert list(tmp_path.iterdir()) == []


def test_made_again_replaces_what_was_kept(tmp_path: Path) -> None:
    store = Store(tmp_path)
    store.make(("x",), lambda folder: {"file": str((folder / "old").write_bytes(b"1"))})
    store.make(("x",), lambda _: {"file": "none"})
    assert store.find("x") == {"file": "none"}
    assert [p.name for p in store.place("x").iterdir()] == ["found.json"]


def test_a_data_file_is_a_part_of_its_model(tmp_path: Path) -> None:
    alone, model = tmp_path / "alone.onnx", tmp_path / "model.onnx"
    alone.write_bytes(b"graph")
    model.write_bytes(b"graph")
    (tmp_path / "model.onnx.data").write_bytes(b"weights")
    assert size_of(model) == 12
    assert [f.name for f in files_of(model)] == ["model.onnx", "model.onnx.data"]
    assert digest(model) != digest(alone)


def test_a_frozen_store_finds_nothing_new(tmp_path: Path) -> None:
    Store(tmp_path).make(("x",), lambda _: {"nodes": 1})
    frozen = Store(tmp_path, frozen=True)
    assert frozen.find("x") == {"nodes": 1}
    with pytest.raises(NotKept):
        frozen.make(("y",), lambda _: {"nodes": 2})
