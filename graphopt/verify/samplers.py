"""What shapes and attributes each operator takes: one sampler an operator or family, none of them for a rule.

A sampler settles the inputs of a node that are still open, from those that are not, and draws attributes. It may be
wrong: shape inference has the last word. An operator without a sampler takes any shapes.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

from graphopt.verify.draft import Dims
from graphopt.verify.site import Site
from graphopt.verify.sketch import NodeSketch

Sampler = Callable[[Site], None]

SAMPLERS: dict[str, Sampler] = {}


def sampler(*operators: str) -> Callable[[Sampler], Sampler]:
    """Register the sampler of operators (of any domain: `com.microsoft::Gelu` is much like `Gelu`)."""

    def register(call: Sampler) -> Sampler:
        SAMPLERS.update((operator, call) for operator in operators)
        return call

    return register


def sampler_of(node: NodeSketch) -> Sampler:
    """The sampler of a node's operator."""
    return _all().get(node.op_type, _anything)


@cache
def _all() -> dict[str, Sampler]:
    from graphopt.verify import (
        samplers_elementwise,
        samplers_moving,
        samplers_products,
        samplers_recurrent,
        samplers_reducing,
        samplers_shapes,
    )

    assert all((samplers_elementwise, samplers_moving, samplers_products))
    assert all((samplers_recurrent, samplers_reducing, samplers_shapes))
    return SAMPLERS


def _anything(site: Site) -> None:
    """An operator that nobody described: inputs of the first one's shape, as often as not."""
    first = site.any_shape(0) if site.has(0) else ()
    for index in range(1, len(site.node.inputs)):
        if site.is_open(index) and site.random.random() < 0.6:
            site.settle(index, first)


def axis_of(site: Site, rank: int, name: str = "axis") -> int:
    """An axis attribute, from either end; returned counted from the front, whatever the rank is."""
    axis = site.attribute(name, lambda: site.random.choice([*range(rank), *range(-rank, 0)] or [0]))
    return int(axis or 0) % rank if rank else 0


def known_or(site: Site, index: int, proposal: Dims) -> Dims:
    """The shape that an input has, else the proposal."""
    found = site.shape(index)
    return found if found is not None else proposal
