"""Where in a node's metadata stands what it was made of, and by which rules."""

from __future__ import annotations

FROM = "graphopt.from"
"""Names of nodes of the original model, a line each."""

RULES = "graphopt.rules"
"""Rules as name@file:line, a line each."""
