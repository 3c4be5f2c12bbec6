"""Operators that work element by element, with or without broadcasting."""

from __future__ import annotations

import numpy as np

from graphopt.verify.draft import Dims
from graphopt.verify.samplers import sampler
from graphopt.verify.site import Site


def _broadcast(shapes: list[Dims]) -> Dims:
    try:
        return tuple(np.broadcast_shapes(*shapes))
    except ValueError:
        return shapes[0]


def _larger(site: Site, shape: Dims) -> list[int]:
    """A shape that makes the result larger than this one: along axes of size 1, or by one more axis."""
    grown = [site.size(2) if d == 1 else d for d in shape]
    return grown if tuple(grown) != shape and site.random.random() < 0.7 else [site.size(), *shape]


def _narrower(site: Site, shape: Dims) -> list[int]:
    """A shape that broadcasts to this one: often the same, else with sizes of 1 or without leading dims."""
    draw = site.random.random()
    if draw < 0.35:
        return list(shape)
    if draw < 0.5:
        return []
    kept = list(shape[site.random.randint(0, len(shape)) :]) if shape else []
    return [1 if site.random.random() < 0.4 else d for d in kept]


@sampler(
    "Add", "Sub", "Mul", "Div", "Pow", "Mod", "And", "Or", "Xor", "Equal", "Greater", "Less", "GreaterOrEqual",
    "LessOrEqual", "Max", "Min", "Sum", "Mean", "Where", "BitShift", "BitwiseAnd", "BitwiseOr", "BitwiseXor",
)  # fmt: skip
def broadcasting(site: Site) -> None:
    """Open operands are as large as the others make the result, smaller, or now and then larger."""
    indices = [i for i in range(len(site.node.inputs)) if site.has(i)]
    known = [s for i in indices if (s := site.shape(i)) is not None]
    pending = [i for i in indices if site.is_open(i)]
    if not known and pending:
        first = site.random.choice(pending)
        known = [site.any_shape(first)]
    if not known:
        return
    base = _broadcast(known)
    for index in pending:
        if not site.is_open(index):
            continue
        if site.random.random() < 0.2:
            site.settle(index, _larger(site, base))
            continue
        wider = [site.size(2) if d == 1 and site.random.random() < 0.5 else d for d in base]
        if site.random.random() < 0.15:
            wider.insert(0, site.size())
        site.settle(index, _narrower(site, tuple(wider)))
    if site.node.op_type in ("Div", "Mod"):
        site.style(1, "nonzero")


@sampler("PRelu")
def narrowing(site: Site) -> None:
    """The slope broadcasts to the input, not the other way round."""
    shape = site.any_shape(0, (1, 2, 3, 4))
    channel = [shape[1], *[1] * (len(shape) - 2)] if len(shape) > 1 else list(shape)
    site.settle(1, site.random.choice([channel, _narrower(site, shape)]))


@sampler("Clip")
def clip(site: Site) -> None:
    """Bounds are scalars; the lower one is below the upper one as a rule."""
    site.any_shape(0)
    for index in (1, 2):
        site.settle(index, ())
    site.attribute("min", lambda: site.random.choice((-1.0, 0.0, 0.5)))
    site.attribute("max", lambda: site.random.choice((6.0, 1.0, 0.25)))


@sampler("Dropout")
def dropout(site: Site) -> None:
    """The ratio is a scalar between 0 and 1."""
    site.any_shape(0)
    if site.has(1):
        site.settle_value(1, site.random.choice((0.0, 0.5, 0.25)))
    site.settle(2, ())


@sampler("Sqrt", "Log", "Reciprocal")
def positive(site: Site) -> None:
    """Numbers whose result is finite."""
    site.any_shape(0)
    site.style(0, "positive")


@sampler("CastLike", "Identity", "Cast")
def converting(site: Site) -> None:
    """Any shape."""
    site.any_shape(0)
    site.any_shape(1) if site.is_open(1) else ()


@sampler("QuantizeLinear", "DequantizeLinear")
def quantizing(site: Site) -> None:
    """One scale and zero point, or one for each slice along an axis."""
    shape = site.any_shape(0, (1, 2, 3, 4))
    along = site.random.random() < 0.5 and site.opset >= 13 and bool(shape)
    axis = site.attribute("axis", lambda: site.random.choice([*range(len(shape)), *range(-len(shape), 0)] or [0]))
    axis = int(axis if axis is not None else 1)
    along = along and -len(shape) <= axis < len(shape)
    wanted = (shape[axis],) if along else ()
    scale = site.settle(1, wanted)
    site.style(1, "positive")
    site.settle(2, scale)


@sampler("Trilu")
def triangle(site: Site) -> None:
    site.any_shape(0, (2, 3))
    site.settle_value(1, site.random.choice((0, 1, -1, 2)))


@sampler("CumSum")
def cumulating(site: Site) -> None:
    shape = site.any_shape(0, (1, 2, 3))
    site.settle_value(1, site.random.choice([*range(len(shape)), *range(-len(shape), 0)] or [0]))


@sampler("OneHot")
def one_hot(site: Site) -> None:
    site.any_shape(0, (1, 2))
    site.settle_value(1, site.random.choice((2, 3, 5)))
    site.settle(2, (2,))
