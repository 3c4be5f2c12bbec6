"""The cache of exports: whole entries, checked when read, whatever other processes do."""

from __future__ import annotations

import multiprocessing
import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from graphopt.caches import cache_root
from graphopt.exporting.cache import Cache, Damaged

KEY = "0" * 64
RECORD = {"exporter": "dynamo", "warnings": ["one"]}


@pytest.fixture
def model(tmp_path: Path) -> Path:
    path = tmp_path / "made" / "model.onnx"
    path.parent.mkdir()
    path.write_bytes(b"a model")
    return path


@pytest.fixture
def cache(tmp_path: Path) -> Cache:
    return Cache(tmp_path / "cache")


def entry_folder(tmp_path: Path) -> Path:
    return tmp_path / "cache" / "exports" / KEY


def test_what_is_put_is_found(cache: Cache, model: Path, tmp_path: Path) -> None:
    assert cache.find(KEY) is None
    cache.put(KEY, model, RECORD)
    found = cache.find(KEY)
    assert found is not None
    assert found.model.read_bytes() == b"a model"
    assert found.record == RECORD
    assert sorted(p.name for p in entry_folder(tmp_path).iterdir()) == ["entry.json", "model.onnx"]
    assert [p.name for p in entry_folder(tmp_path).parent.iterdir()] == [KEY]
    assert cache.find("1" * 64) is None


def test_data_beside_the_model_is_kept_with_it(cache: Cache, model: Path) -> None:
    model.with_name("model.onnx.data").write_bytes(b"weights")
    cache.put(KEY, model, RECORD)
    found = cache.find(KEY)
    assert found is not None
    assert found.model.with_name("model.onnx.data").read_bytes() == b"weights"


def write(name: str, text: str) -> Callable[[Path], object]:
    return lambda folder: (folder / name).write_text(text)


@pytest.mark.parametrize(
    ("damage", "text"),
    [
        (write("model.onnx", "a modem"), f"model.onnx of {KEY} has other content than was written"),
        (write("model.onnx", ""), f"model.onnx of {KEY} has other content than was written"),
        (lambda folder: (folder / "model.onnx").unlink(), f"{KEY} lacks files"),
        (lambda folder: (folder / "entry.json").unlink(), f"{KEY} lacks files"),
        (write("entry.json", "{"), f"the record of {KEY} is no record"),
        (write("entry.json", "[]"), f"the record of {KEY} is no record"),
        (write("entry.json", '{"files": 3}'), f"the record of {KEY} is no record"),
        (write("entry.json", '{"files": {}, "record": {}}'), f"{KEY} names no model"),
        (
            write("entry.json", '{"files": {"../x": "0", "model.onnx": "0"}, "record": {}}'),
            f"../x of {KEY} has other content than was written",
        ),
    ],
)
def test_damage_is_noticed_and_can_be_mended(
    cache: Cache, model: Path, tmp_path: Path, damage: Callable[[Path], object], text: str
) -> None:
    cache.put(KEY, model, RECORD)
    damage(entry_folder(tmp_path))
    with pytest.raises(Damaged) as caught:
        cache.find(KEY)
    assert str(caught.value) == text
    cache.drop(KEY)
    assert cache.find(KEY) is None
    cache.put(KEY, model, RECORD)
    found = cache.find(KEY)
    assert found is not None
    assert found.record == RECORD


def test_an_entry_that_is_there_stays(cache: Cache, model: Path, tmp_path: Path) -> None:
    cache.put(KEY, model, RECORD)
    model.write_bytes(b"another")
    cache.put(KEY, model, {})
    found = cache.find(KEY)
    assert found is not None
    assert (found.model.read_bytes(), found.record) == (b"a model", RECORD)
    assert [p.name for p in entry_folder(tmp_path).parent.iterdir()] == [KEY]


def test_a_failed_write_leaves_nothing(cache: Cache, model: Path, tmp_path: Path) -> None:
    with pytest.raises(TypeError):
        cache.put(KEY, model, {"not": {1}})
    assert list((tmp_path / "cache" / "exports").iterdir()) == []


def test_what_a_dead_process_left_is_swept_and_what_a_living_one_writes_is_not(
    cache: Cache, model: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "cache" / "exports"
    for name, age in ((".new-dead", 90_000), (".old-dead", 90_000), (".new-living", 60)):
        (folder / name).mkdir(parents=True)
        then = time.time() - age
        os.utime(folder / name, (then, then))
    cache.put(KEY, model, RECORD)
    assert sorted(p.name for p in folder.iterdir()) == [".new-living", KEY]


def _race(root: Path, model: Path, rounds: int) -> int:
    """Put, read, damage and drop one entry; gives how often a read found something that was never written."""
    cache, wrong = Cache(root), 0
    for number in range(rounds):
        cache.put(KEY, model, RECORD)
        try:
            found = cache.find(KEY)
        except Damaged:
            cache.drop(KEY)
            continue
        wrong += found is not None and found.record != RECORD
        if number % 7 == 0:
            cache.drop(KEY)
    return wrong


def test_processes_may_race(model: Path, tmp_path: Path) -> None:
    with multiprocessing.get_context("spawn").Pool(3) as pool:
        wrong = pool.starmap(_race, [(tmp_path / "cache", model, 60)] * 3)
    assert wrong == [0, 0, 0]
    assert [p.name for p in (tmp_path / "cache" / "exports").iterdir() if p.name != KEY] == []


def test_where_the_cache_is(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("GRAPHOPT_CACHE", raising=False)
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    assert cache_root() == tmp_path / ".cache" / "graphopt"
    monkeypatch.setenv("XDG_CACHE_HOME", "relative")  # the standard says: ignore
    assert cache_root() == tmp_path / ".cache" / "graphopt"
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert cache_root() == tmp_path / "xdg" / "graphopt"
    monkeypatch.setenv("GRAPHOPT_CACHE", "~/own")
    assert cache_root() == tmp_path / "own"
    assert cache_root(Path("chosen")) == Path("chosen")
