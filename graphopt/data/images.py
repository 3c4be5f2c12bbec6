"""Folders of pictures, decoded by Pillow one by one and preprocessed as a declaration says."""

from __future__ import annotations

import warnings
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np

from graphopt.data.folder import SampleFolder
from graphopt.data.preprocess import DECLARATION, Preprocessing, no_declaration, read_preprocessing
from graphopt.data.sample import Array
from graphopt.errors import DataError
from graphopt.graph.dtypes import DType
from graphopt.graph.interface import Interface, TensorSpec

SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff", ".gif", ".ppm", ".pgm")


def find_images(folder: Path) -> tuple[Path, ...]:
    """The pictures below a folder, hidden files and folders left out.

    Raises:
        DataError: the folder cannot be listed.
    """
    try:
        found = [p for p in folder.rglob("*") if p.suffix.lower() in SUFFIXES and p.is_file()]
    except OSError as error:
        raise DataError(f"cannot list the folder {folder}: {error.strerror}") from None
    shown = (p for p in found if not any(part.startswith(".") for part in p.relative_to(folder).parts))
    return tuple(sorted(shown, key=lambda p: p.relative_to(folder).as_posix()))


def open_images(folder: Path, files: tuple[Path, ...], interface: Interface, declaration: Path | None) -> SampleFolder:
    """The pictures below a folder, one sample each, in the order of their paths.

    Raises:
        DataError: Pillow is not installed, there is no declaration or it is wrong, or the model takes no pictures.
    """
    try:
        import_module("PIL.Image")
    except ImportError:
        raise DataError(
            f"the folder {folder} holds pictures, and Pillow, which reads them, is not installed",
            help="pip install 'graphopt[images]', or write the inputs as .npy or .npz files",
        ) from None
    if declaration is None:
        declaration = folder / DECLARATION
        if not declaration.is_file():
            raise no_declaration(folder)
    preprocessing = read_preprocessing(declaration)
    spec = _input(preprocessing, interface, str(declaration))

    def read(file: Path) -> dict[str, Array]:
        pixels = _decode(file, preprocessing)
        return {spec.name: _normalized(pixels, preprocessing, spec.dtype or DType.float32)}

    return SampleFolder(folder, interface, files, read)


def _input(preprocessing: Preprocessing, interface: Interface, where: str) -> TensorSpec:
    """The input that takes the picture, which must be the only one that needs a value."""
    names = ", ".join(repr(i.name) for i in interface.inputs) or "none"
    if len(interface.inputs) != 1:
        raise DataError(
            f"pictures feed a model with one input, and this one has {len(interface.inputs)}: {names}",
            help="write .npz files with an array for each input",
        )
    spec = interface.inputs[0]
    if preprocessing.input not in (None, spec.name):
        raise DataError(f"the model has no input {preprocessing.input!r}", where=where, help=f"it has {names}")
    if spec.dtype is DType.uint8 and not preprocessing.keeps_pixels:
        raise DataError(
            f"input {spec.name!r} takes pixels as uint8, and the declaration changes them",
            where=where,
            help="write divide = 1.0, and leave mean and std out",
        )
    if spec.dtype not in (None, DType.uint8) and not spec.dtype.is_float:
        raise DataError(f"input {spec.name!r} takes {spec.dtype.name}, which no picture gives", where=where)
    return spec


def _decode(file: Path, preprocessing: Preprocessing) -> Array:
    """The pixels, uint8[height, width, channels].

    Raises:
        DataError: the file is no picture, or cut short.
    """
    image: Any = import_module("PIL.Image")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", image.DecompressionBombWarning)
            with image.open(file) as opened:
                picture = opened.convert("L" if preprocessing.colors == "gray" else "RGB")
    except MemoryError:
        raise
    except Exception as error:  # what a decoder raises for garbled bytes, it has not promised to anybody
        reason = error.strerror if isinstance(error, OSError) and error.strerror else "it is no picture, or garbled"
        if isinstance(error, image.DecompressionBombError | image.DecompressionBombWarning):
            reason = "it has more pixels than is likely"
        raise DataError(f"the picture cannot be read: {reason}", where=str(file)) from None
    pixels = np.asarray(_resized(picture, preprocessing, image))
    if pixels.ndim == 2:
        return pixels[:, :, None]
    return pixels[:, :, ::-1] if preprocessing.colors == "BGR" else pixels


def _resized(picture: Any, preprocessing: Preprocessing, image: Any) -> Any:
    height, width = preprocessing.size
    resample = image.Resampling[preprocessing.filter.upper()]
    if preprocessing.resize == "stretch":
        return picture.resize((width, height), resample)
    if preprocessing.resize == "crop":
        ratio = (preprocessing.shorter or min(height, width)) / min(picture.size)
        ratio = max(ratio, width / picture.width, height / picture.height)
        larger = picture.resize((_side(picture.width, ratio), _side(picture.height, ratio)), resample)
        left, top = (larger.width - width) // 2, (larger.height - height) // 2
        return larger.crop((left, top, left + width, top + height))
    ratio = min(width / picture.width, height / picture.height)
    inner = picture.resize((_side(picture.width, ratio), _side(picture.height, ratio)), resample)
    whole = image.new(picture.mode, (width, height), (preprocessing.fill,) * len(picture.getbands()))
    whole.paste(inner, ((width - inner.width) // 2, (height - inner.height) // 2))
    return whole


def _side(length: int, ratio: float) -> int:
    return max(round(length * ratio), 1)


def _normalized(pixels: Array, preprocessing: Preprocessing, dtype: DType) -> Array:
    """The input of the model: pixels normalized, in its layout and element type, one picture."""
    ordered = pixels.transpose(2, 0, 1) if preprocessing.layout == "NCHW" else pixels
    if dtype is DType.uint8:
        return np.ascontiguousarray(ordered)[None]
    shape = (-1, 1, 1) if preprocessing.layout == "NCHW" else (-1,)
    mean, std = (np.array(v, np.float32).reshape(shape) for v in (preprocessing.mean, preprocessing.std))
    values = (ordered.astype(np.float32) / np.float32(preprocessing.divide) - mean) / std
    return np.ascontiguousarray(values).astype(dtype.numpy, copy=False)[None]
