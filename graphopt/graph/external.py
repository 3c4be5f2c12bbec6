"""External data: ranges of files in the model's own folder, and nowhere else."""

from __future__ import annotations

from pathlib import Path

import onnx

from graphopt.errors import ModelError
from graphopt.graph.check_tensor import check_tensor
from graphopt.graph.tensor import ExternalRef, Tensor


class Folder:
    """The folder that a model lies in; resolves the ranges that its tensors name."""

    def __init__(self, path: Path | None) -> None:
        self._path = path.resolve() if path is not None else None
        self._sizes: dict[str, tuple[Path, int]] = {}

    def tensor(self, proto: onnx.TensorProto) -> Tensor:
        """The tensor that a proto describes, its data left where it is.

        Raises:
            ModelError: its data does not fit its shape, or lies in a file that is missing, too short, or outside the
                model's folder.
        """
        _, wanted = check_tensor(proto, f"weight {proto.name!r}")
        if proto.data_location != onnx.TensorProto.EXTERNAL:
            return Tensor.from_proto(proto)
        entries = {e.key: e.value for e in proto.external_data}
        location = entries.get("location", "")
        path, size = self._file(location, proto.name)
        offset = _whole_number(entries, "offset", proto.name)
        length = _whole_number(entries, "length", proto.name) if "length" in entries else wanted
        if length != wanted or offset + length > size:
            raise ModelError(
                f"weight {proto.name!r} needs {wanted} bytes; the file says {length} at offset {offset} "
                f"of {location!r}, which has {size}",
                help="the data file is cut short or belongs to another model; export or download both again",
            )
        return Tensor.from_proto(proto, ExternalRef(path, location, offset, length))

    def _file(self, location: str, name: str) -> tuple[Path, int]:
        if location in self._sizes:
            return self._sizes[location]
        if self._path is None:
            raise ModelError(
                f"weight {name!r} lies in the file {location!r}, but the model was not read from a folder",
                help="load the model from its file",
            )
        path = (self._path / location).resolve()
        if not location or Path(location).is_absolute() or not path.is_relative_to(self._path):
            raise ModelError(
                f"weight {name!r} points outside the model's folder: {location!r}",
                help="copy the data file beside the model (links are followed) and export with a relative location",
            )
        if not path.is_file():
            raise ModelError(
                f"the data file {location!r} of weight {name!r} is missing", help=f"put it into {self._path}"
            )
        self._sizes[location] = path, path.stat().st_size
        return self._sizes[location]


def _whole_number(entries: dict[str, str], key: str, name: str) -> int:
    text = entries.get(key) or "0"
    if not text.isdecimal():
        raise ModelError(f"weight {name!r}: external data has {key} {text!r}, which is no size in bytes")
    return int(text)
