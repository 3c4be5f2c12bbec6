"""How far two outputs are apart. Sums are taken in float64, a block at a time, so that memory stays small."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, cast

import numpy as np

from graphopt.data.sample import Array
from graphopt.graph.dtypes import dtype_of

BLOCK = 1 << 18
"""Elements at a time: a few float64 blocks of this size stay in a processor's cache."""


@dataclass(frozen=True)
class Figures:
    """The difference of a candidate's output from the reference's.

    `structure` says what keeps the two from being compared at all (shape, element type, length), and is None where
    nothing does; the figures are then NaN. For text all but `mismatches` is NaN. Where both are NaN, or both the same
    infinity, an element counts as equal, and is left out of the sums.

    `scale` is max |reference| and `max_abs` max |candidate - reference|; `rms` and `error_rms` are the root mean
    squares of the same two; `cosine` is that of the two as vectors. `mismatches` counts elements that differ, for
    integers, bools and text; for floats, those of which one is NaN or infinite and the other is not the same.
    `bitwise`: every bit equal, except that a NaN is like any other NaN.
    """

    elements: int
    bitwise: bool
    mismatches: int
    scale: float
    max_abs: float
    rms: float
    error_rms: float
    cosine: float
    structure: str | None = None

    @property
    def max_rel(self) -> float:
        """The largest difference, relative to the output's scale."""
        return ratio(self.max_abs, self.scale)

    @property
    def sqnr_db(self) -> float:
        """The signal-to-noise ratio: infinite for equals, -infinite for a silent reference."""
        return decibels(self.error_rms, self.rms)


EQUAL = Figures(0, True, 0, 0.0, 0.0, 0.0, 0.0, 1.0)


def ratio(part: float, whole: float) -> float:
    """`part / whole`, where 0 of nothing is 0, and more of nothing infinite."""
    if part == 0:
        return 0.0
    return part / whole if whole else math.inf


def decibels(noise: float, signal: float) -> float:
    """The signal-to-noise ratio of two root mean squares."""
    share = ratio(noise, signal)
    if share == 0:
        return math.inf
    return -20 * math.log10(share) if math.isfinite(share) else -share


def compare_outputs(reference: object, candidate: object) -> Figures:
    """Figures of one output: an array, a list or dict of outputs, or None. Of several arrays, the worst of each."""
    if isinstance(reference, np.ndarray) and isinstance(candidate, np.ndarray):
        return compare_arrays(cast(Array, reference), cast(Array, candidate))
    if isinstance(reference, list) and isinstance(candidate, list):
        return _compare_lists(cast("list[object]", reference), cast("list[object]", candidate))
    if isinstance(reference, Mapping) and isinstance(candidate, Mapping):
        return _compare_maps(cast("Mapping[Any, object]", reference), cast("Mapping[Any, object]", candidate))
    if reference is None and candidate is None:
        return EQUAL
    return _compare_scalars(reference, candidate)


def _compare_scalars(reference: Any, candidate: Any) -> Figures:
    if isinstance(reference, str) and isinstance(candidate, str):
        return compare_arrays(np.asarray(reference, dtype=object), np.asarray(candidate, dtype=object))
    if isinstance(reference, _NUMBER) and isinstance(candidate, _NUMBER):
        return compare_arrays(np.asarray(reference), np.asarray(candidate))
    return _incomparable(f"{_kind(reference)} became {_kind(candidate)}")


def worst(figures: Iterable[Figures]) -> Figures:
    """The worst of each figure; elements and mismatches add up, root mean squares are taken over all elements, and a
    silent reference has no direction that a cosine could be of."""
    found = list(figures)
    if not found:
        return EQUAL
    elements = sum(f.elements for f in found)
    return Figures(
        elements=elements,
        bitwise=all(f.bitwise for f in found),
        mismatches=sum(f.mismatches for f in found),
        scale=_highest(f.scale for f in found),
        max_abs=_highest(f.max_abs for f in found),
        rms=_pooled(((f.rms, f.elements) for f in found), elements),
        error_rms=_pooled(((f.error_rms, f.elements) for f in found), elements),
        cosine=min((f.cosine for f in found if f.rms > 0), default=1.0),
        structure=next((f.structure for f in found if f.structure), None),
    )


def compare_arrays(reference: Array, candidate: Array) -> Figures:
    """Figures of two arrays of any element type that ONNX has."""
    if reference.shape != candidate.shape:
        return _incomparable(f"shape {list(reference.shape)} became {list(candidate.shape)}")
    if dtype_of(reference) is not dtype_of(candidate):
        return _incomparable(f"{dtype_of(reference).name} became {dtype_of(candidate).name}")
    if reference.dtype.kind in "USO":
        mismatches = int(np.count_nonzero(reference.astype(object) != candidate.astype(object)))
        nan = math.nan
        return Figures(reference.size, mismatches == 0, mismatches, nan, nan, nan, nan, nan)
    first, second = _real(reference), _real(candidate)
    exact = reference.dtype.kind in "biu" or dtype_of(reference).is_integer
    sums = _Sums(first, second, count_all=exact)
    with np.errstate(over="ignore", invalid="ignore"):  # infinities and NaN are looked for on purpose
        for start in range(0, first.size, BLOCK):
            sums.add(first[start : start + BLOCK], second[start : start + BLOCK])
    return sums.figures(reference.size)


