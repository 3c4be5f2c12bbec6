"""A decision about the numbers of a constant that leaves its shape open."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from graphopt.graph.dtypes import DType
from graphopt.graph.tensor import Array
from graphopt.verify.choices import Impossible


@dataclass(frozen=True)
class Fill:
    """Every element is this number."""

    number: float | int | bool

    def array(self, shape: tuple[int, ...], dtype: DType) -> Array:
        """
        Raises:
            Impossible: the element type has no such number.
        """
        try:
            with np.errstate(all="ignore"):
                return np.full(shape, self.number).astype(dtype.numpy)
        except (ValueError, TypeError, OverflowError):
            raise Impossible(f"{self.number} is no {dtype.name}") from None
