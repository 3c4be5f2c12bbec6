"""Statistics on the disk: the same bytes for the same samples, and nothing else is taken for them."""

from __future__ import annotations

import json
import os
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from graphopt.calibration.count import count
from graphopt.calibration.statistics import Statistics, TensorStatistics
from graphopt.errors import DataError, OutputError

HELP = "\n  help: `graphopt calibrate MODEL --data SOURCE -o STATS` writes such a file"


def gathered(arrays: list[np.ndarray[Any, Any]], names: list[str]) -> Statistics:
    found = Statistics("m", {n: TensorStatistics(n) for n in ("a", "b", "empty")})
    for array, name in zip(arrays, names, strict=True):
        count(found["a"], array, name, 1, products=True)
        count(found["b"], array * 2, name, None)
        found.samples += 1
    return found


def pictures(size: int) -> tuple[list[np.ndarray[Any, Any]], list[str]]:
    random = np.random.default_rng(0)
    return [random.standard_normal((2, 3, 5)).astype(np.float32) for _ in range(size)], [f"s{i}" for i in range(size)]


@settings(deadline=None)
@given(st.lists(npst.arrays(np.float32, (1, 2, 3), elements=st.floats(width=32)), max_size=4))
def test_what_is_read_is_what_was_written(tmp_path_factory: Any, arrays: list[np.ndarray[Any, Any]]) -> None:
    path = tmp_path_factory.mktemp("stats") / "a.stats"
    with np.errstate(over="ignore"):
        found = gathered(arrays, [f"s{i}" for i in range(len(arrays))])
    found.save(path)
    assert Statistics.load(path) == found


@pytest.mark.parametrize("shards", [1, 2, 7])
def test_the_bytes_do_not_tell_order_or_shards(tmp_path: Path, shards: int) -> None:
    arrays, names = pictures(15)
    gathered(arrays, names).save(tmp_path / "whole")
    merged: Statistics | None = None
    for shard in range(shards):
        gathered(arrays[::-1][shard::shards], names[::-1][shard::shards]).save(tmp_path / "part")
        part = Statistics.load(tmp_path / "part")
        if merged is None:
            merged = part
        else:
            merged.merge(part)
    assert merged is not None
    merged.save(tmp_path / "merged")
    assert (tmp_path / "merged").read_bytes() == (tmp_path / "whole").read_bytes()


def test_numpy_reads_it(tmp_path: Path) -> None:
    found = gathered(*pictures(2))
    found.save(tmp_path / "a.npz")
    with np.load(tmp_path / "a.npz") as arrays:
        header = json.loads(arrays["header"].tobytes())
        assert [t["name"] for t in header["tensors"]] == ["a", "b", "empty"]
        assert arrays["histograms"].reshape(3, -1).sum(axis=1).tolist() == [60, 60, 0]


def refusal(path: Path) -> str:
    with pytest.raises(DataError) as caught:
        Statistics.load(path)
    return str(caught.value)


def test_other_files_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.stats"
    assert refusal(path) == f"the statistics cannot be read: No such file or directory\n  at: {path}{HELP}"
    garbled = f"the statistics cannot be read: it is no such file, or garbled\n  at: {path}{HELP}"
    path.write_bytes(b"nothing of the kind")
    assert refusal(path) == garbled
    np.savez(tmp_path / "b.npz", a=np.zeros(3))
    os.replace(tmp_path / "b.npz", path)
    assert refusal(path) == garbled


def test_a_file_cut_short_or_changed_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.stats"
    gathered(*pictures(2)).save(path)
    whole = path.read_bytes()
    for end in (10, len(whole) // 2, len(whole) - 1):
        path.write_bytes(whole[:end])
        assert refusal(path).startswith("the statistics cannot be read: it is no such file, or garbled")


def rewritten(path: Path, **changes: Any) -> None:
    """Write the file again with another header."""
    with zipfile.ZipFile(path) as archive:
        contents = {name: archive.read(name) for name in archive.namelist()}
    with np.load(path) as arrays:
        header = json.loads(arrays["header"].tobytes()) | changes
    np.save(path.with_name("h.npy"), np.frombuffer(json.dumps(header).encode(), np.uint8))
    contents["header.npy"] = path.with_name("h.npy").read_bytes()
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in contents.items():
            archive.writestr(name, content)


def test_a_later_form_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.stats"
    gathered(*pictures(1)).save(path)
    rewritten(path, schema="graphopt.statistics/2")
    assert refusal(path) == (
        "the statistics are in the form 'graphopt.statistics/2', and this version of graphopt reads "
        f"'graphopt.statistics/1'\n  at: {path}\n  help: collect them again"
    )


@pytest.mark.parametrize("tensors", [None, 3, [3], [{}], [{"name": "a"}] * 9])
def test_a_header_that_says_something_else_is_refused(tmp_path: Path, tensors: Any) -> None:
    path = tmp_path / "a.stats"
    gathered(*pictures(1)).save(path)
    rewritten(path, tensors=tensors)
    assert refusal(path).startswith("the statistics cannot be read: it is no such file, or garbled")


def test_a_file_that_cannot_be_written_says_so(tmp_path: Path) -> None:
    with pytest.raises(OutputError) as caught:
        gathered(*pictures(1)).save(tmp_path / "none" / "a.stats")
    assert str(caught.value) == f"cannot write {tmp_path / 'none' / 'a.stats'}: No such file or directory"