class _Sums:
    """Running sums over blocks. Values are brought near 1 by a power of two where their squares could overflow."""

    def __init__(self, reference: Array, candidate: Array, *, count_all: bool) -> None:
        self.count_all = count_all
        self.bitwise = True
        self.mismatches = 0
        self.scale = self.max_abs = 0.0
        self.count = 0
        self.rr = self.cc = self.rc = self.dd = 0.0
        self.shrink = 1.0
        if reference.dtype == np.float64:
            self.shrink = _shrink(max(_largest(reference), _largest(candidate)))

    def add(self, reference: Array, candidate: Array) -> None:
        same = np.array_equal(_bits(reference), _bits(candidate))
        r: Array = reference.astype(np.float64)
        c: Array = r if same else candidate.astype(np.float64)
        if self.count_all and not same:
            self.mismatches += int(np.count_nonzero(reference != candidate))
        if not math.isfinite(float(r.sum()) + float(c.sum())):
            both_nan = np.isnan(r) & np.isnan(c)
            same = same or np.array_equal(_bits(reference)[~both_nan], _bits(candidate)[~both_nan])
            r, c = self._finite(r, c)
        self.bitwise &= same
        if self.shrink != 1.0:
            r, c = r * self.shrink, c * self.shrink
        self._add_finite(r, c, same)

    def _add_finite(self, r: Array, c: Array, same: bool) -> None:
        rr = float(r @ r)
        self.count += r.size
        self.scale = max(self.scale, _largest(r))
        self.rr += rr
        self.cc += rr if same else float(c @ c)
        self.rc += rr if same else float(r @ c)
        if not same:
            d = np.subtract(c, r, out=c)
            self.max_abs = max(self.max_abs, _largest(d))
            self.dd += float(d @ d)

    def _finite(self, r: Array, c: Array) -> tuple[Array, Array]:
        """Only what is finite in both; the rest is counted where it differs."""
        finite = np.isfinite(r) & np.isfinite(c)
        odd_r, odd_c = r[~finite], c[~finite]
        self.mismatches += int(np.count_nonzero((odd_r != odd_c) & ~(np.isnan(odd_r) & np.isnan(odd_c))))
        return r[finite], c[finite]

    def figures(self, elements: int) -> Figures:
        return Figures(
            elements=elements,
            bitwise=self.bitwise,
            mismatches=self.mismatches,
            scale=self.scale / self.shrink,
            max_abs=self.max_abs / self.shrink,
            rms=math.sqrt(self.rr / max(self.count, 1)) / self.shrink,
            error_rms=math.sqrt(self.dd / max(self.count, 1)) / self.shrink,
            cosine=self._cosine(),
        )

    def _cosine(self) -> float:
        if self.bitwise or self.rr == self.cc == 0:
            return 1.0
        norms = math.sqrt(self.rr) * math.sqrt(self.cc)
        return max(-1.0, min(1.0, self.rc / norms)) if norms else 0.0


def _bits(values: Array) -> Array:
    return values.view(np.dtype(f"u{values.dtype.itemsize}"))


def _real(values: Array) -> Array:
    """One flat row of real numbers; a complex number is two."""
    flat = np.ascontiguousarray(values).reshape(-1)
    return flat.view(np.dtype(f"f{flat.dtype.itemsize // 2}")) if flat.dtype.kind == "c" else flat


def _largest(values: Array) -> float:
    if not values.size:
        return 0.0
    """The largest finite magnitude, 0 if there is none."""
    if not values.size:
        return 0.0
    largest = float(max(values.max(), -values.min()))
    return largest if math.isfinite(largest) else _largest(values[np.isfinite(values)])


def _shrink(largest: float) -> float:
    exponent = math.frexp(largest)[1]
    return math.ldexp(1.0, -exponent) if abs(exponent) > 400 and largest else 1.0


def _pooled(parts: Iterable[tuple[float, int]], elements: int) -> float:
    known = [(value, count) for value, count in parts if count and not math.isnan(value)]
    largest = max((value for value, _ in known), default=0.0)  # squares of what is near 1 neither overflow nor vanish
    if largest == 0 or math.isinf(largest):
        return largest
    return largest * math.sqrt(sum((value / largest) ** 2 * count for value, count in known) / elements)


def _highest(values: Iterable[float]) -> float:
    return max(values, key=lambda v: -math.inf if math.isnan(v) else v)


def _compare_lists(reference: list[object], candidate: list[object]) -> Figures:
    if len(reference) != len(candidate):
        return _incomparable(f"a sequence of {len(reference)} became one of {len(candidate)}")
    return worst(compare_outputs(r, c) for r, c in zip(reference, candidate, strict=True))


def _compare_maps(reference: Mapping[Any, object], candidate: Mapping[Any, object]) -> Figures:
    if list(reference) != list(candidate):
        return _incomparable("the keys of a map changed")
    return worst(compare_outputs(reference[key], candidate[key]) for key in reference)


def _incomparable(structure: str) -> Figures:
    nan = math.nan
    return Figures(0, False, 0, nan, nan, nan, nan, nan, structure)


_NUMBER = (int, float, np.generic)


def _kind(value: Any) -> str:
    if isinstance(value, np.ndarray):
        return f"a tensor of {dtype_of(cast(Array, value)).name}"
    names = {"list": "a sequence", "dict": "a map", "NoneType": "nothing"}
    return names.get(type(value).__name__, type(value).__name__)
