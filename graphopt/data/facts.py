"""What is known of a model's inputs beside their interface."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

Range = tuple[int, int]
"""Lowest and highest value, both included."""


class ProfileShape(Protocol):
    """What `--shape` says of one input: the smallest, the usual and the largest shape (or values, of a shape input)."""

    @property
    def min(self) -> tuple[int, ...]: ...
    @property
    def opt(self) -> tuple[int, ...]: ...
    @property
    def max(self) -> tuple[int, ...]: ...


@dataclass(frozen=True)
class InputFacts:
    """What is known of some of the inputs, by name.

    Attributes:
        ranges: of integers.
        profiles: the sizes to keep to; they fit the model.
        values: profiles of fixed inputs whose *values* are sizes that the network computes with.
    """

    ranges: Mapping[str, Range] = field(default_factory=dict[str, Range])
    profiles: Mapping[str, ProfileShape] = field(default_factory=dict[str, ProfileShape])
    values: Mapping[str, ProfileShape] = field(default_factory=dict[str, ProfileShape])


NOTHING_KNOWN = InputFacts()
