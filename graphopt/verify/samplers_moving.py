"""Operators that move elements without changing them: what is kept, in what order, and what is put beside."""

from __future__ import annotations

from graphopt.verify.draft import Dims
from graphopt.verify.samplers import axis_of, sampler
from graphopt.verify.site import Site


@sampler("Transpose")
def transpose(site: Site) -> None:
    """Any permutation; the one that moves nothing, and the one that moves all, more often than chance has it."""
    shape = site.any_shape(0, (1, 2, 3, 3, 4, 4))
    rank = len(shape)

    def perm() -> Dims:
        order = list(range(rank))
        draw = site.random.random()
        if draw < 0.65:
            site.random.shuffle(order)
        elif draw < 0.8 and rank > 1:
            order[-1], order[-2] = order[-2], order[-1]
        return tuple(order)

    site.attribute("perm", perm)


@sampler("Concat")
def concat(site: Site) -> None:
    """All dims agree but the one along the axis."""
    count = len(site.node.inputs)
    known = [s for i in range(count) if (s := site.shape(i)) is not None]
    base = list(known[0]) if known else list(site.any_shape(0, (1, 1, 2, 3, 4)))
    differing = [i for i in range(len(base)) if len({s[i] for s in known if len(s) == len(base)}) > 1]
    rank = len(base)

    def sample() -> int:
        axis = differing[0] if differing else site.random.randrange(max(rank, 1))
        return axis - rank if site.random.random() < 0.3 else axis

    axis = int(site.attribute("axis", sample) or 0)
    for index in range(count):
        if site.is_open(index):
            shape = list(base)
            if -rank <= axis < rank:
                shape[axis] = site.size()
            site.settle(index, shape)


@sampler("Split", "SplitToSequence")
def split(site: Site) -> None:
    """In equal parts or not; the sizes as an attribute, an input, or unsaid."""
    outputs = len(site.node.outputs)
    if site.is_open(0):
        ranks = site.random.choice((1, 2, 3))
        site.settle(0, [site.size() * (outputs if site.random.random() < 0.7 else 1) for _ in range(ranks)])
    shape = site.shape(0) or ()
    axis = axis_of(site, len(shape))
    total = shape[axis] if shape else 0
    parts = _parts(site, total, outputs)
    site.attribute("split", lambda: parts)
    site.attribute("num_outputs", lambda: outputs)
    if site.has(1):
        site.settle_value(1, parts)


