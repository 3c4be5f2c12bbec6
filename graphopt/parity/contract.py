"""How equal a change promises to leave a model's outputs."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass

from graphopt.errors import UsageError

KINDS = ("exact", "real", "approx", "quant")
"""From the strictest to the loosest."""


@dataclass(frozen=True)
class Contract:
    """`exact`: bit by bit. `real`: equal over the real numbers, so that only rounding differs. `approx`: within a
    relative `error` of the output's scale. `quant`: as good as quantization can be (an `error` is of no account)."""

    kind: str
    error: float = 0.0

    def __post_init__(self) -> None:
        sound = self.error > 0 if self.kind == "approx" else self.error == 0 or self.kind == "quant"
        if self.kind not in KINDS or not sound or not 0 <= self.error < math.inf:
            raise UsageError(f"{self} is no contract", help="write exact, real, approx(ERROR) or quant")

    def __str__(self) -> str:
        return f"{self.kind}({self.error:g})" if self.kind == "approx" else self.kind

    @classmethod
    def parse(cls, text: str) -> Contract:
        """Read `exact`, `real`, `approx(1e-3)` or `quant`.

        Raises:
            UsageError: the text is none of them.
        """
        found = re.fullmatch(r"approx\(([^()]+)\)", text.strip())
        try:
            return cls("approx", float(found[1])) if found else cls(text.strip())
        except ValueError:
            raise UsageError(f"{text} is no contract", help="write exact, real, approx(ERROR) or quant") from None

    def loosened(self, other: Contract) -> Contract:
        """The looser of the two: what holds after both changes."""
        return max(self, other, key=lambda c: (KINDS.index(c.kind), c.error))


EXACT = Contract("exact")
REAL = Contract("real")
QUANT = Contract("quant")
