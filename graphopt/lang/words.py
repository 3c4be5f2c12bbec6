"""The words that a rule's phase, contract and order can be."""

from __future__ import annotations

PHASES = ("simplify", "fold", "fuse", "legalize", "quantize", "prune")
"""Phases in the order in which recipes usually run them."""

CONTRACTS = ("exact", "real", "approx", "quant")
ORDERS = ("shrink", "lower", "once")
