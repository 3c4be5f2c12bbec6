"""What attributes may be that no operator's sampler asks for: enumerations, flags, factors."""

from __future__ import annotations

from random import Random
from typing import Any

from graphopt.graph.attributes import Kind
from graphopt.verify.sketch import NodeSketch

_TEXTS: dict[str, tuple[str, ...]] = {
    "approximate": ("none", "tanh"),
    "direction": ("LEFT", "RIGHT"),
    "coordinate_transformation_mode": (
        "half_pixel",
        "pytorch_half_pixel",
        "align_corners",
        "asymmetric",
        "half_pixel_symmetric",
    ),
    "nearest_mode": ("round_prefer_floor", "round_prefer_ceil", "floor", "ceil"),
    "reduction": ("none", "add", "mul"),
    "padding_mode": ("zeros", "border", "reflection"),
    "round_mode": ("up", "down", "nearest"),
}

_TEXTS_OF: dict[tuple[str, str], tuple[str, ...]] = {
    ("Pad", "mode"): ("constant", "reflect", "edge"),
    ("Resize", "mode"): ("nearest", "linear", "cubic"),
    ("Upsample", "mode"): ("nearest", "linear"),
    ("DepthToSpace", "mode"): ("DCR", "CRD"),
    ("GridSample", "mode"): ("linear", "nearest"),
    ("Conv", "auto_pad"): ("NOTSET", "SAME_UPPER", "SAME_LOWER", "VALID"),
}

_PADDING = ("NOTSET", "NOTSET", "NOTSET", "SAME_UPPER", "SAME_LOWER", "VALID")

_SMALL_POSITIVE = (1e-5, 1e-3, 1e-2, 0.5)
_FACTORS = (0.0, 1.0, 0.5, 2.0, -1.5, 0.25)


def sample_attribute(node: NodeSketch, name: str, default: Any, random: Random) -> Any:
    """A value from the domain of an attribute; None for one that cannot be drawn."""
    assert node.version is None or name in node.version.attributes
    kind = node.version.attributes[name].kind if node.version is not None else Kind.FLOAT
    if kind == Kind.STRING:
        options = _TEXTS_OF.get((node.op_type, name)) or (_PADDING if name == "auto_pad" else _TEXTS.get(name))
        return random.choice(options) if options else default
    if kind == Kind.INT:
        return _whole(name, default, random)
    if kind == Kind.FLOAT:
        return _real(name, default, random)
    return default


def _whole(name: str, default: Any, random: Random) -> Any:
    if name == "axis":
        return random.choice((0, 1, 2, -1, -2))
    options = [0, 1] if default in (None, 0, 1) else [default, 0, 1, 2]
    return random.choice(options)


def _real(name: str, default: Any, random: Random) -> float:
    if name == "epsilon":
        return random.choice((*_SMALL_POSITIVE, default if default is not None else 1e-5))
    if name in ("momentum", "ratio"):
        return random.choice((0.9, 0.5, 0.1))
    return random.choice((*_FACTORS, default if default is not None else 1.0))
