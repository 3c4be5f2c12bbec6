"""Which sizes are worth trying for a dynamic dimension, by where it stands. The model decides what is legal."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from graphopt.data.dims import UNRANKED_SHAPES, DynamicDims, Place, Sizes
from graphopt.data.facts import ProfileShape

BATCH = (1, 2, 3, 4, 8, 16)
CHANNELS = (3, 1, 4, 16, 64)
IMAGE = (64, 224, 96, 32, 128, 256, 48, 192, 160, 320, 512, 640, 299, 28, 16, 8)
LENGTH = (16, 64, 32, 8, 1, 128, 2, 3, 256, 512, 80, 100, 224, 1024, 4096, 16000)


Candidates = dict[str, tuple[int, ...]]


def candidate_sizes(dims: DynamicDims, profiles: Mapping[str, ProfileShape]) -> Candidates:
    """Sizes to try for every free dimension, likeliest first. A profile leaves only what it names."""
    batched = any(p.axis == 0 and p.rank > 1 for places in dims.places.values() for p in places)
    found: Candidates = {key: _by_place(places, batched) for key, places in dims.places.items()}
    found |= {key: tuple(range(len(UNRANKED_SHAPES))) for key in dims.unranked}
    for key, places in dims.places.items():
        said = [_said(profiles[p.spec.name], p.axis) for p in places if p.spec.name in profiles]
        if said:
            found[key] = tuple(size for size in said[0] if all(size in other for other in said)) or tuple(said[0])
    return found


def near_sizes(
    dims: DynamicDims, candidates: Candidates, base: Sizes, profiles: Mapping[str, ProfileShape]
) -> Candidates:
    """The candidates with sizes close to the base in front, except where a profile decides."""
    near = dict(candidates)
    for key, places in dims.places.items():
        if not any(p.spec.name in profiles for p in places):
            size = base.get(key, 0)
            halves = (size // 2, size * 2) if size > 96 else (size * 2, size // 2)  # the cheaper first, if not tiny
            close = (size + 1, size * 2) if is_batch(places) else (*halves, size + 32, size + 1)
            near[key] = tuple(dict.fromkeys(s for s in (*close, *candidates[key], size) if s > 0))
    return near


def proposals(candidates: Mapping[str, Sequence[int]], dims: DynamicDims) -> Iterator[Sizes]:
    """Choices of a size for every key, likeliest first, each once: first those in which all dimensions of a kind are
    alike, then the rest by how far down the lists they reach."""
    keys = list(candidates)
    seen: set[tuple[int, ...]] = set()
    for ranks in _rank_order(keys, candidates, dims):
        if ranks not in seen:
            seen.add(ranks)
            yield {key: candidates[key][rank] for key, rank in zip(keys, ranks, strict=True)}


def is_batch(places: Sequence[Place]) -> bool:
    """Whether a dimension leads somewhere, or is the batch of a recurrent state: [layers, batch, features]."""
    return any(p.axis == 0 or _is_state(p) for p in places)


def _is_state(place: Place) -> bool:
    others = [d for axis, d in enumerate(place.spec.shape or ()) if axis != 1]
    return place.axis == 1 and len(others) == 2 and all(isinstance(d, int) for d in others)


def _by_place(places: Sequence[Place], batched: bool) -> tuple[int, ...]:
    first = places[0]
    if is_batch(places) and (batched or first.rank > 1):
        return BATCH
    if first.rank == 4:
        return _image_axis(first)
    return LENGTH


def _image_axis(place: Place) -> tuple[int, ...]:
    _, second, _, last = place.spec.shape or (None,) * 4
    channels_last = isinstance(last, int) and 1 <= last <= 4 and not isinstance(second, int)
    if place.axis == (3 if channels_last else 1):
        return CHANNELS
    return IMAGE


def _said(profile: ProfileShape, axis: int) -> list[int]:
    return list(dict.fromkeys(shape[axis] for shape in (profile.opt, profile.min, profile.max)))


def _rank_order(
    keys: Sequence[str], candidates: Mapping[str, Sequence[int]], dims: DynamicDims
) -> Iterator[tuple[int, ...]]:
    """Positions in the candidate lists: dimensions of a kind in step, then by the sum of positions."""
    lengths = [len(candidates[key]) for key in keys]
    if not keys:
        yield ()
        return
    leads = [key in dims.places and is_batch(dims.places[key]) for key in keys]
    longest = max(lengths)
    for lead in range(longest):
        for other in range(longest):
            ranks = tuple(min(lead if leads[i] else other, lengths[i] - 1) for i in range(len(keys)))
            if lead + other < longest and (lead == 0 or other < 4):
                yield ranks
    for total in range(sum(lengths)):
        yield from _with_sum(total, lengths)


def _with_sum(total: int, lengths: Sequence[int]) -> Iterator[tuple[int, ...]]:
    if len(lengths) == 1:
        if total < lengths[0]:
            yield (total,)
        return
    for first in range(min(total, lengths[0] - 1), -1, -1):
        for rest in _with_sum(total - first, lengths[1:]):
            yield (first, *rest)
