"""Outputs of two runs, side by side."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]


def flat(outputs: Mapping[str, Any]) -> dict[str, Array]:
    """Tensors by name; those of sequences as `name[0]`, what is absent as an empty array of bools."""
    return dict(pair for name, value in outputs.items() for pair in _flat(name, value))


def _flat(name: str, value: Any) -> Iterator[tuple[str, Array]]:
    if isinstance(value, (list, tuple)):
        for number, item in enumerate(value):  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType]
            yield from _flat(f"{name}[{number}]", item)
    else:
        yield name, np.zeros(0, np.bool_) if value is None else np.asarray(value)


def structure_difference(before: Mapping[str, Array], after: Mapping[str, Array]) -> tuple[str, str] | None:
    """The first output that has another element type or shape, and how; None where there is none."""
    for name, wanted in before.items():
        found = after.get(name)
        if found is None:
            return name, "it is missing"
        if _type_name(found) != _type_name(wanted):
            return name, f"it is {_type_name(found)}, and was {_type_name(wanted)}"
        if found.shape != wanted.shape:
            return name, f"its shape is {list(found.shape)}, and was {list(wanted.shape)}"
    extra = next((name for name in after if name not in before), None)
    return None if extra is None else (extra, "it was not there")


def _type_name(array: Array) -> str:
    return "string" if array.dtype.kind in "USO" else array.dtype.name


def bits_difference(before: Mapping[str, Array], after: Mapping[str, Array]) -> str | None:
    """The first output that is not the same bit by bit. NaN is NaN whatever its payload; -0 is not 0."""
    return next((name for name, wanted in before.items() if not same_bits(wanted, after[name])), None)


def same_bits(first: Array, second: Array) -> bool:
    """Of two arrays of one type and shape."""
    if first.dtype.kind in "USO":
        return bool((first == second).all())
    if not is_float(first):
        return bool(np.array_equal(first, second))
    nan = np.isnan(first)
    if not np.array_equal(nan, np.isnan(second)):
        return False
    one, other = (np.where(nan, np.zeros((), a.dtype), a) for a in (first, second))
    return one.tobytes() == other.tobytes()


def is_float(array: Array) -> bool:
    """Whether numbers of the array can be NaN: ml_dtypes's floats are of numpy's kind V or f."""
    return array.dtype.kind == "f" or array.dtype.name.startswith(("float", "bfloat"))


def distance(first: Array, second: Array) -> Array:
    """|first - second|, element by element, in float64: 0 where both are the same, NaN or infinite included; infinite
    where one is finite and the other is not, and where texts differ."""
    if first.dtype.kind in "USO":
        return np.where(first == second, 0.0, np.inf)
    same = first == second
    one, other = first.astype(np.float64), second.astype(np.float64)
    same |= np.isnan(one) & np.isnan(other)
    with np.errstate(all="ignore"):
        found = np.abs(one - other)
    # integers beyond 2^53 may differ and look the same in float64
    found = np.where(same, 0.0, np.maximum(found, np.finfo(np.float64).tiny))
    return np.where(np.isnan(found), np.inf, found)


def magnitude(value: Array) -> Array:
    """Of floats, what rounding is relative to; 0 for anything else, and for what is not finite."""
    if not is_float(value):
        return np.zeros(value.shape)
    numbers = np.abs(value.astype(np.float64))
    return np.where(np.isfinite(numbers), numbers, 0.0)


def largest(value: Array) -> float:
    """The largest magnitude of a tensor; 0 of an empty one, and of one that is not of floats."""
    return float(magnitude(value).max(initial=0.0))
