"""Whether a sample is what the model takes. Nothing is converted that would change a value or hide a mistake.

What is accepted without a word, since it holds the same values: another byte order or memory layout, text of any width
for a string input, and the raw bytes as which numpy stores bfloat16, float8 and 4-bit integers. A different element
type is an error, even where a cast would be exact: a float64 array where float32 is wanted is most often a
preprocessing step that was forgotten.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, cast

import numpy as np

from graphopt.data.sample import Array, Feed, Feeds, Sample
from graphopt.errors import DataError, did_you_mean
from graphopt.graph.dtypes import DType
from graphopt.graph.interface import Interface, TensorSpec


def try_fit(name: str, values: Mapping[str, object], interface: Interface) -> Sample | DataError:
    """The sample as the model takes it, or why it does not."""
    try:
        return fit_sample(name, values, interface)
    except DataError as error:
        return error


def fit_sample(name: str, values: Mapping[str, object], interface: Interface) -> Sample:
    """The sample as the model takes it.

    Raises:
        DataError: an input is missing, unknown, or of another element type, rank or size than the model declares.
    """
    specs = {spec.name: spec for spec in (*interface.inputs, *interface.optional)}
    _check_names(name, values, interface, specs)
    feeds: Feeds = {key: _fit_value(name, specs[key], values[key]) for key in specs if key in values}
    return Sample(name, feeds)


def _check_names(sample: str, values: Mapping[str, object], interface: Interface, known: Iterable[str]) -> None:
    known = list(known)
    taken = _listed(i.name for i in interface.inputs)
    for name in values:
        if name not in known:
            hints = filter(None, (did_you_mean(name, known), f"its inputs are {taken}"))
            raise DataError(f"the model has no input {name!r}", where=sample, help=" ".join(hints))
    for spec in interface.inputs:
        if spec.name not in values:
            raise DataError(
                f"input {spec.name!r} is missing",
                where=sample,
                help=f"the model's inputs are {taken}; the sample holds {_listed(values)}",
            )


def _listed(names: Iterable[str]) -> str:
    return ", ".join(repr(n) for n in names) or "nothing"


def _fit_value(sample: str, spec: TensorSpec, value: object) -> Feed:
    if spec.kind == "optional" and value is None:
        return None
    if spec.kind == "sequence":
        if not isinstance(value, list | tuple):
            raise DataError(f"input {spec.name!r} is a sequence, and must be given as a list of arrays", where=sample)
        return [_as_array(sample, spec, item) for item in cast("Iterable[object]", value)]
    array = _as_array(sample, spec, value)
    if spec.dtype is not None:
        array = _fit_dtype(sample, spec, spec.dtype, array)
    _check_shape(sample, spec, array)
    return array


def _as_array(sample: str, spec: TensorSpec, value: object) -> Array:
    try:
        array = np.asarray(value)
    except Exception as error:  # whatever a foreign object's conversion raises
        raise DataError(
            f"input {spec.name!r} cannot be made an array: {error}", where=sample, help="give numpy arrays"
        ) from None
    if array.dtype.kind == "O" and spec.dtype is not DType.string:
        raise DataError(
            f"input {spec.name!r} is not a regular array of numbers", where=sample, help="give a numpy array"
        )
    return array


def _fit_dtype(sample: str, spec: TensorSpec, wanted: DType, array: Array) -> Array:
    if wanted is DType.string and array.dtype.kind in "USO":
        return _text(sample, spec, array)
    native: Array = array.astype(array.dtype.newbyteorder("="), copy=False)
    if native.dtype == wanted.numpy:
        return np.ascontiguousarray(native).reshape(native.shape)
    if native.dtype.kind == "V" and native.dtype.names is None and _stored_raw(native.dtype, wanted):
        return np.ascontiguousarray(native).view(wanted.numpy).reshape(native.shape)
    raise DataError(
        f"input {spec.name!r} is {array.dtype.name}, and the model takes {wanted.name}",
        where=sample,
        help=f"convert it where it is made, for instance with .astype({wanted.name!r}), if that is what is meant",
    )


def _stored_raw(stored: np.dtype[Any], wanted: DType) -> bool:
    return wanted.numpy.kind == "V" and stored.itemsize == wanted.numpy.itemsize


def _text(sample: str, spec: TensorSpec, array: Array) -> Array:
    if array.dtype.kind == "S":
        array = np.char.decode(array, "utf-8")
    text = array.astype(object)
    strange = next((item for item in text.flat if not isinstance(item, str)), None)
    if strange is not None:
        raise DataError(f"input {spec.name!r} takes text, and holds {strange!r}", where=sample)
    return text


def _check_shape(sample: str, spec: TensorSpec, array: Array) -> None:
    if spec.shape is None:
        return
    declared = str(spec).partition(": ")[2]
    if array.ndim != len(spec.shape):
        missing = len(spec.shape) - array.ndim == 1
        raise DataError(
            f"input {spec.name!r} has shape {list(array.shape)}, and the model takes {declared}",
            where=sample,
            help="a leading dimension may be missing: array[None] adds it" if missing else None,
        )
    for axis, (size, dim) in enumerate(zip(array.shape, spec.shape, strict=True)):
        if isinstance(dim, int) and dim >= 0 and size != dim:
            stacked = axis == 0 and dim == 1
            raise DataError(
                f"input {spec.name!r} has shape {list(array.shape)}, and the model takes {declared}: "
                f"dimension {axis} must be {dim}",
                where=sample,
                help="to give many samples in one file, stack them on one more leading dimension" if stacked else None,
            )
