"""Statistics in a file: a .npz, so that numpy reads it as well, whose bytes follow from the statistics alone.

Arrays of all tensors lie end to end, in the order of the header, which says what belongs to which.
"""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Iterator, Mapping
from math import inf
from pathlib import Path
from typing import Any, cast

import numpy as np

from graphopt.calibration.channels import Channels
from graphopt.calibration.exact import ExactSums
from graphopt.calibration.histogram import BINS, Histogram
from graphopt.calibration.statistics import Statistics, TensorStatistics
from graphopt.data.array_files import UNREADABLE
from graphopt.data.sample import Array
from graphopt.errors import DataError
from graphopt.graph.files import whole_file

SCHEMA = "graphopt.statistics/1"

_LEVEL = 3
"""Of compression: higher ones take many times as long for a few per cent."""

_TYPES = {
    "header": np.uint8,
    "histograms": np.int64,
    "counts": np.int64,
    "minimum": np.float64,
    "maximum": np.float64,
    "sums": np.int64,
    "squares": np.int64,
    "products": np.int64,
}
"""The arrays of a file. `histograms` is [tensors, 8192]; the others are flat, channel after channel, and the limbs of
sums, squares and products row after row."""


def save_statistics(statistics: Statistics, path: Path) -> None:
    """
    Raises:
        OutputError: the file cannot be written.
    """
    tensors = list(statistics.values())
    channels = [t.channels for t in tensors if t.channels is not None]
    products = [c.products for c in channels if c.products is not None]
    for sums in (*(c.sums for c in channels), *(c.squares for c in channels), *products):
        sums.settle()
    header = {
        "schema": SCHEMA,
        "model": statistics.model,
        "samples": statistics.samples,
        "tensors": [_described(t) for t in tensors],
    }
    arrays: dict[str, list[Array]] = {
        "header": [np.frombuffer(json.dumps(header, separators=(",", ":")).encode(), np.uint8)],
        "histograms": [t.histogram.counts for t in tensors],
        "counts": [c.counts for c in channels],
        "minimum": [c.minimum for c in channels],
        "maximum": [c.maximum for c in channels],
        "sums": [c.sums.limbs.reshape(-1) for c in channels],
        "squares": [c.squares.limbs.reshape(-1) for c in channels],
        "products": [p.limbs.reshape(-1) for p in products],
    }
    with whole_file(path) as stream, zipfile.ZipFile(stream, "w") as archive:
        for name, parts in arrays.items():
            _write(archive, name, np.concatenate([np.zeros(0, _TYPES[name]), *parts]))


def load_statistics(path: Path) -> Statistics:
    """
    Raises:
        DataError: the file cannot be read, or is no file of statistics.
    """
    try:
        with path.open("rb") as stream, zipfile.ZipFile(stream) as archive:
            arrays = {name: _read(archive, name, dtype) for name, dtype in _TYPES.items()}
        return _statistics(arrays, path)
    except (*UNREADABLE, TypeError, IndexError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else "it is no such file, or garbled"
        raise DataError(
            f"the statistics cannot be read: {reason}",
            where=str(path),
            help="`graphopt calibrate MODEL --data SOURCE -o STATS` writes such a file",
        ) from None


def _described(tensor: TensorStatistics) -> dict[str, Any]:
    channels = tensor.channels
    return {
        **tensor.figures(),
        "exponent": tensor.histogram.exponent,
        "channels": None
        if channels is None
        else {
            "axis": channels.axis,
            "size": channels.size,
            "sums": [channels.sums.low, channels.sums.limbs.shape[1]],
            "squares": [channels.squares.low, channels.squares.limbs.shape[1]],
            "products": None
            if channels.products is None
            else [channels.products.low, channels.products.limbs.shape[1]],
        },
    }


def _write(archive: zipfile.ZipFile, name: str, array: Array) -> None:
    info = zipfile.ZipInfo(f"{name}.npy")  # dated 1980, whenever it is written
    info.compress_type = zipfile.ZIP_DEFLATED
    content = io.BytesIO()
    np.lib.format.write_array(content, np.ascontiguousarray(array), allow_pickle=False)
    archive.writestr(info, content.getvalue(), compresslevel=_LEVEL)


def _read(archive: zipfile.ZipFile, name: str, dtype: type[np.generic]) -> Array:
    with archive.open(f"{name}.npy") as stream:
        array = np.lib.format.read_array(stream, allow_pickle=False)
    if array.dtype != dtype or array.ndim != 1:
        raise ValueError(name)
    return array


class _Cursor:
    """Takes one array after another off flat ones."""

    def __init__(self, arrays: Mapping[str, Array]) -> None:
        self._arrays = arrays
        self._places = dict.fromkeys(arrays, 0)

    def take(self, name: str, size: int) -> Array:
        start = self._places[name]
        self._places[name] = start + size
        if size < 0 or start + size > len(self._arrays[name]):
            raise ValueError(name)
        return self._arrays[name][start : start + size].copy()


def _statistics(arrays: dict[str, Array], path: Path) -> Statistics:
    header: Any = json.loads(arrays["header"].tobytes())
    schema = header["schema"]
    if schema != SCHEMA:
        raise DataError(
            f"the statistics are in the form {schema!r}, and this version of graphopt reads {SCHEMA!r}",
            where=str(path),
            help="collect them again",
        )
    cursor = _Cursor(arrays)
    tensors = {t.name: t for t in (_tensor(said, cursor) for said in cast("Iterator[Any]", header["tensors"]))}
    return Statistics(str(header["model"]), tensors, int(header["samples"]))


def _tensor(said: Any, cursor: _Cursor) -> TensorStatistics:
    counts = cursor.take("histograms", 2 * BINS)
    count, place = int(said["count"]), said["not_finite_in"]
    if int(counts.sum()) != count:
        raise ValueError("histograms")
    return TensorStatistics(
        name=str(said["name"]),
        count=count,
        zeros=int(said["zeros"]),
        minimum=float(said["minimum"]) if count else inf,
        maximum=float(said["maximum"]) if count else -inf,
        histogram=Histogram(None if said["exponent"] is None else int(said["exponent"]), counts),
        channels=None if said["channels"] is None else _channels(said["channels"], cursor),
        not_finite=int(said["not_finite"]),
        not_finite_in=None if place is None else str(place),
    )


def _channels(said: Any, cursor: _Cursor) -> Channels:
    size = int(said["size"])
    found = Channels(int(said["axis"]), size)
    found.counts = cursor.take("counts", size)
    found.minimum, found.maximum = cursor.take("minimum", size), cursor.take("maximum", size)
    found.sums = _sums(cursor, "sums", size, said["sums"])
    found.squares = _sums(cursor, "squares", size, said["squares"])
    if said["products"] is not None:
        found.products = _sums(cursor, "products", size * (size + 1) // 2, said["products"])
    return found


def _sums(cursor: _Cursor, name: str, size: int, said: Any) -> ExactSums:
    low, width = map(int, said)
    return ExactSums.of_limbs(low, cursor.take(name, size * width).reshape(size, width))
