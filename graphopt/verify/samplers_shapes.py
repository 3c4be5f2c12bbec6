"""Operators that say a shape anew, or compute with shapes."""

from __future__ import annotations

from math import prod
from typing import Any

import numpy as np

from graphopt.verify.draft import Dims
from graphopt.verify.samplers import axis_of, sampler
from graphopt.verify.site import Site


@sampler("Reshape")
def reshape(site: Site) -> None:
    """The shape that is there, one with -1, one with 0, dims put together or taken apart."""
    shape = site.shape(0)
    wanted = site.value(1)
    if shape is None:
        if wanted is not None and site.is_open(0):
            shape = site.settle(0, _source_of(site, tuple(int(d) for d in wanted.reshape(-1))))
        else:
            shape = site.any_shape(0, (1, 2, 3, 3, 4))
    takes_zero = not site.attribute("allowzero", lambda: site.random.choice((0, 0, 1)))
    site.attribute("shape", lambda: _new_shape(site, shape, takes_zero=takes_zero))
    if site.has(1):
        site.settle_value(1, np.asarray(_new_shape(site, shape, takes_zero=takes_zero), np.int64))


def _source_of(site: Site, wanted: Dims) -> Dims:
    """A shape that a Reshape to `wanted` takes."""
    sizes = [site.size() if d == -1 or d == 0 else d for d in wanted]
    return tuple(sizes)


def _new_shape(site: Site, shape: Dims, *, takes_zero: bool) -> Dims:
    random = site.random
    total = prod(shape)
    asked = _asked_shape(site, total) if random.random() < 0.9 else None
    made = asked if asked is not None else _any_shape(site, shape, total)
    if total and made and random.random() < 0.4:
        made[random.randrange(len(made))] = -1
    if takes_zero:
        for index, size in enumerate(shape[: len(made)]):
            if made[index] == size and random.random() < 0.2:
                made[index] = 0
    return tuple(made)


def _any_shape(site: Site, shape: Dims, total: int) -> list[int]:
    random = site.random
    draw = random.random()
    familiar = _familiar_shapes(site, total) if draw < 0.4 else []
    if familiar:
        return list(random.choice(familiar))
    if draw < 0.5:
        return list(shape)
    if draw < 0.6:
        return [total]
    if draw < 0.7 and len(shape) > 1:
        at = random.randrange(len(shape) - 1)
        return [*shape[:at], shape[at] * shape[at + 1], *shape[at + 2 :]]
    if draw < 0.8:
        at = random.randint(0, len(shape))
        return [*shape[:at], 1, *shape[at:]]
    return _factors(site, total)


