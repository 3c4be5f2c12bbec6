"""Where the user's samples come from."""

from __future__ import annotations

from pathlib import Path

from graphopt.data.array_files import SUFFIXES, ArrayFile, has_arrays, open_folder
from graphopt.data.images import find_images, open_images
from graphopt.data.polygraphy_json import JsonSource
from graphopt.data.sample import DataSource
from graphopt.data.script import DEFAULT_FUNCTION, ScriptSource
from graphopt.errors import DataError
from graphopt.graph.interface import Interface

KINDS = (
    "a .npz or .npy file, a folder of them or of pictures, Polygraphy's .json, or a Python file with a function "
    "load_data()"
)


def open_source(spec: str | Path, interface: Interface, preprocess: Path | None = None) -> DataSource:
    """The samples that `--data` names; each is checked against the model's inputs when it is read.

    `spec` is a .npz or .npy file (one sample, or a stack of samples on one more leading dimension), a folder of them
    (one sample each), a .json file as Polygraphy writes it, or FILE.py or FILE.py:FUNCTION (a function without
    arguments that yields a dict of arrays for each sample). A folder without .npz and .npy files may hold pictures,
    also in folders of its own; how they become inputs says `preprocess`, or graphopt-data.toml in the folder.

    Raises:
        DataError: there is no such file, or it is of no known kind; or `preprocess` is given for what is no pictures.
    """
    path, function = _split(spec)
    if path.is_dir() and not has_arrays(path):
        images = find_images(path)
        if images:
            return open_images(path, images, interface, preprocess)
    if preprocess is not None:
        raise DataError(f"{path} is no folder of pictures, and only they are preprocessed", where=str(preprocess))
    if path.is_dir():
        return open_folder(path, interface)
    if not path.exists():
        raise DataError(f"there is no file or folder {path}", help=f"--data takes {KINDS}")
    suffix = path.suffix.lower()
    if suffix == ".py":
        return ScriptSource(path, function, interface)
    if suffix in SUFFIXES:
        return ArrayFile(path, interface)
    if suffix == ".json":
        return JsonSource(path, interface)
    raise DataError(f"{path} is no kind of data that is known", help=f"--data takes {KINDS}")


def _split(spec: str | Path) -> tuple[Path, str]:
    text = str(spec)
    file, colon, function = text.rpartition(":")
    if colon and file.endswith(".py") and function and not Path(text).exists():
        return Path(file), function
    return Path(text), DEFAULT_FUNCTION
