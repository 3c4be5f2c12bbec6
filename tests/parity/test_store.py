"""Arrays in memory and on disk."""

from __future__ import annotations

from typing import Any

import ml_dtypes
import numpy as np

from graphopt.parity.store import ArrayStore


def test_small_things_stay_in_memory_as_copies() -> None:
    with ArrayStore(1000) as store:
        array = np.arange(10)
        kept = store.keep({"a": array, "b": [array, None], "c": np.array(["x"], object)})
        array[0] = 99
        assert kept["a"][0] == 0
        assert not isinstance(kept["a"], np.memmap)
        assert kept["b"][1] is None
        assert kept["c"].tolist() == ["x"]


def test_what_exceeds_the_limit_is_on_disk_until_the_store_closes() -> None:
    with ArrayStore(100) as store:
        arrays: list[Any] = [
            np.arange(100, dtype=np.float32).reshape(4, 25).T,
            np.arange(100).astype(ml_dtypes.bfloat16),
            np.zeros((0, 5), np.float32),
            np.array(["text"] * 100, object),
        ]
        kept = store.keep(arrays)
        folder = store.folder
        assert len(list(folder.iterdir())) == 2
        for before, after in zip(arrays, kept, strict=True):
            assert after.dtype == before.dtype
            assert after.shape == before.shape
            assert np.array_equal(before, after)
        del kept
    assert not folder.exists()
