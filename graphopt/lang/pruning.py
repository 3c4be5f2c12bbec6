"""The words of `prune` declarations, and of conditions in `axes`: names that only pruning knows."""

from __future__ import annotations

from graphopt.lang.registry import Function
from graphopt.lang.signatures import parse_signature


def _word(signature: str, doc: str) -> Function:
    parsed = parse_signature(signature)
    return Function(parsed.name, (parsed,), doc, _declared_only, False, __name__)


def _declared_only(*_: object) -> None:
    raise TypeError("a word of pruning is read by the pruning pass, and never called by a rule")


SCORES = {
    f.name: f
    for f in (
        _word("norm1(value: tensor) -> const", "For each slice along the axis, the sum of magnitudes."),
        _word("norm2(value: tensor) -> const", "For each slice along the axis, the root of the sum of squares."),
        _word("energy(value: tensor) -> const", "For each slice, the mean square on calibration data; 1 without any."),
    )
}
"""What scores are computed with, besides arithmetic: one number for each slice along the axis."""

KEEPS = {
    f.name: f
    for f in (
        _word("multiple_of(count: int) -> bool", "How many slices are kept is a multiple of this."),
        _word("at_least(count: int) -> bool", "So many slices are kept, or all where there are fewer."),
        _word("share(part: float) -> bool", "So large a part of the slices is kept."),
    )
}
"""What limits how much is cut."""

REPAIRS = {
    "bias": "What the removed slices gave on average goes into the next bias.",
    "least_squares": "What is kept takes over, by least squares on calibration data, what was removed.",
}
"""How what is lost is made up for."""

CONSUMERS = "consumers"
"""In a score: the slices of all weights that read the axis."""

PREDICATES = {
    "depthwise": "The operator is a convolution with as many groups as input channels.",
    "broadcast": "The tensor has size 1 along this axis where another of the fact has not, or lacks the axis.",
}
"""Conditions of axis facts that are computed axis by axis."""
