"""What paired times say: a ratio, and how sure it is."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median

SURE = 1.96
"""Standard deviations that hold 95 of 100 draws of a normal distribution."""


@dataclass(frozen=True)
class Ratio:
    """The median of paired ratios, between the bounds that hold the true median 95 times of 100."""

    middle: float
    low: float
    high: float

    def is_worse(self, noise: float) -> bool:
        """More than one by more than the noise (0.03 for 3 %), and surely more than one."""
        return self.low > 1 and self.middle > 1 + noise


def paired(ours: Sequence[float], theirs: Sequence[float]) -> Ratio:
    """Our seconds by theirs, round by round. The bounds are order statistics, as the sign test has them."""
    ratios = sorted(a / b for a, b in zip(ours, theirs, strict=True))
    count = len(ratios)
    reach = SURE * math.sqrt(count) / 2
    low = max(math.floor(count / 2 - reach), 0)
    high = min(math.ceil(count / 2 + reach), count - 1)
    return Ratio(median(ratios), ratios[low], ratios[high])


def against_best(ours: Sequence[float], peers: Mapping[str, Sequence[float]]) -> tuple[str, Ratio] | None:
    """The quickest peer, and our seconds by its.

    The peer is chosen by every other round and compared in those between: who is lucky where the best of several is
    chosen is not so again.
    """
    if not peers:
        return None
    best = min(peers, key=lambda name: median(a / b for a, b in zip(peers[name][::2], ours[::2], strict=True)))
    return best, paired(ours[1::2], peers[best][1::2])


def noise_of(pairs: Sequence[Ratio]) -> float:
    """How far the original is from itself on 95 of 100 models."""
    off = sorted(abs(math.log(pair.middle)) for pair in pairs)
    return math.expm1(off[min(math.ceil(0.95 * len(off)), len(off)) - 1]) if off else 0.0
