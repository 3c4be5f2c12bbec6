"""The decisions behind one instance, each under an address: what was decided can be kept, and decided otherwise."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from random import Random
from typing import Any, TypeVar

Address = tuple[Any, ...]
"""What was decided: ("shape", "x"), ("attribute", node, "perm"), ("operand order", node), ..."""

T = TypeVar("T")


class Impossible(Exception):
    """These decisions lead to no model; others may."""


class Choices:
    """Decisions drawn at random, but for those that are given.

    Attributes:
        random: where what is not given comes from.
        made: every decision so far.
    """

    def __init__(self, seed: int, given: Mapping[Address, Any] | None = None) -> None:
        self.random = Random(seed)
        self.made: dict[Address, Any] = {}
        self._given = given or {}

    def is_given(self, address: Address) -> bool:
        """Whether somebody has decided this beforehand."""
        return address in self._given

    def draw(self, address: Address, sample: Callable[[], T]) -> T:
        """The decision at an address: as made before, as given, or a sample."""
        if address not in self.made:
            self.made[address] = self._given[address] if address in self._given else sample()
        return self.made[address]

    def pick(self, address: Address, options: Sequence[T], weights: Sequence[float] | None = None) -> T:
        """One of some options. A given decision that is none of them does not count.

        Raises:
            Impossible: there are no options.
        """
        if not options:
            raise Impossible(f"nothing to choose from for {address}")
        if address in self.made:
            return self.made[address]
        given: Any = self._given.get(address)
        chosen: T = given if address in self._given and given in options else self._one(options, weights)
        self.made[address] = chosen
        return chosen

    def is_so(self, address: Address, chance: float) -> bool:
        """A decision between yes and no, yes with this chance."""
        return bool(self.draw(address, lambda: self.random.random() < chance))

    def _one(self, options: Sequence[T], weights: Sequence[float] | None) -> T:
        if weights is None or not any(weights):
            return self.random.choice(options)
        return self.random.choices(options, weights)[0]


def without(made: Mapping[Address, Any], dropped: Iterable[Address]) -> dict[Address, Any]:
    """Decisions to begin again from, without some of them."""
    gone = set(dropped)
    return {address: value for address, value in made.items() if address not in gone}
