"""What is known of each target, as data: one TOML file a target, read through `load`."""

from __future__ import annotations

from graphopt.targets.load import Capability, Plan, Target, load, names

__all__ = ["Capability", "Plan", "Target", "load", "names"]
