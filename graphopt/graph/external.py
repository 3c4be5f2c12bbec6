"""External data: ranges of files in the model's own folder, and nowhere else."""

from __future__ import annotations

from pathlib import Path

import onnx

from graphopt.errors import ModelError
from graphopt.graph.check_tensor import check_tensor
from graphopt.graph.tensor import ExternalRef, Tensor

LONGEST_NUMBER = 19
"""Digits of a size that a file can have."""


class Folder:
    """The folder that a model lies in; resolves the ranges that its tensors name."""

    def __init__(self, path: Path | None) -> None:
        self._path = path.resolve() if path is not None else None
        self._sizes: dict[str, tuple[Path, int]] = {}

    def tensor(self, proto: onnx.TensorProto, what: str | None = None) -> Tensor:
        """The tensor that a proto describes, its data left where it is. `what` is how messages call it.

        Raises:
            ModelError: its data does not fit its shape, or lies in a file that is missing, too short, or outside the
                model's folder.
        """
        what = what or f"weight {proto.name!r}"
        _, wanted = check_tensor(proto, what)
        if proto.data_location != onnx.TensorProto.EXTERNAL:
            return Tensor.from_proto(proto)
        entries = {e.key: e.value for e in proto.external_data}
        location = entries.get("location", "")
        path, size = self._file(location, what)
        offset = _whole_number(entries, "offset", what)
        length = _whole_number(entries, "length", what) if "length" in entries else wanted
        if length != wanted or offset + length > size:
            raise ModelError(
                f"{what} needs {wanted} bytes; the file says {length} at offset {offset} of {location!r}, "
                f"which has {size}",
                help="the data file is cut short or belongs to another model; export or download both again",
            )
        return Tensor.from_proto(proto, ExternalRef(path, location, offset, length))

    def _file(self, location: str, what: str) -> tuple[Path, int]:
        if location in self._sizes:
            return self._sizes[location]
        if self._path is None:
            raise ModelError(
                f"{what} lies in the file {location!r}, but the model was not read from a folder",
                help="load the model from its file",
            )
        try:
            path = (self._path / location).resolve()
            inside = bool(location) and not Path(location).is_absolute() and path.is_relative_to(self._path)
            size = path.stat().st_size if inside and path.is_file() else None
        except (OSError, RuntimeError, ValueError) as error:  # a loop of links, a name that no file can have
            raise ModelError(f"{what} names a data file that cannot be read, {location!r}: {error}") from None
        if not inside:
            raise ModelError(
                f"{what} points outside the model's folder: {location!r}",
                help="copy the data file beside the model (links are followed) and export with a relative location",
            )
        if size is None:
            raise ModelError(f"the data file {location!r} of {what} is missing", help=f"put it into {self._path}")
        self._sizes[location] = path, size
        return self._sizes[location]


def _whole_number(entries: dict[str, str], key: str, what: str) -> int:
    text = entries.get(key) or "0"
    if not (text.isascii() and text.isdecimal() and len(text) <= LONGEST_NUMBER):
        raise ModelError(f"{what}: external data has {key} {text[:40]!r}, which is no size in bytes")
    return int(text)
