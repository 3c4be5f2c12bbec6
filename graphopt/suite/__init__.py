"""The regression suite: many models, recipes and shapes, compiled and compared, held to what held before."""

from __future__ import annotations

from pathlib import Path

REPRODUCTIONS = Path("build/graphopt-suite")
"""Where models, inputs and commands of what failed are written, if nothing else is said."""
