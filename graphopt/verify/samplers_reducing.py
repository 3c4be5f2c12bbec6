"""Operators that make less of an axis: reductions, softmax, selection."""

from __future__ import annotations

from graphopt.verify.samplers import axis_of, sampler
from graphopt.verify.site import Site


def _some_axes(site: Site, rank: int) -> tuple[int, ...]:
    """Axes to reduce, from either end."""
    count = site.random.choice((1, 1, 2, rank)) if rank else 0
    axes = site.random.sample(range(rank), min(count, rank))
    if site.random.random() < 0.6:
        axes.sort()
    return tuple(a - rank if site.random.random() < 0.3 else a for a in axes)


@sampler(
    "ReduceMean", "ReduceSum", "ReduceMax", "ReduceMin", "ReduceProd", "ReduceL1", "ReduceL2", "ReduceLogSum",
    "ReduceLogSumExp", "ReduceSumSquare",
)  # fmt: skip
def reducing(site: Site) -> None:
    """Axes as an attribute or as an input, in any order, or none at all."""
    shape = site.any_shape(0, (1, 2, 3, 3, 4))
    rank = len(shape)
    site.attribute("axes", lambda: _some_axes(site, rank) or None)
    site.attribute("keepdims", lambda: site.random.choice((0, 1)))
    site.attribute("noop_with_empty_axes", lambda: site.random.choice((0, 1)))
    if site.has(1):
        site.settle_value(1, _some_axes(site, rank) if site.random.random() < 0.92 else ())


@sampler("Softmax", "LogSoftmax", "Hardmax", "LpNormalization")
def along_an_axis(site: Site) -> None:
    shape = site.any_shape(0, (1, 2, 3, 4))
    axis_of(site, len(shape))
    site.attribute("p", lambda: site.random.choice((1, 2)))


@sampler("ArgMax", "ArgMin")
def arg(site: Site) -> None:
    shape = site.any_shape(0, (1, 2, 3))
    axis_of(site, len(shape))


@sampler("TopK")
def top(site: Site) -> None:
    shape = site.any_shape(0, (1, 2, 3))
    axis = axis_of(site, len(shape))
    count = min(shape[axis], site.random.randint(1, 3)) if shape else 1
    site.settle_value(1, (count,))
    site.attribute("k", lambda: count)