def _parts(site: Site, total: int, count: int) -> tuple[int, ...]:
    if count and total % count == 0 and site.random.random() < 0.5:
        return (total // count,) * count
    cuts = sorted(site.random.randint(0, total) for _ in range(count - 1))
    return tuple(b - a for a, b in zip([0, *cuts], [*cuts, total], strict=True))


@sampler("Slice")
def cut(site: Site) -> None:
    """Bounds from either end, beyond the end, with steps of both signs; axes in any order, or unsaid."""
    shape = site.any_shape(0, (1, 2, 3, 4))
    rank = len(shape)
    random = site.random
    has_axes = site.has(3) or site.opset < 10
    count = random.randint(1, max(rank, 1)) if random.random() < 0.3 or not has_axes else 1
    given = next((len(v) for i in (1, 2, 3, 4) if (v := site.value(i)) is not None and v.ndim == 1), None)
    count = min(given if given is not None else count, rank)
    axes = sorted(random.sample(range(rank), count)) if has_axes and rank else list(range(count))
    bounds = [_bounds(site, shape[a], stepped=site.has(4)) for a in axes]
    starts, ends, steps = (tuple(b[i] for b in bounds) for i in range(3))
    shown = tuple(a - rank if random.random() < 0.25 else a for a in axes)
    if site.opset < 10:
        site.attribute("axes", lambda: shown)
        site.attribute("starts", lambda: starts)
        site.attribute("ends", lambda: ends)
        return
    for index, value in ((1, starts), (2, ends), (3, shown), (4, steps)):
        if site.has(index):
            site.settle_value(index, value)


def _bounds(site: Site, size: int, *, stepped: bool) -> tuple[int, int, int]:
    random = site.random
    step = random.choice((1, 1, 1, 2, -1)) if stepped else 1
    if random.random() < 0.2:
        whole = (0, random.choice((size, 2**31 - 1, 2**63 - 1)), 1)
        return whole if step > 0 else (size - 1, -(2**31), -1)
    start, end = sorted((random.randint(0, size), random.randint(0, size)))
    if start == end:
        end = min(size, start + 1)
    if step < 0:
        start, end = end - 1, start - 1 - size if start == 0 else start - 1
    if random.random() < 0.25 and size:
        start = start - size
    return start, end, step


@sampler("Gather")
def gather(site: Site) -> None:
    """Indices of any rank, of both signs."""
    shape = site.any_shape(0, (1, 1, 2, 3))
    axis = axis_of(site, len(shape))
    if not site.has(1) or not site.is_leaf(1) or site.value(1) is not None:
        return
    wanted = site.shape(1)
    if wanted is None:
        wanted = site.random.choice([(), (), (1,), (site.random.randint(1, 3),), (2, 2)])
    site.settle_value(1, _indices(site, shape[axis] if shape else 1, wanted))


def _indices(site: Site, size: int, shape: Dims) -> object:
    if not shape:
        return site.random.randint(-size, size - 1) if size else 0
    return [_indices(site, size, shape[1:]) for _ in range(shape[0])]


@sampler("GatherElements", "ScatterElements", "Scatter")
def gather_elements(site: Site) -> None:
    shape = site.any_shape(0, (1, 2, 3))
    axis = axis_of(site, len(shape))
    wanted = tuple(site.random.randint(1, max(d, 1)) for d in shape)
    if site.is_open(1):
        site.settle_value(1, _indices(site, shape[axis] if shape else 1, wanted))
    if site.has(2):
        site.settle(2, site.shape(1) or wanted)


@sampler("GatherND", "ScatterND")
def gather_nd(site: Site) -> None:
    shape = site.any_shape(0, (1, 2, 3))
    depth = site.random.randint(1, max(len(shape), 1))
    rows = site.random.randint(1, 3)
    site.attribute("batch_dims", lambda: 0)
    if site.is_open(1):
        index = [[site.random.randint(0, max(d - 1, 0)) for d in shape[:depth]] for _ in range(rows)]
        site.settle_value(1, index)
    if site.has(2):
        site.settle(2, (rows, *shape[depth:]))


@sampler("Pad")
def pad(site: Site) -> None:
    """Pads that are mostly not negative, often on the trailing axes alone."""
    shape = site.any_shape(0, (1, 2, 3, 4, 4, 5))
    rank = len(shape)
    random = site.random
    leading = 2 if rank > 2 and random.random() < 0.6 else 0
    low = -1 if random.random() < 0.15 else 0
    mode = site.attribute("mode")
    most = 2 if mode in (None, "constant") else max(min(shape[leading:], default=1) - 1, 0)
    most = 0 if low and random.random() < 0.5 else most

    def amounts() -> Dims:
        if random.random() < 0.12:
            return (0,) * (2 * rank)
        one = [0] * leading + [random.randint(low, min(most, 2)) for _ in range(rank - leading)]
        other = [0] * leading + [random.randint(low, min(most, 2)) for _ in range(rank - leading)]
        return (*one, *other)

    site.attribute("pads", amounts)
    site.attribute("paddings", amounts)
    site.attribute("value", lambda: random.choice((0.0, 0.0, 1.0, -0.5)))
    if not site.has(1):
        return
    if site.has(3):
        axes = sorted(random.sample(range(rank), random.randint(1, max(rank, 1)))) if rank else []
        settled = site.settle_value(3, [a - rank if random.random() < 0.3 else a for a in axes])
        axes = axes if settled is None else [int(a) for a in settled.ravel()]
        one, other = ([random.randint(0, min(most, 2)) for _ in axes] for _ in range(2))
        site.settle_value(1, (*one, *other))
    else:
        site.settle_value(1, amounts())
    site.settle(2, ())


@sampler("Tile")
def tile(site: Site) -> None:
    shape = site.any_shape(0, (1, 2, 3))
    site.settle_value(1, tuple(site.random.choice((1, 1, 2, 3)) for _ in shape))


@sampler("DepthToSpace")
def depth_to_space(site: Site) -> None:
    block = int(site.attribute("blocksize", lambda: site.random.choice((1, 2))) or 1)
    site.settle(0, (site.random.choice((1, 2)), block * block * site.random.randint(1, 3), site.size(), site.size()))


@sampler("SpaceToDepth")
def space_to_depth(site: Site) -> None:
    block = int(site.attribute("blocksize", lambda: site.random.choice((1, 2))) or 1)
    site.settle(0, (1, site.size(), block * site.random.randint(1, 3), block * site.random.randint(1, 3)))


@sampler("Resize", "Upsample")
def resize(site: Site) -> None:
    """Spatial axes by whole factors, as an input or an attribute."""
    shape = site.any_shape(0, (4, 4, 3))
    factors = [1.0, 1.0, *[site.random.choice((1.0, 2.0, 0.5)) for _ in shape[2:]]]
    site.attribute("scales", lambda: tuple(factors))
    site.attribute("axes", lambda: None)
    site.attribute("keep_aspect_ratio_policy", lambda: None)
    at = 1 if site.node.op_type == "Upsample" or site.opset < 11 else 2
    if site.has(3):
        site.settle_value(3, [max(int(d * f), 1) for d, f in zip(shape, factors, strict=True)])
        if site.has(2):
            site.settle_value(2, [])
    elif site.has(at):
        site.settle_value(at, factors)
    if at == 2 and site.is_open(1):
        site.settle_value(1, [])