def _asked_shape(site: Site, total: int) -> list[int] | None:
    """Sizes with this product that fit what the rule asks of the output; None where it asks for nothing that fits."""
    wanted = site.wanted_output()
    if wanted is None:
        return None
    made: list[int | None] = []
    for dim in wanted:
        known: Any = site.draft.dims.get(dim.name) if dim.name is not None else None
        if dim.kind == "rest":
            made.extend(known if known is not None else ())
        else:
            made.append(dim.size if dim.kind == "size" else known)
    stated = prod(d for d in made if d is not None)
    open_places = made.count(None)
    if not stated or total % stated or (not open_places and stated != total):
        return None
    rest = _parts(site, total // stated, open_places)
    return [d if d is not None else rest.pop() for d in made]


def _familiar_shapes(site: Site, total: int) -> list[Dims]:
    """Shapes of other tensors, one axis changed where their sizes have another product: what is named anew is often
    named back."""
    shapes = dict.fromkeys(k.shape for k in site.draft.tensors.values() if k.shape)
    found: dict[Dims, None] = {}
    for shape in shapes:
        for axis in range(len(shape)):
            others = prod(shape[:axis]) * prod(shape[axis + 1 :])
            if others and not total % others:
                found[(*shape[:axis], total // others, *shape[axis + 1 :])] = None
    return list(found)


def _parts(site: Site, total: int, count: int) -> list[int]:
    """So many sizes whose product is this."""
    made: list[int] = []
    for left in range(count, 0, -1):
        divisors = [d for d in range(1, total + 1) if total % d == 0] or [total]
        made.append(total if left == 1 else site.random.choice(divisors))
        total //= made[-1] or 1
    return made


def _factors(site: Site, total: int) -> list[int]:
    """Some sizes whose product is this."""
    if not total:
        return [0, site.random.randint(1, 3)]
    made: list[int] = []
    for _ in range(site.random.randint(1, 4)):
        divisors = [d for d in range(1, total + 1) if total % d == 0]
        made.append(site.random.choice(divisors))
        total //= made[-1]
    return [*made[:-1], made[-1] * total]


@sampler("Flatten")
def flatten(site: Site) -> None:
    shape = site.any_shape(0, (1, 2, 2, 3, 4))
    rank = len(shape)
    site.attribute("axis", lambda: site.random.choice([*range(rank + 1), *range(-rank, 0)]))


@sampler("Squeeze")
def squeeze(site: Site) -> None:
    """Some axes of size 1, as an attribute or as an input."""
    if site.is_open(0):
        rank = site.random.randint(1, 4)
        site.settle(0, [1 if site.random.random() < 0.5 else site.size() for _ in range(rank)])
    shape = site.shape(0) or ()
    rank = len(shape)
    ones = [i for i, d in enumerate(shape) if d == 1]
    axes = site.random.sample(ones, site.random.randint(1, len(ones))) if ones else []
    if site.random.random() < 0.7:
        axes.sort()
    shown = tuple(a - rank if site.random.random() < 0.3 else a for a in axes)
    site.attribute("axes", lambda: shown or None)
    if site.has(1):
        site.settle_value(1, np.asarray(shown, np.int64))


@sampler("Unsqueeze")
def unsqueeze(site: Site) -> None:
    shape = site.any_shape(0, (0, 0, 1, 2, 3))
    count = site.random.choice((1, 1, 1, 2))
    rank = len(shape) + count
    axes = site.random.sample(range(rank), count)
    if site.random.random() < 0.7:
        axes.sort()
    shown = tuple(a - rank if site.random.random() < 0.3 else a for a in axes)
    site.attribute("axes", lambda: shown)
    if site.has(1):
        site.settle_value(1, np.asarray(shown, np.int64))


@sampler("Expand")
def expand(site: Site) -> None:
    """To the shape that is there, to a larger one, or by a shape that broadcasts both ways."""
    shape = site.any_shape(0, (0, 1, 2, 3))
    wanted = [site.size() if d == 1 else (1 if site.random.random() < 0.2 else d) for d in shape]
    draw = site.random.random()
    if draw < 0.25:
        wanted = list(shape)
    elif draw < 0.5:
        wanted = [site.size(), *wanted]
    elif draw < 0.6:
        wanted = wanted[1:]
    if site.has(1):
        site.settle_value(1, np.asarray(wanted, np.int64))


@sampler("Shape")
def shape_of(site: Site) -> None:
    shape = site.any_shape(0, (1, 2, 3, 4))
    rank = len(shape)
    site.attribute("start", lambda: site.random.choice([*range(rank), *range(-rank, 0)] or [0]))
    site.attribute("end", lambda: site.random.choice([*range(rank + 1), *range(-rank, 0)] or [0]))


@sampler("ConstantOfShape")
def constant_of_shape(site: Site) -> None:
    if site.has(0):
        site.settle_value(0, np.asarray([site.size() for _ in range(site.random.randint(0, 3))], np.int64))


@sampler("Range")
def counting(site: Site) -> None:
    step = site.random.choice((1, 1, 2))
    for index, value in enumerate((site.random.choice((0, 0, 1)), site.random.randint(1, 6), step)):
        site.settle_value(index, value)


@sampler("LRN")
def local_response(site: Site) -> None:
    site.any_shape(0, (4,))
    site.attribute("size", lambda: site.random.choice((1, 3)))


@sampler("Compress")
def compress(site: Site) -> None:
    """As long as the axis, or as all elements in a row; now and then shorter, or longer, which runtimes let pass."""
    shape = site.any_shape(0, (1, 2))
    axis = axis_of(site, len(shape))
    if site.is_open(1):
        size = shape[axis] if shape and "axis" in site.stated else prod(shape)
        length = max(0, size + site.random.choice((0, 0, 0, 0, -1, 1)))
        site.settle_value(1, [site.random.random() < 0.5 for _ in range(length)])
